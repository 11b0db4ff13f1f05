"""Enlarge the volumes of an instance while it serves. One that was STORAGE FULL may be written again."""

from uuid import UUID

import msgspec

from openrds.domain import rules
from openrds.domain.capacity import is_full
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.nodes import each_node
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import hold_writes
from openrds.operations.steps.serving import with_primary
from openrds.operations.steps.status import ACTIVE, IS_LOOKED_AT, set_status
from openrds.store.database import Writer
from openrds.store.instances import find_instance
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, TaskContext

_sql = Queries("instances")


class EnlargeVolume(msgspec.Struct):
    """`size` in GB. Nothing is paid here."""

    size: int
    is_auto_pay: bool | None = None


class Parameters(msgspec.Struct, frozen=True):
    size: int


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: EnlargeVolume) -> UUID:
    instance = intake.admit(instance_id, ENLARGE_VOLUME)
    rules.check_larger_volume(request.size, instance.volume_size)
    _check_primary(intake, instance, request.size)
    entities = {"volume": _aim(instance, request.size)}
    return intake.accept(instance, ENLARGE_VOLUME, Parameters(request.size), entities)


def grow_volume(context: Context) -> None:
    """Nothing is undone: a volume that is larger than its instance says does no harm, and none can shrink."""
    context.resources.host.volumes.grow(context.node_id, context.parameters.size)


@with_primary
def allow_writes(context: Context) -> Output:
    """Where there is room now. `full` is what the instance is from then on."""
    resources = context.resources
    instance = resources.view.instance(context.instance_id)
    full = instance.storage_full and _is_still_full(context)
    if instance.storage_full and not full:
        hold_writes(resources, instance, full=False)
    return {"full": full}


@with_primary
def hold_writes_again(context: Context) -> None:
    instance = context.resources.view.instance(context.instance_id)
    if instance.storage_full:
        hold_writes(context.resources, instance, full=True)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> Output:
    id_ = context.instance_id
    connection.execute(_sql.set_volume_size, {"id": id_, "size": context.parameters.size})
    connection.execute(_sql.set_storage_full, {"id": id_, "full": context.outputs["allow writes"]["full"]})
    set_status(connection, id_, InstanceStatus.ACTIVE)
    return {"resource_ids": [f"{id_}.volume"]}


def _check_primary(intake: Intake, instance: Instance, size: int) -> None:
    """What the primary holds fits on its replicas, and more than that is not of use."""
    if instance.replica_of is None:
        return
    primary = find_instance(intake.connection, instance.replica_of)
    if primary is not None and size > primary.volume_size:
        raise Refusal(
            ErrorCode.REPLICA_VOLUME,
            f"The primary {primary.id} has {primary.volume_size} GB; enlarge it first.",
        )


def _is_still_full(context: Context) -> bool:
    resources, size = context.resources, context.parameters.size
    usages = (
        resources.host.volumes.usage(node.id, size) for node in resources.view.nodes(context.instance_id)
    )
    return any(is_full(size, usage.free, was_full=True) for usage in usages)


def _aim(instance: Instance, size: int) -> dict[str, str]:
    """Sizes are strings in entities (jobs seeds, table 6)."""
    return {
        "type": instance.volume_type,
        "original_size": str(instance.volume_size),
        "target_size": str(size),
    }


ENLARGE_VOLUME: Operation[Resources, Parameters] = Operation(
    key="enlarge_volume",
    name=TaskName.ENLARGE_VOLUME,
    action=Action.ENLARGE_VOLUME,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(
        Step("grow volume", grow_volume, of=each_node, expected=0.05),
        Step("allow writes", allow_writes, undo=hold_writes_again, expected=0.02),
    ),
    on_completed=Ending(completed, statuses=ACTIVE),
    on_failed=IS_LOOKED_AT,
)
