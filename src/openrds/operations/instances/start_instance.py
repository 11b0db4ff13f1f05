"""Start an instance that was stopped, with its read replicas: asked for, or after 7 days. Source: operations.md 13."""

import logging
from typing import Any
from uuid import UUID

from openrds.domain.errors import Refusal
from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance
from openrds.domain.settings import Settings
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.instances.stop_instance import check_is_primary
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import any_server_runs, start_servers, stop_servers
from openrds.operations.steps.status import BECOMES_ACTIVE, SETTLED, looked_at, set_status, set_wanted
from openrds.store.database import Store, Writer
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("instances")

Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, instance_id: str) -> UUID:
    """Each read replica has a task of its own; the answer is the primary's."""
    return submit_for_all(intake, instance_id, START_INSTANCE, InstanceStatus.SHUTDOWN)


def submit_for_all(
    intake: Intake, instance_id: str, operation: Operation[Any, NoParameters], at_rest: InstanceStatus
) -> UUID:
    """An operation that starts an instance, and those of its read replicas that rest in the same status."""
    instance = intake.instance(instance_id)
    check_is_primary(instance)
    replicas = replicas_of(intake.connection, instance_id)
    resting = [replica.id for replica in replicas if replica.status is at_rest]
    task_id, *_ = [_submit_one(intake, one, operation) for one in (instance, *map(intake.instance, resting))]
    return task_id


def _submit_one(intake: Intake, instance: Instance, operation: Operation[Any, NoParameters]) -> UUID:
    intake.check(instance, operation)
    task_id = intake.accept(instance, operation)
    intake.set_wanted(instance, Wanted.SERVING)
    return task_id


def start_overdue(store: Store, queue: Queue, settings: Settings) -> None:
    """Start what was stopped 7 days ago, once its maintenance window has come."""
    for row in store.rows(_sql.stopped_for_long):
        try:
            with store.transaction() as connection:
                submit(Intake(connection, queue, settings, row["project_id"]), row["id"])
        except Refusal as refusal:
            logger.warning("instance %s is not started after 7 days: %s", row["id"], refusal)


def start_server(context: Context) -> None:
    start_servers(context.resources, context.instance_id)


def stop_server(context: Context) -> None:
    stop_servers(context.resources, context.instance_id)


def pass_connections_on(context: Context) -> None:
    context.resources.apply_routes(*context.resources.view.where_clients_come(context.instance_id))


def rests_as_before(at_rest: InstanceStatus) -> Ending[Resources, NoParameters, InstanceStatus]:
    """How a start that failed ends: the instance rests as before, unless even that failed."""

    def see_what_runs(context: Context) -> InstanceStatus:
        runs = any_server_runs(context.resources, context.instance_id)
        return looked_at(context) if runs else at_rest

    def failed(context: TaskContext[NoParameters], connection: Writer, status: InstanceStatus) -> None:
        set_status(connection, context.instance_id, status)
        if status is at_rest:
            set_wanted(connection, context.instance_id, Wanted.STOPPED)

    return Ending(failed, see_what_runs, SETTLED | {at_rest})


START_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="start_instance",
    name=TaskName.START,
    action=Action.START,
    status=InstanceStatus.MODIFYING,
    parameters=NoParameters,
    steps=(
        Step("start server", start_server, undo=stop_server, expected=0.1),
        Step("pass connections on", pass_connections_on, expected=0.05),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=rests_as_before(InstanceStatus.SHUTDOWN),
)
