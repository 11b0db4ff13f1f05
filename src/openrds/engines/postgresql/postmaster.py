"""What a PostgreSQL server says of itself in files: its lock files, and its logs."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.logs import LogTail
from openrds.engines.postgresql.configuration import log_folder, socket_path
from openrds.engines.postgresql.server_logs import lines
from openrds.engines.protocol import NodeSpec
from openrds.hosts.processes import Process, pid_is_free, wait_until
from openrds.hosts.user import ServerUser

PROGRAM = "postgres"
_STATUS_LINE = 7
#: Within which whoever started a server must have taken note of its end.
_FREE_SECONDS = 5.0
#: Within which a server that lives has written its lock file.
_WRITTEN_SECONDS = 2.0


@dataclass(frozen=True)
class LockFile:
    """`postmaster.pid`. `status` is `starting`, `ready`, `standby`, `stopping`, or at first empty."""

    pid: int
    status: str

    @classmethod
    def read(cls, path: Path, user: ServerUser) -> "LockFile | None":
        try:
            lines = user.read(path).decode(errors="replace").splitlines()
            pid = abs(int(lines[0]))
        except (OSError, ValueError, IndexError):
            return None
        return cls(pid, lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else "")


def lock_path(node: NodeSpec) -> Path:
    return node.data_dir / "postmaster.pid"


def status_of(node: NodeSpec, process: Process) -> str:
    """The status that this very process has written; a file that another left says nothing of it."""
    lock = LockFile.read(lock_path(node), node.user)
    return lock.status if lock and lock.pid == process.pid else ""


def running_on(node: NodeSpec) -> Process | None:
    """The server that holds the data directory's lock file, however it was started."""
    lock = LockFile.read(lock_path(node), node.user)
    process = Process.of(lock.pid) if lock else None
    return process if process and process.works_in(node.data_dir, PROGRAM) else None


def forget_dead(node: NodeSpec) -> None:
    """
    Remove the lock files of a server that is dead where its pid has gone to another process, or does not get free, and
    those of one that was killed before it wrote anything to them.

    PostgreSQL would take whatever has the pid for the server, a zombie too, and an empty file for that of one that is
    starting, and refuse to start. Where the pid is free it finds out for itself, and also looks after the shared memory
    of the dead server.
    """
    for path in (lock_path(node), Path(f"{socket_path(node)}.lock")):
        lock = LockFile.read(path, node.user)
        if _stays_empty(path, node.user) if lock is None else not pid_is_free(lock.pid, _FREE_SECONDS):
            with contextlib.suppress(FileNotFoundError), node.user.acting():
                path.unlink()


def _stays_empty(path: Path, user: ServerUser) -> bool:
    """Whether there is such a file with nothing in it. Who makes one writes to it at once."""

    def is_empty() -> bool:
        try:
            return not user.read(path)
        except OSError:
            return False

    return is_empty() and not wait_until(lambda: not is_empty(), _WRITTEN_SECONDS)


def log_tail(node: NodeSpec) -> LogTail:
    return LogTail(log_folder(node), node.user, lines)
