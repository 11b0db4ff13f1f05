"""
Servers as processes that outlive openrds, and are found again.

A process is told from a later one with the same pid by its start time, and from one before a reboot by the
boot's id. Both stand in a record beside the node's data, with the signals that stop it: whoever reads the
record can stop the server without knowing what it is. The record is ours: the server cannot change it.
"""

import contextlib
import functools
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from openrds.domain.deadline import check_deadline
from openrds.domain.texts import number_in
from openrds.hosts.errors import HostError
from openrds.hosts.folders import DRAFT, open_file
from openrds.hosts.user import ServerUser

#: The name of the record in a node's folder.
RECORD = "process"
#: A data directory is called so in whatever folder a server has; none has a record in it.
DATA = "data"

#: As in `nodes/ID/restoring/` of a data directory.
_DEEPEST_RECORD = 3
_KILL_SECONDS = 10.0
#: A record is one line.
_MOST_BYTES = 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: It becomes the server once it is told to, which is when it is recorded and under its limits: should we die before,
#: it ends, so that there is no server that cannot be found.
_START = """
read -r go || exit 1
exec "$@" < /dev/null
"""


class _Child(subprocess.Popen[bytes]):
    def __del__(self) -> None:
        """A server is meant to outlive us: no warning."""


_children: dict[int, _Child] = {}
_children_lock = threading.Lock()


