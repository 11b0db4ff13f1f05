"""`openrds demo`: a service of its own, an instance created through the API, a query on it, then all gone."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from openrds.cli.client import Client
from openrds.cli.client_programs import PROGRAMS
from openrds.cli.credentials import DATA_DIR_VARIABLE, FILE_NAME, FILE_VARIABLE, read_credentials
from openrds.cli.errors import CommandError, Interrupted, TaskFailed
from openrds.cli.instances import EngineOption, Order, order_body
from openrds.cli.output import note, pretty
from openrds.cli.passwords import generate_password
from openrds.cli.samples import Database, answers
from openrds.cli.serve import command_name
from openrds.cli.watch import watch
from openrds.domain.engine import EngineName

_USUAL_PORT = 8082
_READY = "openrds ready on"
#: Seconds.
_START_TIMEOUT, _DOWN_TIMEOUT, _LOOK_INTERVAL = 90.0, 60.0, 0.02
_LOG_LINES = 15

#: Settings of a service that already exists, which the demo's own must not take over.
_FOREIGN = (FILE_VARIABLE, DATA_DIR_VARIABLE, "OPENRDS_STORE", "OPENRDS_LISTEN")


@dataclass(frozen=True)
class Service:
    """A running `openrds serve` in a folder of the demo's own."""

    folder: Path
    listen: str
    process: "subprocess.Popen[bytes]"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def credentials_file(self) -> Path:
        return self.data_dir / FILE_NAME

    @property
    def log(self) -> str:
        return _log_file(self.folder).read_text(errors="replace")


def demo(
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Default: 127.0.0.1:8082 if it is free, else any port."),
    ] = None,
    engine: EngineOption = EngineName.POSTGRESQL,
) -> None:
    """Create a real instance and query it; nothing is left afterwards.

    On a terminal it stays up until Ctrl-C.
    """
    _stop_in_order_on_signals()
    try:
        with _serving(listen or f"127.0.0.1:{_free_port()}") as service:
            database = _show_creation(Client(read_credentials(service.credentials_file)), engine)
            _show_queries(database)
            if sys.stdout.isatty():
                _stay(service, database)
    except KeyboardInterrupt:
        raise Interrupted("The demo was interrupted.") from None
    typer.echo("\nThe demo is over: everything is stopped and removed.")


@contextlib.contextmanager
def _serving(listen: str) -> Iterator[Service]:
    service = _start(listen)
    try:
        _heading(f"openrds serve --data-dir {service.data_dir} --listen {service.listen}")
        _await_ready(service)
        yield service
    except CommandError:
        _show_log(service)
        raise
    finally:
        _take_down(service)


def _start(listen: str) -> Service:
    """Reachable by the user that servers run as, and short: a Unix socket's path has at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="openrds-demo-", dir=_temporary_folder()))
    folder.chmod(0o711)
    command = _openrds("serve", "--data-dir", str(folder / "data"), "--listen", listen)
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    try:
        process = _run(command, _log_file(folder), environment)
    except OSError as error:
        shutil.rmtree(folder)
        raise CommandError(f"The service cannot be started: {error}.") from None
    return Service(folder, listen, process)


def _run(command: list[str], log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """In a session of its own: Ctrl-C is for us, and we end it in order."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )


def _await_ready(service: Service) -> None:
    begun = time.monotonic()
    while _READY not in service.log:
        if service.process.poll() is not None:
            raise CommandError("The service did not start.")
        if time.monotonic() - begun > _START_TIMEOUT:
            raise CommandError(f"The service was not ready within {_START_TIMEOUT:.0f} s.")
        time.sleep(_LOOK_INTERVAL)
    typer.echo(f"{_READY} http://{service.listen} (after {time.monotonic() - begun:.1f} s)")


