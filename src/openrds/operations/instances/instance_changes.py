"""The small changes of an instance that are done when they are answered: no task, no server involved.

Source: reads.md 1.3, 3.2 and 6.
"""

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain import rules
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.growth import growth_of
from openrds.domain.instance import InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.metrics import CLOSE_INTERVALS
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.scheduling import replan
from openrds.store.queries import Queries

_sql = Queries("instances")

_GROWTH_FIELDS = ("limit_size", "trigger_threshold", "step_percent")
LOG_RETENTION_HOURS = range(169)
#: A day at most; the contract has no bound.
UNLOCKED_MINUTES = range(24 * 60 + 1)


class Rename(msgspec.Struct):
    name: Text


class SetAlias(msgspec.Struct):
    alias: Text


class SetMaintenanceWindow(msgspec.Struct):
    """Both `HH:MM`, UTC."""

    start_time: Text
    end_time: Text


class BackupPolicy(msgspec.Struct):
    keep_days: int
    start_time: Text | None = None
    period: Text | None = None


class SetBackupPolicy(msgspec.Struct):
    backup_policy: BackupPolicy


class LogPolicy(msgspec.Struct):
    """For how many hours a server keeps log that is in the archive."""

    binlog_retention_hours: int


class SetVolumeGrowth(msgspec.Struct):
    """Sizes in GB; without a `step_percent` by 15 percent."""

    switch_option: bool
    limit_size: int | None = None
    trigger_threshold: int | None = None
    step_percent: int | None = None


class SetAutoUpgrade(msgspec.Struct):
    switch_option: bool


class Unlock(msgspec.Struct):
    """For how many minutes clients may write although the volume is full."""

    status_preservation_time: int = 30


class SetMonitoring(msgspec.Struct):
    """`interval` in seconds, 1 or 5; needed to switch it on."""

    switch_option: bool
    interval: int | None = None


class TagChange(msgspec.Struct):
    key: Text
    value: Text | None = None


class ChangeTags(msgspec.Struct):
    action: Text
    tags: Several[TagChange]


def rename(intake: Intake, instance_id: str, request: Rename) -> None:
    instance = intake.instance(instance_id)
    rules.check_name(request.name, instance.engine)
    intake.connection.execute(_sql.set_name, {"id": instance_id, "name": request.name})


def set_alias(intake: Intake, instance_id: str, request: SetAlias) -> None:
    intake.instance(instance_id)
    rules.check_alias(request.alias)
    intake.connection.execute(_sql.set_alias, {"id": instance_id, "alias": request.alias})


def set_maintenance_window(intake: Intake, instance_id: str, request: SetMaintenanceWindow) -> None:
    intake.instance(instance_id)
    window = rules.maintenance_window(request.start_time, request.end_time)
    intake.connection.execute(_sql.set_maintenance_window, {"id": instance_id, "window": window})
    replan(intake, instance_id, window)


def set_backup_policy(intake: Intake, instance_id: str, request: SetBackupPolicy) -> None:
    """Keeping backups for any days needs a window and a period."""
    instance = intake.instance(instance_id)
    policy = request.backup_policy
    rules.check_keep_days(policy.keep_days)
    if policy.keep_days > 0 and instance.type is InstanceType.REPLICA:
        raise Refusal(ErrorCode.INSTANCE_TYPE, "A read replica has no backups; its primary keeps them.")
    if policy.keep_days > 0 and (policy.start_time is None or policy.period is None):
        raise Refusal(ErrorCode.PARAMETER, "start_time and period are required when keep_days is above 0.")
    if policy.start_time is not None:
        rules.check_backup_window(policy.start_time)
    if policy.period is not None:
        rules.check_backup_period(policy.period)
    intake.connection.execute(_sql.set_backup_policy, {"id": instance_id, **msgspec.structs.asdict(policy)})


def set_log_policy(intake: Intake, instance_id: str, request: LogPolicy) -> None:
    instance = intake.instance(instance_id)
    check_keeps_log(instance)
    if request.binlog_retention_hours not in LOG_RETENTION_HOURS:
        raise Refusal(
            ErrorCode.PARAMETER, f"binlog_retention_hours must be 0 to {LOG_RETENTION_HOURS.stop - 1}."
        )
    intake.connection.execute(
        _sql.set_log_retention, {"id": instance_id, "hours": request.binlog_retention_hours}
    )


def show_values_of_slow_log(intake: Intake, instance_id: str, *, shown: bool) -> None:
    intake.instance(instance_id)
    intake.connection.execute(_sql.set_slow_log_with_values, {"id": instance_id, "shown": shown})


def set_volume_growth(intake: Intake, instance_id: str, request: SetVolumeGrowth) -> None:
    instance = intake.instance(instance_id)
    growth = None
    if request.switch_option:
        given = (request.limit_size, request.trigger_threshold, request.step_percent)
        growth = growth_of(_GROWTH_FIELDS, *given, present=instance.volume_size)
    said = None if growth is None else Jsonb(msgspec.structs.asdict(growth))
    intake.connection.execute(_sql.set_growth, {"id": instance_id, "growth": said})


def set_auto_upgrade(intake: Intake, instance_id: str, request: SetAutoUpgrade) -> None:
    """What is planned already stays planned."""
    intake.instance(instance_id)
    intake.connection.execute(_sql.set_auto_upgrade, {"id": instance_id, "is_on": request.switch_option})


def unlock(intake: Intake, instance_id: str, request: Unlock) -> None:
    """So that they can delete something. The round over the volumes lets them, and ends it."""
    instance = intake.instance(instance_id)
    if not instance.storage_full and instance.writable_until is None:
        raise Refusal(ErrorCode.STATUS_FORBIDS, "The instance is not read-only because its volume is full.")
    minutes = request.status_preservation_time
    if minutes not in UNLOCKED_MINUTES:
        raise Refusal(
            ErrorCode.PARAMETER, f"status_preservation_time must be 0 to {UNLOCKED_MINUTES.stop - 1} minutes."
        )
    intake.connection.execute(_sql.set_writable, {"id": instance_id, "minutes": minutes})


def set_monitoring(intake: Intake, instance_id: str, request: SetMonitoring) -> None:
    intake.instance(instance_id)
    interval = request.interval
    if (request.switch_option or interval is not None) and interval not in CLOSE_INTERVALS:
        raise Refusal(ErrorCode.PARAMETER, "interval must be 1 or 5, in seconds.")
    seconds = interval if request.switch_option else None
    intake.connection.execute(_sql.set_monitor_interval, {"id": instance_id, "seconds": seconds})


def check_keeps_log(instance: Instance) -> None:
    """
    Raises:
        Refusal: INSTANCE_TYPE, it has no log that callers could read.
    """
    if not RULES[instance.engine].keeps_log:
        raise Refusal(ErrorCode.INSTANCE_TYPE, f"{instance.engine} has no binary log.")


def change_tags(intake: Intake, instance_id: str, request: ChangeTags) -> None:
    """`create` adds tags and replaces values; `delete` removes by key, and by value where one is given."""
    instance = intake.instance(instance_id)
    rules.check_one_of("action", request.action, ("create", "delete"))
    rules.check_tags([(tag.key, tag.value or "") for tag in request.tags])
    tags = dict(instance.tags)
    for tag in request.tags:
        if request.action == "create":
            tags[tag.key] = tag.value or ""
        elif tag.value in (None, "", tags.get(tag.key)):
            tags.pop(tag.key, None)
    rules.check_tags(list(tags.items()))
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    intake.connection.execute(_sql.set_tags, {"id": instance_id, "tags": Jsonb(listed)})
