"""A running service for the tests, as a user would start it, each on a data directory and addresses of its own."""

import atexit
import contextlib
import datetime as dt
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psutil
import psycopg

from openrds.domain.engine import EngineName
from openrds.domain.signature import sign
from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.hosts.addresses import claim_listening
from openrds.service import places
from support.children import child_named
from support.command import Command, Program, completed
from support.dialects import DIALECTS, POSTGRESQL, Dialect, Session
from support.engines import ENGINE_DIRS
from support.folders import short_folder

PASSWORD = "Sup3rS3cret-"
START_SECONDS = 60.0

_claims: list[socket.socket] = []
_http = httpx.Client(timeout=30)
atexit.register(_http.close)


@atexit.register
def _give_back() -> None:
    for claim in _claims:
        claim.close()


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
    """Ask until the answer is true, and give it; fail after so many seconds.

    The longer it takes, the less often is asked: those who are waited for need the machine too.
    """
    deadline = time.monotonic() + seconds
    pause = 0.01
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(pause)
        pause = min(1.2 * pause, 0.1)


@dataclass
class ServiceUnderTest:
    """`openrds serve` in a process tree of its own, and signed calls to it.

    `options` become settings by environment. `region` is the region's and the default project's name.
    """

    program: ClassVar[type[Command] | type[Program]] = Command

    data_dir: Path
    options: dict[str, str] = field(default_factory=dict)
    process: Command | Program | None = None
    project: str | None = None

    @property
    def credentials_file(self) -> Path:
        return self.data_dir / (
            "credentials.json" if self.project is None else f"credentials-{self.project}.json"
        )

    @property
    def credentials(self) -> dict[str, str]:
        return json.loads(self.credentials_file.read_text())

    @property
    def endpoint(self) -> str:
        return self.credentials["endpoint"]

    @property
    def store_dsn(self) -> str:
        """Of its private store, which root and the user of the servers may reach."""
        socket = places.socket_root(self.data_dir) / "store"
        return f"host={socket} port=5432 user={SUPERUSER} dbname=postgres"

    def superuser(self, node_id: str, port: int) -> psycopg.Connection[Any]:
        """openrds' own session on the server of a node."""
        socket = places.socket_root(self.data_dir) / node_id
        return psycopg.connect(
            host=str(socket), port=port, user=SUPERUSER, dbname="postgres", autocommit=True
        )

    @property
    def project_id(self) -> str:
        return self.credentials["project_id"]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENRDS_")}
        given = {f"OPENRDS_{name.upper()}": value for name, value in self.options.items()}
        return {**kept, **given}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "openrds.cli", *arguments]

    def start(self) -> None:
        """Start, and return once the ready line was printed."""
        arguments = ("serve", "--data-dir", str(self.data_dir))
        self.process = self.program(arguments, self.environment(), self.log_file)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line.startswith("openrds ready on http"):
            self.stop()
            raise AssertionError(f"the service did not start: {line!r}\n{self.log_text()[-4000:]}")

    def stop(self) -> float:
        """SIGTERM, and how long it took to end, in seconds."""
        assert self.process is not None and self.process.stdout is not None
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process.stdout.close()
        self.process = None
        return time.monotonic() - begun

    def down(self) -> subprocess.CompletedProcess[str]:
        done = completed(("down", "--data-dir", str(self.data_dir)), self.environment(), 60)
        if self.process is not None and done.returncode == 0:
            self.stop()
        return done

    def kill_everything(self) -> None:
        """All processes of it and of its servers die at once, as those of a machine that loses its power."""
        assert self.process is not None
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        self.process.wait(10)
        kill_all_below(self.data_dir)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    @property
    def log_file(self) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def log_text(self) -> str:
        """Empty where it was never started."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def child(self, name: str) -> psutil.Process:
        """One of the service's processes: `worker`, `api` or `store watch`."""
        assert self.process is not None
        return child_named(self.process.pid, f"openrds: {name} of ")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        now: dt.datetime | None = None,
    ) -> httpx.Response:
        """A signed request. `path` is below the project's when it does not begin with `/`."""
        keys = self.credentials
        if not path.startswith("/"):
            path = f"/v3/{keys['project_id']}/{path}"
        data = content if content is not None else b"" if body is None else json.dumps(body).encode()
        signed = sign(
            method,
            keys["endpoint"] + path,
            {"content-type": "application/json", **(headers or {})},
            data,
            access_key=keys["access_key"],
            secret_key=keys["secret_key"],
            now=now or dt.datetime.now(dt.UTC),
        )
        return _http.request(method, keys["endpoint"] + path, content=data, headers=signed)

    def get(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create_body(self, dialect: Dialect = POSTGRESQL, **changes: Any) -> dict[str, Any]:
        """A valid body for `POST instances`, with changes; a change to None leaves the field out."""
        project_id = self.project_id
        body = {
            "name": "orders-db",
            "datastore": {"type": dialect.engine.value, "version": self.newest_version(dialect)},
            "flavor_ref": dialect.flavor(),
            "volume": {"type": "CLOUDSSD", "size": 40},
            "region": "local-1",
            "availability_zone": "local-1a",
            "vpc_id": self.get(f"/v1/{project_id}/vpcs")["vpcs"][0]["id"],
            "subnet_id": self.get(f"/v1/{project_id}/subnets")["subnets"][0]["id"],
            "security_group_id": self.get(f"/v3/{project_id}/vpc/security-groups")["security_groups"][0][
                "id"
            ],
            "password": PASSWORD,
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def newest_version(self, dialect: Dialect = POSTGRESQL) -> str:
        found: str = self.get(f"datastores/{dialect.engine}")["dataStores"][-1]["name"]
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"jobs?id={job_id}")["job"]

    def ended(self, job_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """The task once it has ended."""

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] != "Running" else None

        return wait_for(look, seconds, f"the end of task {job_id}")

    def completed(self, job_id: str, seconds: float = 60.0) -> dict[str, Any]:
        job = self.ended(job_id, seconds)
        assert job["status"] == "Completed", f"{job['name']}: {job.get('fail_reason', job)}"
        return job

    def create(self, dialect: Dialect = POSTGRESQL, **changes: Any) -> dict[str, Any]:
        """A new instance, ACTIVE, as the list shows it."""
        answer = self.call("POST", "instances", self.create_body(dialect, **changes), headers=fresh())
        assert answer.status_code == 202, answer.text
        self.completed(answer.json()["job_id"])
        return self.instance(answer.json()["instance"]["id"])

    def instance(self, instance_id: str) -> dict[str, Any]:
        (found,) = self.get(f"instances?id={instance_id}")["instances"]
        return found

    def delete(self, instance_id: str) -> None:
        answer = self.call("DELETE", f"instances/{instance_id}", headers=fresh())
        assert answer.status_code == 202, answer.text
        self.completed(answer.json()["job_id"])


def dialect_of(instance: dict[str, Any]) -> Dialect:
    """Of an instance as the API shows it."""
    return DIALECTS[EngineName(instance["datastore"]["type"])]


def session(instance: dict[str, Any], *, password: str = PASSWORD, **options: Any) -> Session:
    """A client's, to the endpoint that the API names."""
    where = instance["private_ips"][0]
    return dialect_of(instance).connect(where, instance["port"], password=password, **options)


#: Options of a service that has all engines that there are, and keeps no fresh data directories of them.
ALL_ENGINES: dict[str, Any] = {"engine_dirs": ",".join(map(str, ENGINE_DIRS)), "spare_data_dirs": "0"}


def fresh() -> dict[str, str]:
    """A signed header that makes a call differ from its like of the same second, which would be a replay."""
    return {"x-request-id": uuid.uuid4().hex}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def private_cidr() -> str:
    """A /24 that no other test uses, of this run or another."""
    return _cidr(80)


def public_cidr() -> str:
    """Likewise, for public addresses."""
    return _cidr(140)


def _cidr(first: int) -> str:
    """Whoever holds the socket of its name has it; the kernel closes those of a run that has ended."""
    while True:
        network = f"127.{first + secrets.randbelow(40)}.{secrets.randbelow(256)}.0/24"
        claim = claim_listening(f"{network} for tests")
        if claim is not None:
            _claims.append(claim)
            return network


@contextlib.contextmanager
def running_service(start: bool = True, **options: str) -> Iterator[ServiceUnderTest]:
    """A service on a fresh data directory; at the end everything of it is stopped and removed."""
    # A short path, which the user that servers run as can reach.
    root = short_folder()
    defaults = {
        "listen": f"127.0.0.1:{free_port()}",
        "private_cidr": private_cidr(),
        "public_cidr": public_cidr(),
        "heartbeat_interval": "0.5",
        "worker_timeout": "2",
        # None comes by itself in the middle of a test.
        "first_backup_after": "86400",
        # A flavor that is too large for the machine is accepted, so that its server fails.
        "memory_mb": "1000000",
        "log_level": "INFO",
    }
    service = ServiceUnderTest(root / "d", {**defaults, **options})
    try:
        if start:
            service.start()
        yield service
    finally:
        if (service.data_dir / "serve.lock").is_file():  # else it was refused, and left nothing
            done = service.down()
            assert done.returncode == 0, done.stderr
        assert not left_running(root), "a process was left running"
        shutil.rmtree(root)


def kill_all_below(*folders: Path) -> None:
    """Kill whoever names one of the folders or works in it, and whoever they begin meanwhile."""

    def kill() -> bool:
        found = list(_pids_below(folders))
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    wait_for(kill, 30, f"the death of all in {folders}")


def _pids_below(folders: Sequence[Path]) -> Iterator[int]:
    """Of processes that live; a dead one has neither a folder nor a command line."""
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes().decode(errors="replace")
            where = (place / "cwd").readlink()
            if any(str(folder) in words or where.is_relative_to(folder) for folder in folders):
                yield int(place.name)


def left_running(root: Path) -> list[str]:
    """The command lines that name a folder."""
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if str(root) in line and process.status() != psutil.STATUS_ZOMBIE:
                left.append(line)
    return left
