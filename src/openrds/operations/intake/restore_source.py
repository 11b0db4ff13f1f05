"""What a restore starts from: a backup, or a moment that a backup and the archived log reach.

Source: operations.md 5.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from openrds.domain.backup import BackupStatus
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, is_instance_id
from openrds.domain.lengths import Text
from openrds.domain.task import format_time
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.source import Source, moment_of
from openrds.store.database import Row
from openrds.store.instances import find_instance
from openrds.store.queries import Queries

_sql = Queries("backups")


class RestoreSource(msgspec.Struct):
    """As a caller writes it. `restore_time` is in Unix milliseconds; `type` is `backup` or `timestamp`."""

    instance_id: Text
    type: Text | None = None
    backup_id: Text | None = None
    restore_time: int | None = None
    database_name: dict[Text, Any] | None = None
    restore_all_database: bool | None = None


def find_source(intake: Intake, request: RestoreSource) -> tuple[Source, Row]:
    """The source and the row of its backup.

    Raises:
        Refusal: there is no such source, it is frozen, or the moment is out of its range.
    """
    if request.database_name:
        raise Refusal(ErrorCode.PARAMETER, "database_name is for SQL Server; leave it out.")
    if not is_instance_id(request.instance_id):
        raise Refusal(
            ErrorCode.INSTANCE_ID_FORMAT, "An instance id is 32 hexadecimal digits, `in` and 2 digits."
        )
    source = find_instance(intake.connection, request.instance_id)
    if (
        source is not None
        and source.status is InstanceStatus.FROZEN
        and source.project_id == intake.project_id
    ):
        raise Refusal(ErrorCode.FROZEN)
    kind = request.type or ("backup" if request.backup_id else "timestamp")
    if kind == "backup":
        return _by_backup(intake, request)
    if kind == "timestamp":
        return _by_time(intake, request)
    raise Refusal(ErrorCode.PARAMETER, "type must be backup or timestamp.")


def source_at(intake: Intake, instance_id: str, restore_time: int) -> tuple[Source, Row]:
    """The source for a moment: the newest backup before it, which has the least log to replay.

    Raises:
        Refusal: the moment is out of the range that can be restored.
    """
    ranges = intake.connection.execute(_sql.restorable_ranges, [instance_id]).fetchall()
    check_reached(instance_id, ranges, restore_time)
    moment = {"instance_id": instance_id, "moment": moment_of(restore_time)}
    base = intake.connection.execute(_sql.base_for, moment).fetchone()
    assert base is not None, "each range begins with the end of a backup"
    return Source(instance_id, base["id"], restore_time), base


def check_reached(instance_id: str, found: Sequence[Row], restore_time: int) -> None:
    """`found` are its `restorable_ranges`.

    Raises:
        Refusal: PARAMETER, the moment is in none of them.
    """
    if not found:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"Instance {instance_id} cannot be restored to a moment yet: it has no finished backup, or keeps none "
            "(keep_days 0).",
        )
    ranges = [range_of(row) for row in found]
    if not any(begin <= restore_time <= end for begin, end in ranges):
        wanted = " or ".join(f"{begin} to {end}" for begin, end in ranges)
        times = " or ".join(
            f"{format_time(row['start_time'])} to {format_time(row['end_time'])}" for row in found
        )
        raise Refusal(
            ErrorCode.PARAMETER,
            f"restore_time must be within {wanted} (milliseconds), which is {times}.",
        )


def check_same_names(target: Mapping[str, str], source: Mapping[str, str]) -> None:
    """Of the `options` of both: data is read as it was written.

    Raises:
        Refusal: PARAMETER, their servers compare names of tables in other ways.
    """
    here, there = (options.get("lower_case_table_names") for options in (target, source))
    if here != there:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"The target has lower_case_table_names {here}; it must be the source's {there}.",
        )


def check_not_a_source(intake: Intake, instance_id: str) -> None:
    """
    Raises:
        Refusal: INSTANCE_BUSY, when a restore to elsewhere reads the log of this instance.
    """
    task = intake.connection.execute(
        _sql.task_restoring_from_instance, {"instance_id": instance_id}
    ).fetchone()
    if task is not None:
        raise Refusal(
            ErrorCode.INSTANCE_BUSY,
            f"{task['name']} ({task['id']}) restores from it; wait until it has ended.",
        )


def milliseconds(moment: dt.datetime) -> int:
    """Exactly: a float has not the digits for it."""
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def range_of(row: Row) -> tuple[int, int]:
    """The first and the last millisecond of one of `restorable_ranges`."""
    return first_millisecond(row["start_time"]), milliseconds(row["end_time"])


def first_millisecond(moment: dt.datetime) -> int:
    """The first whole one that is not before a moment."""
    return milliseconds(moment + dt.timedelta(microseconds=999))


def _by_backup(intake: Intake, request: RestoreSource) -> tuple[Source, Row]:
    """A manual backup can be restored after its instance is gone."""
    if not request.backup_id:
        raise Refusal(ErrorCode.PARAMETER, "backup_id is required to restore a backup.")
    key = {"id": request.backup_id, "project_id": intake.project_id}
    backup = intake.connection.execute(_sql.get_backup, key).fetchone()
    if backup is None or backup["instance_id"] != request.instance_id:
        _check_source_instance(intake, request.instance_id)
        raise Refusal(
            ErrorCode.BACKUP_NOT_FOUND, f"Instance {request.instance_id} has no backup {request.backup_id}."
        )
    if backup["status"] != BackupStatus.COMPLETED:
        raise Refusal(ErrorCode.PARAMETER, f"Backup {backup['name']} is {backup['status']}, not COMPLETED.")
    return Source(request.instance_id, backup["id"], None), backup


def _by_time(intake: Intake, request: RestoreSource) -> tuple[Source, Row]:
    if request.restore_time is None:
        raise Refusal(ErrorCode.PARAMETER, "restore_time is required to restore to a moment.")
    _check_source_instance(intake, request.instance_id)
    task = intake.connection.execute(_sql.task_replacing, [request.instance_id]).fetchone()
    if task is not None:
        raise Refusal(
            ErrorCode.INSTANCE_BUSY,
            f"{task['name']} ({task['id']}) is running on the source; wait until it has ended.",
        )
    return source_at(intake, request.instance_id, request.restore_time)


def _check_source_instance(intake: Intake, instance_id: str) -> None:
    found = find_instance(intake.connection, instance_id)
    if found is None or found.project_id != intake.project_id:
        raise Refusal(ErrorCode.RESTORE_SOURCE, f"There is no instance {instance_id} to restore from.")
