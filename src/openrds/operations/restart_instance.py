"""Restart an instance: asked for by a caller, or by the monitor when a server died."""

import logging
from uuid import UUID

import msgspec

from openrds.domain.instance import InstanceStatus
from openrds.domain.schedule import ScheduledName
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError
from openrds.operations.intake import Intake, NoParameters
from openrds.operations.replication import build_standby, end_confirmation, restore_confirmation
from openrds.operations.resources import Resources, set_status, settle_by_looking
from openrds.operations.scheduling import schedule
from openrds.store.database import Writer
from openrds.tasks.operation import Operation, Output, Step, StepContext

logger = logging.getLogger(__name__)


class Restart(msgspec.Struct):
    """`restart_server` and `forcible` make no difference here; with `delay` it waits for the maintenance window."""

    restart_server: bool | None = None
    forcible: bool | None = None
    delay: bool = False


Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, instance_id: str, request: Restart) -> UUID:
    """The id of the task, or with `delay` of the scheduled task."""
    instance = intake.instance(instance_id)
    intake.check(instance, Action.RESTART)
    if request.delay:
        return schedule(intake, instance, ScheduledName.RESTART, TaskName.RESTART, Restart())
    task_id = intake.accept(instance, RESTART_INSTANCE, TaskName.RESTART)
    intake.set_status(instance, InstanceStatus.REBOOTING)
    return task_id


def stop_servers(context: Context) -> None:
    """The primary hands all that it wrote to its standby when it goes, so it goes first."""
    for node_id in _node_ids(context):
        context.resources.node_server(context.instance_id, node_id).stop()


def start_primary(context: Context) -> None:
    server = context.resources.primary_server(context.instance_id)
    server.configure()
    server.start()


def start_standby(context: Context) -> None:
    """Without it the instance serves all the same; one that cannot be started is then the monitor's to rebuild."""
    resources, instance_id = context.resources, context.instance_id
    try:
        for node in resources.standbys(instance_id):
            build_standby(resources, instance_id, node["id"])
        restore_confirmation(resources, instance_id)
    except EngineError:
        logger.warning("instance %s: its standby could not be started", instance_id, exc_info=True)
        end_confirmation(resources, instance_id)


def start_servers(context: Context) -> None:
    start_primary(context)
    start_standby(context)


def completed(context: Context, connection: Writer) -> Output:
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    return {}


def _node_ids(context: Context) -> list[str]:
    return [node["id"] for node in context.resources.nodes(context.instance_id)]


RESTART_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="restart_instance",
    parameters=NoParameters,
    steps=(
        Step("stop server", stop_servers, undo=start_servers, expected=0.05),
        Step("start server", start_primary, expected=0.1),
        Step("start standby", start_standby, expected=0.01),
    ),
    on_completed=completed,
    on_failed=settle_by_looking,
)
