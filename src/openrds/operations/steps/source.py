"""What a restore starts from, as its steps need it."""

import datetime as dt

import msgspec

from openrds.domain.errors import ErrorCode, Refusal


class Source(msgspec.Struct, frozen=True):
    """As the steps need it: the log of instance `source_id` is replayed on the backup, up to `restore_time` if any.

    With `to_the_end` the source is no more, and what there is of its log is replayed.
    """

    source_id: str
    backup_id: str
    restore_time: int | None
    to_the_end: bool = False

    @property
    def moment(self) -> dt.datetime | None:
        return None if self.restore_time is None else moment_of(self.restore_time)


def moment_of(milliseconds: int) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC)
    except (OverflowError, ValueError, OSError):
        raise Refusal(ErrorCode.PARAMETER, "restore_time must be Unix milliseconds.") from None
