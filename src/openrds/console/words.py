"""How values are said to a person: a status with its icon and colour, times, durations."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from openrds.domain.instance import InstanceStatus
from openrds.domain.schedule import ScheduleStatus
from openrds.domain.task import StepStatus, TaskStatus

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Look(NamedTuple):
    """Never the colour alone: `icon` is of `icons.svg`, `tone` a class of the style."""

    icon: str
    tone: str


_GOOD, _BAD, _BUSY, _REST = (
    Look("check", "good"),
    Look("cross", "bad"),
    Look("busy", "busy"),
    Look("dot", "rest"),
)
_BACK = Look("back", "warn")

_LOOKS: Mapping[str, Look] = {
    TaskStatus.RUNNING: _BUSY,
    TaskStatus.COMPLETED: _GOOD,
    TaskStatus.FAILED: _BAD,
    StepStatus.PLANNED: _REST,
    StepStatus.UNDOING: _BACK,
    StepStatus.UNDONE: _BACK,
    StepStatus.UNDO_FAILED: _BAD,
    ScheduleStatus.PENDING: Look("clock", "rest"),
    ScheduleStatus.CANCELED: _REST,
    InstanceStatus.ACTIVE: _GOOD,
    InstanceStatus.FAILED: _BAD,
    InstanceStatus.CREATE_FAIL: _BAD,
    InstanceStatus.STORAGE_FULL: Look("warning", "warn"),
    InstanceStatus.FROZEN: _REST,
    InstanceStatus.SHUTDOWN: _REST,
}


def look(status: str) -> Look:
    """What is not named here is something that goes on."""
    return _LOOKS.get(status, _BUSY)


def moment(value: dt.datetime | None) -> str:
    return "" if value is None else value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """Such as `40 ms`, `1.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`; empty for None."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, smaller, smaller_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // smaller} {smaller_name}"
    return f"{whole // _MINUTE} min {whole % _MINUTE} s" if whole >= _MINUTE else f"{whole} s"


def size(kilobytes: int) -> str:
    megabytes = kilobytes / 1024
    return f"{megabytes / 1024:.1f} GB" if megabytes >= 1024 else f"{megabytes:.1f} MB"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "look": look,
    "moment": moment,
    "duration": duration,
    "size": size,
}
