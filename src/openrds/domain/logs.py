"""What servers write down of themselves: errors, and statements that took long."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

#: For how long it can be asked for, and is kept. Source: reads.md 10; a month is 30 days, and the day that is running.
KEPT = dt.timedelta(days=31)

#: A statement is slow that takes longer, in seconds.
SLOW_SECONDS = 1.0
_MILLISECONDS = "log_min_duration_statement"
_SECONDS = "long_query_time"


def slow_seconds(parameters: Mapping[str, str]) -> str:
    """From how many seconds on a statement is slow on an instance with these parameters; `-1` where none is."""
    if _MILLISECONDS in parameters:
        milliseconds = int(parameters[_MILLISECONDS])
        return "-1" if milliseconds < 0 else f"{milliseconds / 1000:g}"
    return f"{float(parameters.get(_SECONDS, SLOW_SECONDS)):g}"


class LogKind(StrEnum):
    ERROR = "error"
    SLOW = "slow"


#: Of an entry, as callers ask for them. Source: reads.md 10.
LEVELS = ("INFO", "LOG", "WARNING", "ERROR", "FATAL", "PANIC", "NOTE")


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """`at` is in microseconds since 1970, UTC; `statement` is the one that failed, where the server says so."""

    at: int
    level: str
    content: str
    statement: str = ""


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """A statement that ended `at` (microseconds since 1970, UTC), as it was sent; times in seconds.

    What a server does not note is 0 or empty.
    """

    at: int
    seconds: float
    database: str
    user: str
    client: str
    statement: str
    lock_seconds: float = 0.0
    rows_sent: int = 0
    rows_examined: int = 0


Entry: TypeAlias = ErrorEntry | SlowEntry


@dataclass(frozen=True)
class Window:
    """Both ends belong to it."""

    since: dt.datetime
    until: dt.datetime

    def __contains__(self, at: int) -> bool:
        return microseconds(self.since) <= at <= microseconds(self.until)


def microseconds(moment: dt.datetime) -> int:
    """Since 1970, of an aware moment."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def moment_of(at: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=at)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
