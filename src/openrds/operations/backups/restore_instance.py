"""Restore a backup, or an instance as it was at a moment, onto an existing instance, perhaps the same.

Source: operations.md 5.2.

The data is made beside the present one, which serves meanwhile. The present one is kept until the restored one serves;
so are the standby and the read replicas, at rest, which then copy the restored one.
"""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError, Server
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.restore_source import (
    RestoreSource,
    check_not_a_source,
    check_same_names,
    find_source,
)
from openrds.operations.steps import restoring
from openrds.operations.steps.replacing import Replacement
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import check_endpoint
from openrds.operations.steps.serving import keeping_servers
from openrds.operations.steps.source import Source
from openrds.operations.steps.status import ACTIVE, SETTLED, set_status, status_by_looking
from openrds.store.database import Row, Writer
from openrds.store.instances import replicas_of
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext


class RestoreTarget(msgspec.Struct):
    instance_id: Text


class RestoreInstance(msgspec.Struct):
    source: RestoreSource
    target: RestoreTarget


Context = StepContext[Resources, Source]


def submit(intake: Intake, request: RestoreInstance) -> UUID:
    target = intake.instance(request.target.instance_id)
    _check_not_itself(target, request)
    source, backup = find_source(intake, request.source)
    _check_fits(target, backup)
    intake.check(target, RESTORE_INSTANCE)
    check_not_a_source(intake, target.id)
    replicas = list(_replicas_of(intake, target))
    for replica in replicas:
        intake.set_status(replica, InstanceStatus.RESTORING)
    return intake.accept(target, RESTORE_INSTANCE, source, also_held=[replica.id for replica in replicas])


def _check_not_itself(target: Instance, request: RestoreInstance) -> None:
    """Which engines are restored so is the contract's word; the way is the same."""
    engine = target.engine
    if request.source.instance_id == target.id and not RULES[engine].restores_onto_itself:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"{engine} is not restored onto the instance itself; restore to another one, or tables under new names.",
        )


def _replicas_of(intake: Intake, target: Instance) -> Iterator[Instance]:
    """Locked, as the target is; one that was never made has nothing to be replaced."""
    for listed in replicas_of(intake.connection, target.id):
        replica = intake.instance(listed.id)
        if replica.status is not InstanceStatus.CREATE_FAIL:
            yield replica


def _check_fits(target: Instance, backup: Row) -> None:
    if target.type is InstanceType.REPLICA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"A read replica has the data of its primary; restore onto that, {target.replica_of}.",
        )
    if (target.engine, target.version) != (backup["engine"], backup["version"]):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"The target is {target.engine} {target.version}; it must be the source's "
            f"{backup['engine']} {backup['version']}.",
        )
    check_same_names(target.options, backup["options"])
    if target.volume_size < backup["volume_size"]:
        raise Refusal(
            ErrorCode.RESTORE_VOLUME,
            f"The target's volume has {target.volume_size} GB; it must have the source's "
            f"{backup['volume_size']} GB. Enlarge it first.",
        )


@keeping_servers
def restore_data(context: Context) -> None:
    resources, node = context.resources, _primary(context).node
    restoring.archive_source_log(resources, context.parameters)
    restoring.restore_apart(resources, context.parameters, node, str(context.task_id))


def remove_restored(context: Context) -> None:
    restoring.remove_apart(context.resources.host, _primary(context), str(context.task_id))


def swap_data(context: Context) -> None:
    resources, replacement = context.resources, _replacement(context)
    replacement.stop_all()
    replacement.put(restoring.restored_data(_primary(context).node))
    resources.host.start(_primary(context))
    restoring.set_remote_access(resources, context.instance_id)
    check_endpoint(resources, context.instance_id)


def swap_back(context: Context) -> None:
    _replacement(context).put_back()


def replace_old_data(context: Context) -> None:
    resources = context.resources
    restoring.remove_apart(resources.host, _primary(context), str(context.task_id))
    try:
        _replacement(context).settle()
    except EngineError as error:
        raise EngineError(f"The data is restored, but {error}") from error


def look_at_all(context: Context) -> Mapping[str, InstanceStatus]:
    return {id_: status_by_looking(context.resources, id_) for id_ in _held(context)}


def completed(_context: TaskContext[Source], connection: Writer, held: Sequence[str]) -> None:
    for id_ in held:
        set_status(connection, id_, InstanceStatus.ACTIVE)


def failed(_context: TaskContext[Source], connection: Writer, seen: Mapping[str, InstanceStatus]) -> None:
    for id_, status in seen.items():
        set_status(connection, id_, status)


def _held(context: Context) -> list[str]:
    """The instance, and its read replicas that are restored with it."""
    replicas = context.resources.view.replicas(context.instance_id)
    restored = [replica.id for replica in replicas if replica.status is InstanceStatus.RESTORING]
    return [context.instance_id, *restored]


def _primary(context: Context) -> Server:
    return context.resources.primary_server(context.instance_id)


def _replacement(context: Context) -> Replacement:
    return Replacement(context.resources, _held(context), context.task_id.hex)


RESTORE_INSTANCE: Operation[Resources, Source] = Operation(
    key="restore_instance",
    name=TaskName.RESTORE_ONTO,
    action=Action.RESTORE_ONTO,
    status=InstanceStatus.RESTORING,
    parameters=Source,
    steps=(
        Step("restore data", restore_data, undo=remove_restored, expected=2.0, deadline=LONG),
        Step("swap data", swap_data, undo=swap_back, expected=0.3),
        Step("replace old data", replace_old_data, expected=0.1, final=True),
    ),
    on_completed=Ending(completed, _held, ACTIVE),
    on_failed=Ending(failed, look_at_all, SETTLED),
)
