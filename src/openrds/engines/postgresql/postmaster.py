"""What a PostgreSQL server says of itself in files: its lock files and its logs."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.postgresql.configuration import socket_path
from openrds.engines.protocol import NodeSpec
from openrds.hosts.processes import Process, pid_is_free

PROGRAM = "postgres"
_STATUS_LINE = 7
_TAIL_BYTES = 64 * 1024
#: Within which whoever started a server must have taken note of its end.
_FREE_SECONDS = 5.0


@dataclass(frozen=True)
class LockFile:
    """`postmaster.pid`. `status` is `starting`, `ready`, `standby`, `stopping`, or at first empty."""

    pid: int
    status: str

    @classmethod
    def read(cls, path: Path) -> "LockFile | None":
        try:
            lines = path.read_text(errors="replace").splitlines()
            pid = abs(int(lines[0]))
        except (OSError, ValueError, IndexError):
            return None
        return cls(pid, lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else "")


def lock_path(node: NodeSpec) -> Path:
    return node.data_dir / "postmaster.pid"


def status_of(node: NodeSpec, process: Process) -> str:
    """The status that this very process has written; a file that another left says nothing of it."""
    lock = LockFile.read(lock_path(node))
    return lock.status if lock and lock.pid == process.pid else ""


def running_on(node: NodeSpec) -> Process | None:
    """The server that holds the data directory's lock file, however it was started."""
    lock = LockFile.read(lock_path(node))
    process = Process.of(lock.pid) if lock else None
    return process if process and process.works_in(node.data_dir, PROGRAM) else None


def forget_dead(node: NodeSpec) -> None:
    """
    Remove the lock files of a server that is dead where its pid has gone to another process, or does not get free.

    PostgreSQL would take whatever has the pid for the server, a zombie too, and refuse to start. Where the pid is free
    it finds out for itself, and also looks after the shared memory of the dead server.
    """
    for path in (lock_path(node), Path(f"{socket_path(node)}.lock")):
        lock = LockFile.read(path)
        if lock is not None and not pid_is_free(lock.pid, _FREE_SECONDS):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


class LogTail:
    """What has been written to a folder of logs since this was made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes = {path: path.stat().st_size for path in self._files()}

    def last_lines(self, count: int = 10) -> str:
        """Those of the file written last come last."""
        files = sorted(self._files(), key=lambda path: path.stat().st_mtime_ns)
        lines = [line for path in files for line in self._new_text(path).splitlines() if line.strip()]
        return "\n".join(lines[-count:])

    def _files(self) -> list[Path]:
        return [path for path in self._folder.glob("*.log") if path.is_file() and not path.is_symlink()]

    def _new_text(self, path: Path) -> str:
        with path.open("rb") as file:
            end = path.stat().st_size
            file.seek(max(self._sizes.get(path, 0), end - _TAIL_BYTES))
            return file.read().decode(errors="replace")
