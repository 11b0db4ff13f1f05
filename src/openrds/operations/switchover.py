"""Change the roles of primary and standby: asked for by a caller, or by the monitor when the primary died."""

import logging
from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError, Server
from openrds.operations.addresses import where_clients_come
from openrds.operations.intake import Intake
from openrds.operations.replication import (
    build_standby,
    give_own_address,
    note_new_primary,
    restore_confirmation,
    turn_replicas,
)
from openrds.operations.resources import Resources, set_status, settle_by_looking
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Output, Step, StepContext, StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: A standby that lacks more than this would keep clients waiting for long.
_MOST_LAG_BYTES = 64 * 2**20
#: Seconds that clients wait at most for the standby to catch up, before the old primary serves again.
_CATCH_UP_SECONDS = 10.0
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


def submit(intake: Intake, instance_id: str, request: Failover) -> tuple[Row, UUID]:
    """The standby that will be the primary, and the task."""
    instance = intake.instance(instance_id)
    require_standby(instance)
    intake.check(instance, Action.SWITCHOVER)
    old, new, *_ = intake.connection.execute(_sql.nodes_of_instance, [instance_id]).fetchall()
    return new, begin(intake, instance, Parameters(old["id"], new["id"], request.force))


def begin(intake: Intake, instance: Row, parameters: Parameters) -> UUID:
    entities = {"switch_strategy": instance["switch_strategy"]}
    task_id = intake.accept(instance, SWITCHOVER, TaskName.SWITCHOVER, parameters, entities)
    intake.set_status(instance, InstanceStatus.SWITCHOVER)
    return task_id


def require_standby(instance: Row) -> None:
    """
    Raises:
        Refusal: INSTANCE_TYPE, for an instance that has no standby.
    """
    if instance["type"] != InstanceType.HA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE, f"The instance is of type {instance['type']}; it has no standby."
        )


def check_standby(context: Context) -> None:
    """Before anything is cut off."""
    if context.parameters.force or _is_done(context):
        return
    try:
        state = _new(context).replication.state()
    except EngineError as error:
        raise StepFailed(f"the standby does not answer: {error}") from error
    if not state.streaming:
        raise StepFailed(
            "the standby does not stream from the primary; `force` makes it the primary all the same"
        )
    if state.lag_bytes > _MOST_LAG_BYTES:
        raise StepFailed(
            f"the standby has {state.lag_bytes} bytes still to apply; wait, or make it the primary by `force`"
        )


def change_roles(context: Context) -> None:
    """From the end of the old primary to the endpoint's way to the new one, clients wait: all in one step."""
    new = _new(context)
    if not _is_done(context):
        if not context.parameters.force:
            _hand_over(_old(context), new)
        elif not _is_promoted(new):
            _take_over(context, _old(context), new)
        new.replication.promote()
        _note_roles(context)
    context.resources.apply_routes(*where_clients_come(context.resources, context.instance_id))


def change_roles_back(context: Context) -> None:
    """Once the new primary is one it stays: the old one serves again only where it came not so far."""
    new = _new(context)
    if not _is_done(context):
        if new.is_running() and _is_promoted(new):
            _note_roles(context)
        else:
            old = _old(context)
            if not old.answers():
                old.stop()  # it may run where no client reaches it
                old.configure()
                old.start()
    context.resources.apply_routes(*where_clients_come(context.resources, context.instance_id))


def _hand_over(old: Server, new: Server) -> None:
    if _is_promoted(new):
        return
    try:
        position = old.replication.retire()
        new.replication.await_position(position, _CATCH_UP_SECONDS)
    except EngineError as error:
        raise StepFailed(str(error)) from error


def _take_over(context: Context, old: Server, new: Server) -> None:
    """The old primary, dead or alive, is ended with all that belongs to it before there is another one."""
    new.start()
    if context.parameters.rescue:
        _rescue(context.resources.out_of_reach(old), new)
    try:
        position = old.replication.retire()
        new.replication.await_position(position, _CATCH_UP_SECONDS_FORCED)
    except EngineError:
        if old.is_running():
            raise


def _rescue(old: Server, new: Server) -> None:
    """Recover a dead primary where no client reaches it, so that the standby hears of the last it has written."""
    try:
        old.configure()
        old.start()
        new.replication.follow()
    except EngineError:
        logger.warning("what %s wrote last may be lost", old.node.node_id, exc_info=True)


def rejoin_old(context: Context) -> None:
    """The old primary becomes the standby, on an address of its own."""
    resources, old_id = context.resources, context.parameters.old_node_id
    instance = resources.instance(context.instance_id)
    (node,) = (node for node in resources.nodes(context.instance_id) if node["id"] == old_id)
    give_own_address(resources, instance, node)
    build_standby(resources, context.instance_id, old_id)
    turn_replicas(resources, context.instance_id)


def confirm_writes(context: Context) -> None:
    restore_confirmation(context.resources, context.instance_id)


def completed(context: Context, connection: Writer) -> Output:
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    return {}


def _is_done(context: Context) -> bool:
    return bool(context.resources.primary(context.instance_id)["id"] == context.parameters.new_node_id)


def _is_promoted(server: Server) -> bool:
    return server.is_running() and not server.replication.state().is_standby


def _note_roles(context: Context) -> None:
    parameters = context.parameters
    with context.resources.store.transaction() as connection:
        note_new_primary(connection, parameters.old_node_id, parameters.new_node_id)


def _old(context: Context) -> Server:
    return context.resources.node_server(context.instance_id, context.parameters.old_node_id)


def _new(context: Context) -> Server:
    return context.resources.node_server(context.instance_id, context.parameters.new_node_id)


SWITCHOVER: Operation[Resources, Parameters] = Operation(
    key="switchover",
    parameters=Parameters,
    steps=(
        Step("check standby", check_standby, expected=0.01),
        Step("change roles", change_roles, undo=change_roles_back, expected=0.15),
        Step("rejoin old primary", rejoin_old, expected=0.3),
        Step("confirm writes", confirm_writes, expected=0.05),
    ),
    on_completed=completed,
    on_failed=settle_by_looking,
)
