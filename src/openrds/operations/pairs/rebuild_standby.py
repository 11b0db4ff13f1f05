"""Bring back a standby, or a read replica, that died or has lost touch.

The monitor does so by itself; a caller may ask for it, of a standby. Source: operations.md 12.
"""

from uuid import UUID

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType, NodeRole
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import Server
from openrds.hosts.folders import clear
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.nodes import named, node_of
from openrds.operations.steps.replication import (
    build_standby,
    end_confirmation,
    give_own_address,
    restore_confirmation,
)
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_standby, with_upstream
from openrds.operations.steps.status import ACTIVE, IS_LOOKED_AT, instance_of, set_status
from openrds.store.database import Writer
from openrds.store.instances import nodes_of
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext


class Parameters(msgspec.Struct, frozen=True):
    """`standby_id` is the node's, also of a read replica. With `anew` all is copied, whatever the node has."""

    standby_id: str
    anew: bool = False


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str) -> UUID:
    """The id of the task.

    Raises:
        Refusal: INSTANCE_TYPE, it has no standby; or as `Intake.admit`.
    """
    instance = intake.instance(instance_id)
    if instance.type is not InstanceType.HA:
        raise Refusal(ErrorCode.INSTANCE_TYPE, f"The instance is {instance.type}: it has no standby.")
    intake.check(instance, REBUILD_STANDBY)
    (standby,) = (node for node in nodes_of(intake.connection, instance_id) if node.role is NodeRole.SLAVE)
    return begin(intake, instance, standby.id, anew=True)


def begin(intake: Intake, instance: Instance, standby_id: str, *, anew: bool = False) -> UUID:
    """An instance serves without its standby, so its status stays; a read replica does not serve meanwhile."""
    serves = instance.type is not InstanceType.REPLICA
    return intake.accept(instance, REBUILD_STANDBY, Parameters(standby_id, anew), keeps_status=serves)


def release_writes(context: Context) -> None:
    """Clients need not wait for a standby that is not there; it must not be promoted from now on."""
    end_confirmation(context.resources, context.instance_id)


@with_upstream
def bring_back(context: Context) -> None:
    resources, (instance, node) = context.resources, node_of(context)
    if node.role is NodeRole.SLAVE:
        give_own_address(resources, instance, node)
    if context.parameters.anew:
        _give_up(resources.node_server(instance.id, node.id))
    build_standby(resources, instance.id, resources.node_server(instance.id, node.id))


def _give_up(standby: Server) -> None:
    """Drop what it has: its upstream serves, and has all of it."""
    standby.stop()
    clear(standby.node.data_dir)


@with_standby
def confirm_writes(context: Context) -> None:
    restore_confirmation(context.resources, context.instance_id)


def completed(context: TaskContext[Parameters], connection: Writer, instance: Instance) -> None:
    if instance.type is InstanceType.REPLICA:
        set_status(connection, instance.id, InstanceStatus.ACTIVE)


REBUILD_STANDBY: Operation[Resources, Parameters] = Operation(
    key="rebuild_standby",
    name=TaskName.REBUILD_STANDBY,
    action=Action.REBUILD_STANDBY,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(
        Step("release writes", release_writes, expected=0.02),
        Step("bring back standby", bring_back, of=named("standby_id"), expected=0.5, deadline=LONG),
        # Commits shall not wait for a standby that does not come to confirm them.
        Step("confirm writes", confirm_writes, undo=release_writes, expected=0.05),
    ),
    on_completed=Ending(completed, instance_of, ACTIVE),
    on_failed=IS_LOOKED_AT,
)
