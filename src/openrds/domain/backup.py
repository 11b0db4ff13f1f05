"""A backup: its ids, types and statuses, and the rules for what a caller calls it. Source: operations.md 14."""

import datetime as dt
import re
import secrets
from enum import StrEnum

from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{3,63}")
_FORBIDDEN = set("<>!\"&'=")
_LONGEST_DESCRIPTION = 256
_DAY = dt.timedelta(days=1)
_WINDOW = dt.timedelta(hours=1)


class BackupType(StrEnum):
    AUTO = "auto"
    MANUAL = "manual"


class BackupStatus(StrEnum):
    BUILDING = "BUILDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    DELETING = "DELETING"


def new_backup_id(engine: EngineName) -> str:
    """32 hexadecimal digits and `br` with the engine's digits, such as `…br03` for PostgreSQL."""
    return f"{secrets.token_hex(16)}br{RULES[engine].id_digits}"


def automatic_name(instance_name: str, now: dt.datetime) -> str:
    return f"{instance_name[:49]}-{now.astimezone(dt.UTC):%Y%m%d%H%M%S}"


def check_backup_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refusal(
            ErrorCode.BACKUP_NAME,
            "The backup name must have 4 to 64 characters, begin with a letter and hold only letters, digits, "
            "hyphens and underscores.",
        )


def check_backup_description(description: str) -> None:
    if len(description) > _LONGEST_DESCRIPTION or _FORBIDDEN & set(description):
        raise Refusal(
            ErrorCode.BACKUP_DESCRIPTION,
            f"The backup description must have at most {_LONGEST_DESCRIPTION} characters, and none of >!<\"&'=",
        )


def window_begin(window: str, now: dt.datetime) -> dt.datetime:
    """When the backup window `hh:mm-HH:MM` (UTC) last began."""
    hours, minutes = map(int, window[:5].split(":"))
    begin = now.astimezone(dt.UTC).replace(hour=hours, minute=minutes, second=0, microsecond=0)
    return begin if begin <= now else begin - _DAY


def next_begin(window: str, now: dt.datetime) -> dt.datetime:
    """When the backup window begins next, whether that is one of its days or not."""
    return window_begin(window, now) + _DAY


def is_due(window: str, period: str, last: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether the window is open, on one of its days (1 is Monday), and nothing was done in it yet."""
    begin = window_begin(window, now)
    on_its_day = str(begin.isoweekday()) in period.split(",")
    return on_its_day and now < begin + _WINDOW and (last is None or last < begin)
