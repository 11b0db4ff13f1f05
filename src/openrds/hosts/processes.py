"""
Servers as processes that outlive openrds, and are found again.

A process is told from a later one with the same pid by its start time, and from one before a reboot by the
boot's id. Both stand in a record beside the node's data, with the signals that stop it: whoever reads the
record can stop the server without knowing what it is.
"""

import contextlib
import functools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from openrds.domain.deadline import check_deadline
from openrds.domain.texts import number_in
from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser

#: The name of the record in a node's folder.
RECORD = "process"
#: A data directory is called so in whatever folder a server has; none has a record in it.
DATA = "data"

_RECORD_SECONDS = 60.0
_KILL_SECONDS = 10.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: The record is written by the process itself before it becomes the server: from the moment that a server
#: exists it can be found, even if we die right after the fork. It begins once it is told so, which is when it is
#: under its limits: should we die before, there is no server.
_START = r"""
set -eu
umask 077
record=$1 signals=$2
shift 2
read -r stat < "/proc/$$/stat"
read -r boot < /proc/sys/kernel/random/boot_id
take_start() { shift 19; start=$1; }
take_start ${stat##*) }
printf '%s %s %s %s\n' "$$" "$start" "$boot" "$signals" > "$record.$$"
command -p mv -f "$record.$$" "$record"
read -r go
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

    def works_in(self, folder: Path, program: str) -> bool:
        """Whether it runs this program, such as `postgres`, with this as its current folder."""
        place = Path(f"/proc/{self.pid}")
        try:
            executable = (place / "exe").readlink().name
            if executable.removesuffix(" (deleted)") != program:
                return False
            return os.path.samestat((place / "cwd").stat(), folder.stat())
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
    Start a server in a session of its own; its output is appended to `log`, a file of the user's.

    It is recorded when this returns; whether it came up is for the caller to find out. `admit` gets its pid before it
    does anything, to put it under limits.

    Raises:
        HostError: it could not be started at all, or not admitted.
    """
    signals = ",".join(str(int(number)) for number in stop_signals)
    command = ["/bin/sh", "-c", _START, "openrds-start", str(record), signals, *map(str, argv)]
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
                **user.identity(),
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"Could not start {command[6]}: {error}.") from error
    _let_begin(child, admit)
    return _recorded(child, record)


def _let_begin(child: _Child, admit: Callable[[int], None] | None) -> None:
    """It ends by itself where it was not admitted."""
    assert child.stdin is not None
    admitted = False
    try:
        if admit is not None:
            admit(child.pid)
        admitted = True
    finally:
        with contextlib.suppress(BrokenPipeError), child.stdin:
            if admitted:
                child.stdin.write(b"go\n")
        if not admitted:
            child.wait()


def find(record: Path) -> Process | None:
    """The living process of a record; None if there is no record, or its process is gone."""
    entry = _read(record)
    if entry is not None and entry.is_true():
        return entry.process
    _reap()
    return None


def write_record(
    record: Path,
    process: Process,
    user: ServerUser,
    stop_signals: Iterable[signal.Signals] = (signal.SIGTERM,),
) -> None:
    """Record a process that was found in another way."""
    signals = ",".join(str(int(number)) for number in stop_signals)
    user.write(record, f"{process.pid} {process.started} {_boot_id()} {signals}\n")


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
    """The records of all servers in a folder, at any depth, but not inside a data directory."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != DATA]
        if RECORD in files:
            yield Path(place) / RECORD


def working_in(folder: Path, program: str) -> list[Process]:
    """The living processes of a program whose current folder is this one."""
    pids = filter(None, (number_in(entry.name) for entry in Path("/proc").iterdir()))
    return [process for process in map(Process.of, pids) if process and process.works_in(folder, program)]


@dataclass(frozen=True)
class _Entry:
    process: Process
    boot_id: str
    stop_signals: tuple[int, ...]
    owner: int

    def is_true(self) -> bool:
        """The record is of the process's user: no server shall make us, as root, kill another's process."""
        if self.boot_id != _boot_id() or not self.process.is_alive():
            return False
        try:
            return os.stat(f"/proc/{self.process.pid}").st_uid == self.owner  # noqa: PTH116 -- asked often
        except OSError:
            return False


def _read(record: Path) -> _Entry | None:
    try:
        pid, started, boot_id, signals = record.read_text().split()
        numbers = tuple(int(number) for number in signals.split(","))
        return _Entry(Process(int(pid), int(started)), boot_id, numbers, record.stat().st_uid)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _recorded(child: _Child, record: Path) -> Process:
    found = _state(child.pid)  # even if it died: it is not reaped before it is among the children
    process = Process(child.pid, found[1] if found else 0)
    with _children_lock:
        _children[child.pid] = child

    def settled() -> bool:
        entry = _read(record)
        return (entry is not None and entry.process == process) or not process.is_alive()

    if not wait_until(settled, _RECORD_SECONDS):
        raise HostError(f"The process {child.pid} did not write its record {record}.")
    return process


@contextlib.contextmanager
def _open_log(log: Path, user: ServerUser) -> Iterator[int]:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, user.uid, user.gid)
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
