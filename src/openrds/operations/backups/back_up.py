"""Back up an instance: a base backup, asked for by a caller, or due by the instance's policy."""

import datetime as dt
from pathlib import Path
from uuid import UUID

import msgspec

from openrds.domain.backup import (
    BackupType,
    automatic_name,
    check_backup_description,
    check_backup_name,
    new_backup_id,
)
from openrds.domain.deadline import LONG
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import BaseBackup, NodeSpec
from openrds.hosts.folders import read
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.quotas import check_backups, check_disk
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import keeping_servers, with_primary
from openrds.operations.steps.status import ACTIVE, SETTLED, looked_at, set_status
from openrds.store.database import Row, Writer
from openrds.store.instances import nodes_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, StepFailed, TaskContext

_sql = Queries("backups")

#: What the engine said of a backup, in the folder beside its data: a second run of the step finds it there.
_FACTS = "backup.json"


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


class Facts(msgspec.Struct, frozen=True):
    """What is recorded of a finished backup; `size_kb` is what it takes on disk."""

    end_time: dt.datetime
    log_position: str
    size_kb: int


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, request: CreateBackup) -> tuple[Row, UUID]:
    """The row of the backup to be, and its task."""
    check_backup_name(request.name)
    check_backup_description(request.description)
    if request.databases:
        raise Refusal(
            ErrorCode.PARAMETER, "databases is for SQL Server; a backup has all databases of an instance."
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
    if backup is None:
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
    _check_room(intake, instance, type_)
    backup = _write(intake, instance, type_, name, description)
    return backup, intake.accept(instance, BACK_UP, Parameters(backup["id"]))


def _check_room(intake: Intake, instance: Instance, type_: BackupType) -> None:
    """A backup takes about as much as the data, which was measured half a minute ago at most."""
    primary, *_ = nodes_of(intake.connection, instance.id)
    size = primary.used_bytes or 0
    if type_ is BackupType.MANUAL:
        check_backups(intake.connection, intake.project_id, intake.settings, size // 1024)
    check_disk(intake.settings, "the backup", size)


def _write(intake: Intake, instance: Instance, type_: BackupType, name: str, description: str) -> Row:
    node, *_ = nodes_of(intake.connection, instance.id)
    columns = {
        "id": new_backup_id(instance.engine),
        "instance_id": instance.id,
        "host": node.host,
        "name": name,
        "description": description,
        "type": type_,
    }
    written = intake.connection.execute(_sql.insert_backup, columns).fetchone()
    if written is None:
        raise Refusal(ErrorCode.BACKUP_NAME, f"There is a backup {name} already; choose another name.")
    return written


@with_primary
@keeping_servers
def copy_data(context: Context) -> Output:
    """The backup has its name only when it is whole and on disk."""
    resources, backup_id = context.resources, context.parameters.backup_id
    finished = resources.host.backups.backup(context.instance_id, backup_id) / _FACTS
    if not finished.exists():
        unfinished = resources.host.backups.begin(context.instance_id, backup_id)
        made = _back_up(context, unfinished)
        (unfinished / _FACTS).write_bytes(_facts(made))
        resources.host.backups.finish(context.instance_id, backup_id, unfinished)
    return {"facts": msgspec.json.decode(read(finished))}


def _back_up(context: Context, folder: Path) -> BaseBackup:
    _check_wanted(context)
    try:
        made = context.resources.engine(context.instance_id).backups.back_up(_primary(context), folder)
    finally:
        _check_wanted(context)
    return made


def _check_wanted(context: Context) -> None:
    """
    Raises:
        StepFailed: the backup was stopped.
    """
    (backup,) = context.resources.store.rows(_sql.backup_by_id, [context.parameters.backup_id])
    if backup["stopping"]:
        raise StepFailed("it was stopped, as was asked for")


def remove_copy(context: Context) -> None:
    context.resources.host.backups.remove(context.instance_id, context.parameters.backup_id)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    facts = msgspec.convert(context.outputs["copy data"]["facts"], Facts)
    connection.execute(
        _sql.complete_backup, {"id": context.parameters.backup_id, **msgspec.structs.asdict(facts)}
    )
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)


def failed(context: TaskContext[Parameters], connection: Writer, status: InstanceStatus) -> None:
    connection.execute(_sql.fail_backup, [context.parameters.backup_id])
    set_status(connection, context.instance_id, status)


def _facts(made: BaseBackup) -> bytes:
    return msgspec.json.encode(Facts(made.end, made.log_position, -(-made.size_bytes // 1024)))


def _primary(context: Context) -> NodeSpec:
    return context.resources.primary_server(context.instance_id).node


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
