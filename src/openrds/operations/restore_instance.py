"""Restore a backup, or another instance as it was at a moment, onto an existing instance. Source: operations.md 5.2.

The data is made beside the present one, which serves meanwhile. The present one is kept until the restored one serves.
"""

import contextlib
import shutil
from pathlib import Path
from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError, Server
from openrds.operations import restoring
from openrds.operations.intake import Intake
from openrds.operations.resources import Resources, set_status, settle_by_looking
from openrds.operations.restore_source import RestoreSource, Source, check_not_a_source, find_source
from openrds.operations.servers import check_endpoint
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Output, Step, StepContext

_sql = Queries("backups")
_instances = Queries("instances")

#: Folders of a node: its data as it was before, and the same when it is being removed.
_BEFORE = "before"
_REMOVED = "removed"


class RestoreTarget(msgspec.Struct):
    instance_id: str


class RestoreInstance(msgspec.Struct):
    source: RestoreSource
    target: RestoreTarget


Context = StepContext[Resources, Source]


def submit(intake: Intake, request: RestoreInstance) -> UUID:
    if request.source.instance_id == request.target.instance_id:
        raise Refusal(
            ErrorCode.PARAMETER,
            "PostgreSQL is not restored onto the instance itself; restore to another one, or tables under new names.",
        )
    target = intake.instance(request.target.instance_id)
    source, backup = find_source(intake, request.source)
    _check_fits(target, backup)
    _check_followed_by_none(intake, target)
    intake.check(target, Action.RESTORE_ONTO)
    check_not_a_source(intake, target["id"])
    task_id = intake.accept(target, RESTORE_INSTANCE, TaskName.RESTORE_ONTO, source)
    intake.set_status(target, InstanceStatus.RESTORING)
    return task_id


def _check_followed_by_none(intake: Intake, target: Row) -> None:
    replicas = intake.connection.execute(_instances.replicas_of_instance, [target["id"]]).fetchall()
    if replicas:
        names = ", ".join(replica["name"] for replica in replicas)
        raise Refusal(
            ErrorCode.INSTANCE_TYPE, f"Read replicas follow the target ({names}); delete them first."
        )


def _check_fits(target: Row, backup: Row) -> None:
    if target["type"] != InstanceType.SINGLE:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"The target is {target['type']}; only a single instance can be restored onto. Restore to a new one.",
        )
    if (target["engine"], target["version"]) != (backup["engine"], backup["version"]):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"The target is {target['engine']} {target['version']}; it must be the source's "
            f"{backup['engine']} {backup['version']}.",
        )
    if target["volume_size"] < backup["volume_size"]:
        raise Refusal(
            ErrorCode.RESTORE_VOLUME,
            f"The target's volume has {target['volume_size']} GB; it must have the source's "
            f"{backup['volume_size']} GB. Enlarge it first.",
        )


def restore_data(context: Context) -> None:
    node = _server(context).node
    restoring.archive_source_log(context.resources, context.parameters)
    restoring.restore_apart(context.resources, context.parameters, node, str(context.task_id))


def remove_restored(context: Context) -> None:
    restoring.remove_apart(context.resources, _server(context), str(context.task_id))


def stop_server(context: Context) -> None:
    _server(context).stop()


def start_server(context: Context) -> None:
    server = _server(context)
    context.resources.start(server)
    check_endpoint(context.resources, context.instance_id)


def swap_data(context: Context) -> None:
    """The archive begins anew too: the log to come has nothing to do with the log that was."""
    stop_server(context)
    node = _server(context).node
    before, restored = node.folder / _BEFORE, restoring.restored_data(node)
    if restored.exists():
        if not (before / node.data_dir.name).exists() and node.data_dir.exists():
            context.resources.backups.user.make_folder(before)
            node.data_dir.rename(before / node.data_dir.name)
        restored.rename(node.data_dir)
    context.resources.backups.set_archive_aside(context.instance_id, _mark(context))


def swap_back(context: Context) -> None:
    """One that was broken before the restore may be broken still."""
    node = _server(context).node
    before = node.folder / _BEFORE / node.data_dir.name
    if before.exists():
        shutil.rmtree(node.data_dir, ignore_errors=True)
        before.rename(node.data_dir)
        before.parent.rmdir()
        context.resources.backups.bring_archive_back(context.instance_id, _mark(context))
    with contextlib.suppress(EngineError):
        start_server(context)


def remove_old_data(context: Context) -> None:
    """Hidden before it is removed: data that is only half there is not swapped back."""
    # No log leads from the backups of before to what is to come.
    context.resources.store.rows(_sql.break_continuity, [context.instance_id])
    folder = _server(context).node.folder
    for place in (folder / _BEFORE, folder / _REMOVED):
        _remove(place, folder / _REMOVED)
    restoring.remove_apart(context.resources, _server(context), str(context.task_id))
    context.resources.backups.forget_aside(context.instance_id)


def _remove(place: Path, hidden: Path) -> None:
    if place.exists():
        if place != hidden:
            shutil.rmtree(hidden, ignore_errors=True)
            place.rename(hidden)
        shutil.rmtree(hidden)


def completed(context: Context, connection: Writer) -> Output:
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    return {}


def _mark(context: Context) -> str:
    return context.task_id.hex


def _server(context: Context) -> Server:
    resources = context.resources
    return resources.server(resources.instance(context.instance_id), resources.primary(context.instance_id))


RESTORE_INSTANCE: Operation[Resources, Source] = Operation(
    key="restore_instance",
    parameters=Source,
    steps=(
        Step("restore data", restore_data, undo=remove_restored, expected=2.0),
        Step("swap data", swap_data, undo=swap_back, expected=0.1),
        Step("start server", start_server, undo=stop_server, expected=0.2),
        # From here on there is no way back: what was before is gone.
        Step("remove old data", remove_old_data, expected=0.1),
    ),
    on_completed=completed,
    on_failed=settle_by_looking,
)
