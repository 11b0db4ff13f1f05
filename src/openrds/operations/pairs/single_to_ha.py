"""Give a single instance a standby, without a restart and under the same endpoint."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import counterpart
from openrds.domain.instance import InstanceStatus, InstanceType, NodeRole, SwitchStrategy
from openrds.domain.instance_values import Instance, Node
from openrds.domain.lengths import Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.instance_plan import check_forwarding, check_room, check_zone, write_node
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.addresses import release_node_address
from openrds.operations.steps.creating import aim_of, resource_ids
from openrds.operations.steps.nodes import node_of, the_standby
from openrds.operations.steps.replication import (
    build_standby,
    end_confirmation,
    forget_follower,
    give_own_address,
    start_confirmation,
)
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_primary, with_standby
from openrds.operations.steps.status import ACTIVE, SETTLED, instance_of, looked_at, set_status
from openrds.store.database import Writer
from openrds.store.instances import nodes_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, TaskContext

_sql = Queries("instances")


class SingleToHa(msgspec.Struct):
    """`password` and what else only SQL Server needs is ignored."""

    az_code_new_node: Text


class Parameters(msgspec.Struct, frozen=True):
    standby_id: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: SingleToHa) -> UUID:
    instance = intake.instance(instance_id)
    if instance.type is not InstanceType.SINGLE:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"The instance is of type {instance.type}; only a single one is changed.",
        )
    intake.check(instance, SINGLE_TO_HA)
    check_zone(intake, "az_code_new_node", request.az_code_new_node)
    (primary,) = nodes_of(intake.connection, instance_id)
    check_forwarding(intake, primary.host)
    # For the standby, and for the primary once it is no longer the one that listens on the endpoint.
    check_room(intake, primary.host, places=2, instances=0)
    standby_id = write_node(intake, instance, 1, NodeRole.SLAVE, primary.host, request.az_code_new_node)
    becoming = msgspec.structs.replace(instance, type=InstanceType.HA)
    return intake.accept(instance, SINGLE_TO_HA, Parameters(standby_id), {"instance": aim_of(becoming)})


def allocate_address(context: Context) -> None:
    resources, instance = context.resources, context.resources.view.instance(context.instance_id)
    give_own_address(resources, instance, resources.view.find_node(context.node_id))


def release_address(context: Context) -> None:
    release_node_address(context.resources, context.node_id)


@with_primary
def build(context: Context) -> None:
    resources, instance_id = context.resources, context.instance_id
    # An instance from before this version does not let standbys in yet.
    resources.primary_server(instance_id).reload()
    build_standby(resources, instance_id, resources.node_server(instance_id, context.node_id))


def remove_standby(context: Context) -> None:
    resources = context.resources
    resources.stop(*node_of(context))
    resources.host.remove_folders(context.node_id)
    forget_follower(resources, context.instance_id, context.node_id)


@with_standby
def confirm_writes(context: Context) -> None:
    """In the replication mode that it will have, commits may wait for the standby: from now on then."""
    rules = RULES[context.resources.view.instance(context.instance_id).engine]
    if rules.waits_in(rules.default_replication_mode):
        start_confirmation(context.resources, context.instance_id)


def release_writes(context: Context) -> None:
    end_confirmation(context.resources, context.instance_id)


def look_at_both(context: Context) -> tuple[Instance, Sequence[Node]]:
    return instance_of(context), context.resources.view.nodes(context.instance_id)


def completed(
    context: TaskContext[Parameters], connection: Writer, seen: tuple[Instance, Sequence[Node]]
) -> Output:
    instance, nodes = seen
    engine = instance.engine
    flavor = counterpart(engine, instance.flavor_ref, InstanceType.HA)
    assert flavor is not None, "every flavor has a counterpart for HA"
    connection.execute(
        _sql.set_ha,
        {
            "instance_id": context.instance_id,
            "flavor_ref": flavor.spec_code,
            "mode": RULES[engine].default_replication_mode,
            "strategy": SwitchStrategy.RELIABILITY,
            "availability_zone": ",".join(node.availability_zone for node in nodes),
        },
    )
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    endpoint = f"{instance.address}:{instance.port}"
    becoming = msgspec.structs.replace(instance, type=InstanceType.HA)
    return {
        "instance": {"endpoint": endpoint, **aim_of(becoming)},
        "resource_ids": resource_ids(context.instance_id),
    }


def failed(context: TaskContext[Parameters], connection: Writer, status: InstanceStatus) -> None:
    set_status(connection, context.instance_id, status)
    connection.execute(_sql.delete_node, [context.parameters.standby_id])


SINGLE_TO_HA: Operation[Resources, Parameters] = Operation(
    key="single_to_ha",
    name=TaskName.SINGLE_TO_HA,
    action=Action.SINGLE_TO_HA,
    status=InstanceStatus.MODIFYING_INSTANCE_TYPE,
    parameters=Parameters,
    steps=(
        Step("allocate address", allocate_address, undo=release_address, of=the_standby, expected=0.01),
        Step("build standby", build, undo=remove_standby, of=the_standby, expected=1.0, deadline=LONG),
        Step("confirm writes", confirm_writes, undo=release_writes, expected=0.02),
    ),
    on_completed=Ending(completed, look_at_both, ACTIVE),
    on_failed=Ending(failed, looked_at, SETTLED),
)
