"""Give an instance another flavor: its server is restarted with other settings, under other limits.

One that has a standby is not away for that long: see `resize_pair`.
"""

from typing import Any
from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import Flavor, find_flavor
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.schedule import ScheduledName
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.instances import resize_pair
from openrds.operations.instances.resize_pair import RESIZE_PAIR
from openrds.operations.intake.instance_plan import check_holds
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.scheduling import schedule
from openrds.operations.steps.resizing import Resizing, restart_primary
from openrds.operations.steps.resources import Resources, flavor_of
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.store.instances import nodes_of, replicas_of
from openrds.tasks.operation import Operation, Step, StepContext

#: How many instances are changed at once. Source: the SDK, BatchResizeFlavorRequestBody.
_AT_ONCE = range(1, 11)


class ResizeFlavor(msgspec.Struct):
    """Nothing is paid here; with `is_delay` it waits for the maintenance window."""

    spec_code: Text
    is_auto_pay: bool | None = None
    is_delay: bool = False


class ResizeSeveral(msgspec.Struct):
    """The same flavor for up to ten instances. `auto_pay` and `occupy_ip` make no difference here."""

    instance_ids: Several[Text]
    spec_code: Text
    delay: bool = False
    auto_pay: bool | None = None
    occupy_ip: bool | None = None


class Parameters(msgspec.Struct, frozen=True):
    old: str
    new: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: ResizeFlavor) -> UUID:
    """The id of the task, or with `is_delay` of the scheduled task."""
    instance = intake.admit(instance_id, RESIZE_FLAVOR)
    flavor = _check_flavor(instance, request.spec_code)
    for node in nodes_of(intake.connection, instance_id):
        check_holds(intake, node.host, flavor)
    if request.is_delay:
        now = ResizeFlavor(request.spec_code)
        target = {"flavor": flavor.spec_code, "cpu": str(flavor.vcpus), "mem": str(flavor.memory_gb)}
        return schedule(
            intake, instance, ScheduledName.RESIZE_FLAVOR, RESIZE_FLAVOR.name, now, target_config=target
        )
    held = [replica.id for replica in replicas_of(intake.connection, instance_id)]
    operation, parameters = _operation_on(intake, instance, flavor)
    return intake.accept(instance, operation, parameters, also_held=held)


def submit_several(intake: Intake, request: ResizeSeveral) -> UUID:
    """All of them, or none: the answer has no place for which. The id is that of the first's task.

    Raises:
        Refusal: PARAMETER for too many; else why one of them cannot be changed, which is named.
    """
    ids = list(dict.fromkeys(request.instance_ids))
    if len(ids) not in _AT_ONCE:
        raise Refusal(ErrorCode.PARAMETER, f"instance_ids must have 1 to {_AT_ONCE.stop - 1} ids.")
    wanted = ResizeFlavor(request.spec_code, is_delay=request.delay)
    # In one order, so that no two calls wait for each other.
    return {id_: _submit_one(intake, id_, wanted) for id_ in sorted(ids)}[ids[0]]


def _submit_one(intake: Intake, instance_id: str, request: ResizeFlavor) -> UUID:
    try:
        return submit(intake, instance_id, request)
    except Refusal as refusal:
        raise Refusal(
            refusal.error, f"Instance {instance_id}: {refusal} No instance gets another flavor."
        ) from None


def _operation_on(
    intake: Intake, instance: Instance, flavor: Flavor
) -> tuple[Operation[Resources, Any], msgspec.Struct]:
    if instance.type is not InstanceType.HA:
        return RESIZE_FLAVOR, Parameters(instance.flavor_ref, flavor.spec_code)
    old, new, *_ = nodes_of(intake.connection, instance.id)
    return RESIZE_PAIR, resize_pair.Parameters(instance.flavor_ref, flavor.spec_code, old.id, new.id)


def restart_server(context: Context) -> None:
    """With the new flavor."""
    _restart(_resizing(context))


def restart_server_as_before(context: Context) -> None:
    _restart(_resizing(context).reversed)


def _restart(resizing: Resizing) -> None:
    resources = resizing.resources
    resizing.widen_replicas()
    with resources.store.transaction() as connection:
        resizing.note(connection)
    restart_primary(resources, resizing.instance_id)
    resizing.narrow_replicas()


def _resizing(context: Context) -> Resizing:
    parameters = context.parameters
    return Resizing(context.resources, context.instance_id, parameters.old, parameters.new)


def _check_flavor(instance: Instance, spec_code: str) -> Flavor:
    engine, old = instance.engine, flavor_of(instance)
    new = find_flavor(engine, spec_code)
    if new is None:
        raise Refusal(
            ErrorCode.FLAVOR, f"{engine} has no flavor {spec_code}; GET flavors/{engine} lists them."
        )
    if new == old:
        raise Refusal(ErrorCode.FLAVOR_CHANGE, f"The instance has the flavor {spec_code} already.")
    if new.instance_type is not old.instance_type:
        raise Refusal(
            ErrorCode.FLAVOR_CHANGE,
            f"{spec_code} is for {new.instance_type} instances, and this one is {old.instance_type}.",
        )
    return new


RESIZE_FLAVOR: Operation[Resources, Parameters] = Operation(
    key="resize_flavor",
    name=TaskName.RESIZE_FLAVOR,
    action=Action.RESIZE_FLAVOR,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(Step("restart server", restart_server, undo=restart_server_as_before, expected=0.2),),
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
