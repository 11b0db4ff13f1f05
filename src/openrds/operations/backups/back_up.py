"""Back up an instance: a base backup, asked for by a caller, or due by the instance's policy."""

import datetime as dt
from uuid import UUID

import msgspec

from openrds.domain.backup import (
    BackupType,
    automatic_name,
    check_backup_description,
    check_backup_name,
)
from openrds.domain.deadline import LONG
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.new_backup import check_room, write_backup
from openrds.operations.steps import backing_up
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import keeping_servers, with_primary
from openrds.operations.steps.status import ACTIVE, SETTLED, looked_at, set_status
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, TaskContext

_sql = Queries("backups")


class DatabaseToBackUp(msgspec.Struct):
    name: Text


class CreateBackup(msgspec.Struct):
    instance_id: Text
    name: Text
    description: Text = ""
    databases: Several[DatabaseToBackUp] | None = None
    backup_database_individually: bool | None = None


class Parameters(msgspec.Struct, frozen=True):
    backup_id: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, request: CreateBackup) -> tuple[Row, UUID]:
    """The row of the backup to be, and its task."""
    check_backup_name(request.name)
    check_backup_description(request.description)
    for field in ("databases", "backup_database_individually"):
        if getattr(request, field):
            raise Refusal(
                ErrorCode.PARAMETER, f"{field} is for SQL Server; a backup has all databases of an instance."
            )
    instance = intake.instance(request.instance_id)
    return _accept(intake, instance, BackupType.MANUAL, request.name, request.description)


def submit_automatic(intake: Intake, instance_id: str, now: dt.datetime) -> tuple[Row, UUID]:
    instance = intake.instance(instance_id)
    return _accept(intake, instance, BackupType.AUTO, automatic_name(instance.name, now))


def stop(intake: Intake, instance_id: str) -> UUID:
    """Say that the running backup of an instance is not wanted any more; the id of its task, which fails then."""
    instance = intake.instance(instance_id)
    backup = intake.connection.execute(_sql.running_backup, [instance.id]).fetchone()
    if backup is None or backup["recycled"] is not None:
        raise Refusal(ErrorCode.STATUS_FORBIDS, "No backup of the instance is running.")
    intake.connection.execute(_sql.stop_backup, [backup["id"]])
    (task,) = intake.connection.execute(_sql.task_making_backup, [instance.id]).fetchall()
    task_id: UUID = task["id"]
    return task_id


def _accept(
    intake: Intake, instance: Instance, type_: BackupType, name: str, description: str = ""
) -> tuple[Row, UUID]:
    if instance.type is InstanceType.REPLICA:
        raise Refusal(ErrorCode.INSTANCE_TYPE, "A read replica has no backups; back up its primary.")
    running = intake.connection.execute(_sql.running_backup, [instance.id]).fetchone()
    if running is not None:
        raise Refusal(ErrorCode.BACKUP_RUNNING, f"Backup {running['name']} of the instance is running.")
    intake.check(instance, BACK_UP)
    check_room(intake, instance, "the backup", of_quota=type_ is BackupType.MANUAL)
    backup = write_backup(intake, instance, type_, name, description)
    return backup, intake.accept(instance, BACK_UP, Parameters(backup["id"]))


@with_primary
@keeping_servers
def copy_data(context: Context) -> Output:
    server = context.resources.primary_server(context.instance_id)
    facts = backing_up.copy_data(context.resources, server, context.instance_id, context.parameters.backup_id)
    return {"facts": msgspec.to_builtins(facts)}


def remove_copy(context: Context) -> None:
    context.resources.host.backups.remove(context.instance_id, context.parameters.backup_id)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    facts = msgspec.convert(context.outputs["copy data"]["facts"], backing_up.Facts)
    backing_up.complete(connection, context.parameters.backup_id, facts)
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)


def failed(context: TaskContext[Parameters], connection: Writer, status: InstanceStatus) -> None:
    connection.execute(_sql.fail_backup, [context.parameters.backup_id])
    set_status(connection, context.instance_id, status)


BACK_UP: Operation[Resources, Parameters] = Operation(
    key="back_up",
    name=TaskName.BACK_UP,
    action=Action.BACK_UP,
    status=InstanceStatus.BACKING_UP,
    parameters=Parameters,
    steps=(Step("copy data", copy_data, undo=remove_copy, expected=1.0, deadline=LONG),),
    on_completed=Ending(completed, statuses=ACTIVE),
    on_failed=Ending(failed, looked_at, SETTLED),
)