@dataclass(frozen=True)
class Process:
    """A process of this boot; `started` is in clock ticks since the boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The living process that has this pid now."""
        found = _state(pid)
        return cls(pid, found[1]) if found and found[0] not in "ZX" else None

    def is_alive(self) -> bool:
        """A zombie is dead."""
        if Process.of(self.pid) == self:
            return True
        _reap()
        return False

    def works_in(self, folder: Path, *programs: str) -> bool:
        """Whether it runs one of these programs, such as `postgres`, with this as its current folder."""
        try:
            return _works(self.pid, folder.stat(), programs)
        except OSError:
            return False

    def send(self, number: int) -> None:
        """Send a signal, unless it is dead."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Whether it died within this time."""
        return wait_until(lambda: not self.is_alive(), seconds)

    def stop(self, signals: Iterable[int] = (), seconds: float = 60.0) -> None:
        """
        Send the signals, the gentlest first and SIGKILL last, until it is dead.

        The first gets `seconds`, each other one 10 s.

        Raises:
            HostError: it survives even SIGKILL, for example in a disk that hangs.
        """
        for number in (*signals, signal.SIGKILL):
            self.send(number)
            if self.wait(seconds):
                return
            seconds = _KILL_SECONDS
        raise HostError(f"The process {self.pid} does not die; see whether a disk hangs.")


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.002) -> bool:
    """Ask until the condition holds, and say whether it did within this time.

    Raises:
        DeadlinePassed: the step that asks was given up.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        check_deadline()
        if time.monotonic() >= deadline:
            return condition()
        time.sleep(every)
    return True


def pid_is_free(pid: int, seconds: float) -> bool:
    """Whether no process has this pid. A dead one has it until its parent has taken note, which is waited for."""

    def is_noted() -> bool:
        _reap()
        found = _state(pid)
        return found is None or found[0] not in "ZX"

    wait_until(is_noted, seconds)
    return _state(pid) is None


def spawn(
    argv: Iterable[str | Path],
    record: Path,
    log: Path,
    *,
    user: ServerUser,
    env: Mapping[str, str],
    stop_signals: Iterable[signal.Signals] = (signal.SIGTERM,),
    admit: Callable[[int], None] | None = None,
) -> Process:
    """
    Start a server in a session of its own; its output is appended to `log`, in a folder of the user's.

    The record's folder is ours. The server is recorded when this returns; whether it came up is for the caller to find
    out. `admit` gets its pid before it does anything, to put it under limits.

    Raises:
        HostError: it could not be started at all, or not admitted.
    """
    command = ["/bin/sh", "-c", _START, "openrds-start", *map(str, argv)]
    try:
        with _open_log(log, user) as output:
            child = _Child(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd="/",
                env=dict(env),
                close_fds=True,
                start_new_session=True,
                umask=0o077,
                **user.identity(),
            )
        return _let_begin(child, record, stop_signals, admit)
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"Could not start {command[4]}: {error}.") from error


def _let_begin(
    child: _Child,
    record: Path,
    stop_signals: Iterable[signal.Signals],
    admit: Callable[[int], None] | None,
) -> Process:
    """It ends by itself where it was not recorded or not admitted."""
    assert child.stdin is not None
    found = _state(child.pid)  # even if it died: nobody else reaps it before it is among the children
    process = Process(child.pid, found[1] if found else 0)
    admitted = False
    try:
        write_record(record, process, stop_signals)
        if admit is not None:
            admit(child.pid)
        admitted = True
    finally:
        with contextlib.suppress(BrokenPipeError), child.stdin:
            if admitted:
                child.stdin.write(b"go\n")
        if not admitted:
            child.wait()
    with _children_lock:
        _children[child.pid] = child
    return process


def find(record: Path) -> Process | None:
    """The living process of a record; None if there is no record, or its process is gone."""
    entry = _read(record)
    if entry is not None and entry.is_true():
        return entry.process
    _reap()
    return None


def write_record(
    record: Path, process: Process, stop_signals: Iterable[signal.Signals] = (signal.SIGTERM,)
) -> None:
    """Record a process, whole or not at all; its folder is ours, so that nobody else can."""
    signals = ",".join(str(int(number)) for number in stop_signals)
    draft = record.with_name(f".{record.name}.{secrets.token_hex(4)}{DRAFT}")
    with draft.open("x") as file:
        file.write(f"{process.pid} {process.started} {_boot_id()} {signals}\n")
    draft.replace(record)


def stop_recorded(record: Path, seconds: float = 60.0) -> bool:
    """
    Stop the process of a record with the signals it names; False if it was gone already.

    Raises:
        HostError: it does not die.
    """
    entry = _read(record)
    if entry is None or not entry.is_true():
        return False
    entry.process.stop(entry.stop_signals, seconds)
    return True


def written_by(record: Path) -> int | None:
    """
    A number that has grown when the server of a record, or a process that it began, has written to a file since.

    None where the system does not say: it need not run, or is another user's.
    """
    process = find(record)
    if process is None:
        return None
    try:
        # A process has in its own count what was written by those that it has begun and that have ended.
        children = _read_system_file(f"/proc/{process.pid}/task/{process.pid}/children")
        return sum(_written(pid) for pid in (process.pid, *map(int, children.split())))
    except OSError:
        return None


def _written(pid: int) -> int:
    """Bytes handed to the system, and bytes that are to reach a disk. A process that is gone has none."""
    try:
        fields = _read_system_file(f"/proc/{pid}/io").split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[3]) + int(fields[11])


def records_below(folder: Path) -> Iterator[Path]:
    """The records of all servers in a folder, so far as we put them, but not inside a data directory.

    No link is followed.
    """
    if not folder.is_dir():
        return
    for place, folders, files, _ in os.fwalk(folder):
        is_deep = len(Path(place).relative_to(folder).parts) >= _DEEPEST_RECORD
        folders[:] = [name for name in folders if name != DATA and not is_deep]
        if RECORD in files:
            yield Path(place) / RECORD


def working_in(folder: Path, *programs: str) -> list[Process]:
    """The living processes of these programs whose current folder is this one."""
    try:
        here = folder.stat()
    except OSError:
        return []
    pids = filter(None, map(number_in, os.listdir("/proc")))  # noqa: PTH208 # see `_works`
    found = map(Process.of, [pid for pid in pids if _works(pid, here, programs)])
    # Again, as a pid may have gone to another process before we had it.
    return [process for process in found if process and process.works_in(folder, *programs)]


def _works(pid: int, folder: os.stat_result, programs: Collection[str]) -> bool:
    """Asked of all processes of the machine, each time that a server stops: without a `Path` in a fifth of the time."""
    try:
        executable = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115
        if executable.rpartition("/")[2].removesuffix(" (deleted)") not in programs:
            return False
        return os.path.samestat(os.stat(f"/proc/{pid}/cwd"), folder)  # noqa: PTH116
    except OSError:
        return False


@dataclass(frozen=True)
class _Entry:
    process: Process
    boot_id: str
    stop_signals: tuple[int, ...]
    owner: int | None

    def is_true(self) -> bool:
        """The record is ours, or of the process's user: no server shall make us, as root, kill another's process."""
        if self.boot_id != _boot_id() or not self.process.is_alive():
            return False
        try:
            # Asked often.
            running_as = os.stat(f"/proc/{self.process.pid}").st_uid  # noqa: PTH116
            return self.owner in (os.geteuid(), running_as)
        except OSError:
            return False


def _read(record: Path) -> _Entry | None:
    try:
        with open_file(record) as file:
            pid, started, boot_id, signals = file.read(_MOST_BYTES).decode().split()
            owner = os.fstat(file.fileno()).st_uid
        numbers = tuple(int(number) for number in signals.split(","))
        # One that is in a folder of somebody else may be another name of a record of ours.
        is_at_home = record.parent.lstat().st_uid in (owner, os.geteuid())
        return _Entry(Process(int(pid), int(started)), boot_id, numbers, owner if is_at_home else None)
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _open_log(log: Path, user: ServerUser) -> Iterator[int]:
    """As the user opens it; a FIFO, which would keep us waiting, is refused."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    with user.acting():
        descriptor = os.open(log, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _reap() -> None:
    with _children_lock:
        ended = [pid for pid, child in _children.items() if child.poll() is not None]
        for pid in ended:
            del _children[pid]


def _state(pid: int) -> tuple[str, int] | None:
    """State letter and start time of a process; the name in between may hold anything.

    One whose first thread has ended before the others is no zombie yet: they still hold its files and addresses.
    """
    try:
        text = _read_system_file(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(b") ")[2].split()
    state, threads, started = fields[0].decode(), int(fields[17]), int(fields[19])
    return "R" if state == "Z" and threads > 1 else state, started


def _read_system_file(path: str) -> bytes:
    """The same as `read_bytes` of a `Path`, in half the time: hundreds of these are read in a round."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(descriptor, 65536), b""))
    finally:
        os.close(descriptor)


@functools.cache
def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()