def _show_creation(client: Client, engine: EngineName) -> Database:
    project = client.credentials.project_id
    password = generate_password()
    _heading(f"POST /v3/{project}/instances")
    body = order_body(client, Order("demo", engine))
    answer = client.post("instances", body | {"password": password})
    task_id = answer["job_id"]
    typer.echo(f"instance {answer['instance']['id']}, task {task_id}")
    _heading(f"GET /v3/{project}/jobs?id={task_id}, while it runs")
    typer.echo(pretty(client.get("jobs", {"id": task_id})))
    _heading(f"The task's steps, from GET /v3/{project}/jobs/{task_id}/steps")
    job = watch(client, task_id, sys.stdout)
    _heading("GET jobs, now that it has ended")
    typer.echo(pretty({"job": job}))
    if job["status"] == "Failed":
        raise TaskFailed(f"The instance was not created: {job.get('fail_reason')}")
    _heading(f"GET /v3/{project}/tasklist")
    typer.echo(pretty(client.get("tasklist")))
    host, _, port = job["entities"]["instance"]["endpoint"].rpartition(":")
    return Database(engine, host, int(port), password)


def _show_queries(database: Database) -> None:
    _heading(database.call)
    for statement, lines in answers(database):
        typer.echo(f"=> {statement};")
        for line in lines:
            typer.echo(f"   {line}")


def _stay(service: Service, database: Database) -> None:
    """Until Ctrl-C or SIGTERM.

    Raises:
        CommandError: the service ended by itself.
    """
    _heading("The service stays up until Ctrl-C. Try next, in another terminal:")
    typer.echo(
        f"  export {FILE_VARIABLE}={service.credentials_file}\n"
        f"  {command_name()} instance list\n"
        f"  {command_name()} instance create second\n"
        f"  {command_name()} task list\n"
        f"  {_program(database)}\n"
        f"  curl http://{service.listen}/healthz\n"
        f"and in your browser the console, http://{service.listen}/console, "
        f"and the API, http://{service.listen}/schema.\n"
        f"User and password of the console are in {service.credentials_file}."
    )
    with contextlib.suppress(KeyboardInterrupt):
        service.process.wait()
        raise CommandError("The service ended by itself.")


def _program(database: Database) -> str:
    """What a person types to come in; only psql takes the password with it."""
    if database.is_postgresql:
        return f"psql {database.url}"
    program = PROGRAMS[database.engine]
    command = program.command(program.names[0], database.host, database.port, database.user, "", [])
    return f"{program.password_variable}='{database.password}' {' '.join(command)}"


def _take_down(service: Service) -> None:
    """Stop everything and remove the folder; signals wait until that is done.

    Raises:
        CommandError: something could not be stopped; the folder is left.
    """
    for number in _SIGNALS:
        signal.signal(number, _take_no_notice)
    failure = _down(service)
    _end(service.process)
    if failure:
        raise CommandError(f"openrds down failed, so {service.folder} is left: {failure}")
    shutil.rmtree(service.folder, ignore_errors=True)


def _down(service: Service) -> str:
    """What went wrong, "" if nothing did."""
    if not service.data_dir.exists():
        return ""
    command = _openrds("down", "--data-dir", str(service.data_dir))
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_DOWN_TIMEOUT,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done within {_DOWN_TIMEOUT:.0f} s"
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stop_in_order_on_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)


def _take_no_notice(_number: int, _frame: FrameType | None) -> None:
    """Not SIG_IGN, which the processes that we start would inherit."""


def _show_log(service: Service) -> None:
    lines = service.log.splitlines()[-_LOG_LINES:]
    if lines:
        note("\n".join(["The service's last words:", *(f"  {line}" for line in lines)]))


def _heading(text: str) -> None:
    typer.secho(f"\n{text}", bold=True)


def _openrds(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "openrds.cli", *arguments]


def _log_file(folder: Path) -> Path:
    return folder / "serve.log"


def _temporary_folder() -> str | None:
    short = "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
    return short if os.access(short, os.W_OK) else None


def _free_port() -> int:
    """The usual one if it is free, else any."""
    for port in (_USUAL_PORT, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise CommandError("No port of 127.0.0.1 is free.")
