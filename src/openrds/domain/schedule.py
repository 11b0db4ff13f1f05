"""Scheduled tasks: work that waits for its instance's maintenance window. Source: task-center.md 4."""

import datetime as dt
from collections.abc import Mapping
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


class EventStatus(StrEnum):
    """What a scheduled task is as a planned event. Nothing waits for a consent, so none is WAITING or INQUIRING."""

    WAITING = "WAITING"
    INQUIRING = "INQUIRING"
    SCHEDULED = "SCHEDULED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


EVENT_STATUSES: Mapping[ScheduleStatus, EventStatus] = {
    ScheduleStatus.INITING: EventStatus.WAITING,
    ScheduleStatus.UNAUTHORIZED: EventStatus.INQUIRING,
    ScheduleStatus.PENDING: EventStatus.SCHEDULED,
    ScheduleStatus.RUNNING: EventStatus.EXECUTING,
    ScheduleStatus.COMPLETED: EventStatus.COMPLETED,
    ScheduleStatus.FAILED: EventStatus.FAILED,
    ScheduleStatus.CANCELED: EventStatus.CANCELED,
}


def window_of(day: dt.date, window: str) -> tuple[dt.datetime, dt.datetime]:
    """Begin and end of a window `HH:MM-HH:MM` (UTC) that begins on a day; it may pass midnight."""
    begin, end = (dt.time.fromisoformat(part) for part in window.split("-"))
    begins, ends = dt.datetime.combine(day, begin, dt.UTC), dt.datetime.combine(day, end, dt.UTC)
    return begins, ends if ends > begins else ends + dt.timedelta(days=1)


def next_window(window: str, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Begin and end of a daily window `HH:MM-HH:MM` (UTC): of the one that is open, else of the next."""
    yesterday = now.astimezone(dt.UTC).date() - dt.timedelta(days=1)
    for day in (yesterday + dt.timedelta(days=number) for number in range(3)):
        begins, ends = window_of(day, window)
        if now < ends:
            return begins, ends
    raise AssertionError("a daily window comes round within two days")
