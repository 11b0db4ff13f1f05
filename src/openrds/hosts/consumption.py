"""What a server takes of its host, as the kernel counts it: no server is asked."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openrds.hosts.processes import find

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Consumption:
    """`cpu_seconds` of all its processes since it was started, those that ended too; `memory_bytes` in RAM now.

    What its processes share is counted once.
    """

    cpu_seconds: float
    memory_bytes: int


def consumption_of(record: Path) -> Consumption | None:
    """None where the server of a record does not run, or the system does not say."""
    process = find(record)
    if process is None:
        return None
    try:
        pids = [process.pid, *map(int, _text(process.pid, f"task/{process.pid}/children").split())]
        found = [one for pid in pids if (one := _of_process(pid)) is not None]
    except OSError:
        return None
    if not found:
        return None
    ticks, own, shared = (list(column) for column in zip(*found, strict=True))
    return Consumption(sum(ticks) / _TICKS, (sum(own) + max(shared)) * _PAGE)


def _of_process(pid: int) -> tuple[int, int, int] | None:
    """Ticks, with those of children that ended, and pages in RAM of its own and shared; None if it is gone."""
    try:
        # The name of the program stands in parentheses, and may hold blanks.
        times = _text(pid, "stat").rpartition(b")")[2].split()[11:15]
        _, resident, shared, *_ = map(int, _text(pid, "statm").split())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return sum(map(int, times)), resident - shared, shared


def _text(pid: int, name: str) -> bytes:
    """Without what Python's files are made of: this is done some twenty times for each server."""
    descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(partial(os.read, descriptor, 1 << 16), b""))
    finally:
        os.close(descriptor)
