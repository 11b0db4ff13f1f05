"""Restart an instance: asked for by a caller, or by the monitor when a server died."""

from uuid import UUID

import msgspec

from openrds.domain.instance import InstanceStatus
from openrds.domain.schedule import ScheduledName
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.intake.scheduling import schedule
from openrds.operations.steps.nodes import each_node, once_at_the_end
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_servers, stop_server
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Step, StepContext

_sql = Queries("instances")


class Restart(msgspec.Struct):
    """`restart_server` and `forcible` make no difference here; with `delay` it waits for the maintenance window."""

    restart_server: bool | None = None
    forcible: bool | None = None
    delay: bool = False


Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, instance_id: str, request: Restart) -> UUID:
    """The id of the task, or with `delay` of the scheduled task."""
    instance = intake.admit(instance_id, RESTART_INSTANCE)
    if request.delay:
        return schedule(intake, instance, ScheduledName.RESTART, RESTART_INSTANCE.name, Restart())
    # Whoever asks for it has mended something: should the server die again, it is brought back at once.
    intake.connection.execute(_sql.forget_revivals, [instance_id])
    return intake.accept(instance, RESTART_INSTANCE)


def start_server(context: Context) -> None:
    start_servers(context.resources, context.instance_id)


RESTART_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="restart_instance",
    name=TaskName.RESTART,
    action=Action.RESTART,
    status=InstanceStatus.REBOOTING,
    parameters=NoParameters,
    steps=(
        Step("stop server", stop_server, undo=once_at_the_end(start_server), of=each_node, expected=0.05),
        Step("start server", start_server, expected=0.1),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
