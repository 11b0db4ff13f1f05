"""Scheduled tasks: work that waits for its instance's maintenance window. Source: task-center.md 4."""

import datetime as dt
from enum import StrEnum


class ScheduledName(StrEnum):
    """What waits. `RESIZE_FLAVOR` is the contract's; a sibling service names the others."""

    RESTART = "REBOOT"
    RESIZE_FLAVOR = "RESIZE_FLAVOR"
    UPGRADE = "UPGRADE_DATABASE"


class ScheduleStatus(StrEnum):
    """`Running`, `Completed` and `Failed` are those of the task that it became.

    `Initing` and `Unauthorized` may be asked for, and openrds has none.
    """

    INITING = "Initing"
    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    UNAUTHORIZED = "Unauthorized"
    CANCELED = "Canceled"


def next_window(window: str, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Begin and end of a daily window `HH:MM-HH:MM` (UTC): of the one that is open, else of the next."""
    begin, end = (dt.time.fromisoformat(part) for part in window.split("-"))
    yesterday = now.astimezone(dt.UTC).date() - dt.timedelta(days=1)
    for day in (yesterday + dt.timedelta(days=number) for number in range(3)):
        begins = dt.datetime.combine(day, begin, dt.UTC)
        ends = dt.datetime.combine(day, end, dt.UTC)
        if ends <= begins:
            ends += dt.timedelta(days=1)
        if now < ends:
            return begins, ends
    raise AssertionError("a daily window comes round within two days")
