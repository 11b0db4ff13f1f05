"""`openrds serve` and `openrds down`. The service is imported only when it is asked for."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from openrds.cli.credentials import DATA_DIR_VARIABLE, FILE_NAME
from openrds.cli.errors import CommandError, Interrupted, UsageError

if TYPE_CHECKING:
    from openrds.domain.settings import Settings

DataDir: TypeAlias = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help=f"Data directory [env: {DATA_DIR_VARIABLE}].")
]


StoreDsn: TypeAlias = Annotated[
    str | None, typer.Option("--store", metavar="DSN", help="A PostgreSQL database. Default: one of its own.")
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file. Default: openrds.toml in the data directory."),
]

#: What is logged to by a service in the background, unless a setting says otherwise.
_LOG_NAME = "serve.log"
_READY = "openrds ready on "
_LOG_LINES = 15


def serve(
    *,
    data_dir: DataDir = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Default: 127.0.0.1:8082.")] = None,
    store: StoreDsn = None,
    config: ConfigFile = None,
    region: str | None = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="Default: INFO.")] = None,
    log_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: standard error, with --detach serve.log.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when it is ready, and let it run on in the background.")
    ] = False,
) -> None:
    """Run the service until SIGTERM; instances go on serving.

    Each setting may also be given as OPENRDS_<NAME> or in the TOML file.
    """
    flags = {
        "data_dir": data_dir,
        "listen": listen,
        "store": store,
        "region": region,
        "log_level": log_level,
        "log_file": log_file,
    }
    settings = load_settings(flags, config)
    if detach:
        _serve_in_background(settings, flags | {"config": config})
        return
    from openrds.service.serve import serve as run  # noqa: PLC0415

    raise typer.Exit(run(settings, lambda: _say_what_next(settings)))


def load_settings(flags: Mapping[str, Any], config: Path | None) -> "Settings":
    """The settings of the service that is meant."""
    from openrds.service import configuration  # noqa: PLC0415

    try:
        return configuration.load(flags, config)
    except configuration.ConfigurationError as error:
        raise UsageError(str(error)) from None


def down(
    data_dir: Annotated[Path, typer.Option(metavar="DIR", envvar=DATA_DIR_VARIABLE, help="Data directory.")],
) -> None:
    """Stop a service with its instances and its store; the data stays."""
    from openrds.service.down import down as run  # noqa: PLC0415

    raise typer.Exit(run(data_dir))


def command_name() -> str:
    """How a person can call openrds from another terminal."""
    beside = Path(sys.executable).with_name("openrds")
    return "openrds" if shutil.which("openrds") or not beside.exists() else str(beside)


def _serve_in_background(settings: "Settings", flags: Mapping[str, Any]) -> None:
    """Start another `serve`, in a session of its own, and return when it is ready.

    Raises:
        CommandError: it is not; the message says why.
    """
    log_file = settings.log_file or settings.data_dir / _LOG_NAME
    logged = _size(log_file)
    process = _start({**flags, "data_dir": settings.data_dir, "log_file": log_file})
    assert process.stdout is not None and process.stderr is not None
    try:
        line = process.stdout.readline().rstrip()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise Interrupted("The service was stopped while it started.") from None
    with process.stdout, process.stderr:
        if not line.startswith(_READY):
            process.terminate()
            # What it said before it had a log, and what it logged.
            said = (process.communicate()[1].strip(), _since(log_file, logged))
            raise CommandError("\n".join(["The service did not start.", *filter(None, said)]))
    # Nobody waits for it, and Python shall not complain of that.
    process.returncode = 0
    typer.echo(line)
    typer.echo(f"Process {process.pid} logs to {log_file}.")
    _say_what_next(settings)


def _start(flags: Mapping[str, Any]) -> "subprocess.Popen[str]":
    options = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items() if value is not None]
    return subprocess.Popen(
        [sys.executable, "-m", "openrds.cli", "serve", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _since(file: Path, position: int) -> str:
    """The last lines that a file got behind a position."""
    try:
        added = file.read_bytes()[position:]
    except OSError:
        return ""
    return "\n".join(added.decode(errors="replace").splitlines()[-_LOG_LINES:])


def _say_what_next(settings: "Settings") -> None:
    """For a person; programs read only the line before."""
    if not sys.stdout.isatty():
        return
    from openrds.service.endpoint import endpoint_of  # noqa: PLC0415

    name = command_name()
    typer.echo(
        f"The keys to it are in {settings.data_dir / FILE_NAME}. In another terminal:\n"
        f"  export {DATA_DIR_VARIABLE}={settings.data_dir}\n"
        f"  {name} instance create orders\n"
        f"  {name} connect orders\n"
        f"  {name} task list\n"
        f"The API in a browser: {endpoint_of(settings)}/schema\n"
        f"To stop it with its instances: {name} down --data-dir {settings.data_dir}"
    )
