"""Change the roles of primary and standby: asked for by a caller, or by the monitor when the primary died."""

import logging
from uuid import UUID

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.instance_values import Instance, Node
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError, Server
from openrds.hosts.errors import HostError
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.host import Host
from openrds.operations.steps.nodes import named
from openrds.operations.steps.replication import restore_confirmation
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.operations.steps.takeover import Takeover
from openrds.store.instances import nodes_of
from openrds.tasks.operation import Operation, Step, StepContext

logger = logging.getLogger(__name__)

#: Seconds that clients wait at most for a standby to catch up that takes over in any case.
_CATCH_UP_SECONDS_FORCED = 2.0


class Failover(msgspec.Struct):
    """`force`: go ahead where the standby lacks something, which is lost then."""

    force: bool = False


class Parameters(msgspec.Struct, frozen=True):
    """`rescue`: before the standby takes over from a dead primary it gets what that had written."""

    old_node_id: str
    new_node_id: str
    force: bool
    rescue: bool = False


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: Failover) -> tuple[Node, UUID]:
    """The standby that will be the primary, and the task."""
    instance = intake.instance(instance_id)
    require_standby(instance)
    intake.check(instance, SWITCHOVER)
    old, new, *_ = nodes_of(intake.connection, instance_id)
    return new, begin(intake, instance, Parameters(old.id, new.id, request.force))


def begin(intake: Intake, instance: Instance, parameters: Parameters) -> UUID:
    entities = {"switch_strategy": instance.switch_strategy or ""}
    return intake.accept(instance, SWITCHOVER, parameters, entities)


def require_standby(instance: Instance) -> None:
    """
    Raises:
        Refusal: INSTANCE_TYPE, for an instance that has no standby.
    """
    if instance.type is not InstanceType.HA:
        raise Refusal(ErrorCode.INSTANCE_TYPE, f"The instance is of type {instance.type}; it has no standby.")


def change_roles(context: Context) -> None:
    takeover = _takeover(context)
    if context.parameters.force:
        takeover.change_roles(lambda: _take_over(context, takeover.old, takeover.new))
    else:
        takeover.change_roles(lambda: takeover.hand_over("; `force` makes it the primary all the same"))


def change_roles_back(context: Context) -> None:
    _takeover(context).change_roles_back()


def _take_over(context: Context, old: Server, new: Server) -> None:
    """The old primary, dead or alive, takes no more writes before there is another one: by itself, or it is ended."""
    if not new.answers():
        new.start()  # one that runs would look for its primary first, which may be dead
    if context.parameters.rescue:
        _rescue(context.resources.host, old, new)
    try:
        position = old.replication.demote()
        new.replication.await_position(position, _CATCH_UP_SECONDS_FORCED)
    except EngineError:
        if old.is_running():
            old.stop()


def _rescue(host: Host, old: Server, new: Server) -> None:
    """Recover a dead primary where no client reaches it, so that the standby hears of the last it has written."""
    try:
        old = host.out_of_reach(old)
        if old.is_running():
            old.stop()  # it is of an earlier try, and may listen elsewhere
        old.configure()
        old.start()
        host.changed(new, upstream=old.node.as_upstream(is_equal=True)).replication.follow()
    except (EngineError, HostError):
        logger.warning("what %s wrote last may be lost", old.node.node_id, exc_info=True)


def rejoin_old(context: Context) -> None:
    takeover = _takeover(context)
    takeover.prepare_rejoin()
    takeover.rejoin()
    restore_confirmation(context.resources, context.instance_id)


def _takeover(context: Context) -> Takeover:
    parameters = context.parameters
    return Takeover(context.resources, context.instance_id, parameters.old_node_id, parameters.new_node_id)


SWITCHOVER: Operation[Resources, Parameters] = Operation(
    key="switchover",
    name=TaskName.SWITCHOVER,
    action=Action.SWITCHOVER,
    status=InstanceStatus.SWITCHOVER,
    parameters=Parameters,
    steps=(
        Step(
            "change roles",
            change_roles,
            undo=change_roles_back,
            of=named("new_node_id"),
            expected=0.15,
            final=True,
        ),
        Step("rejoin old primary", rejoin_old, of=named("old_node_id"), expected=0.3, deadline=LONG),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
