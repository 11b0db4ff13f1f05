"""Stop an instance with its read replicas: all it has is kept. Source: operations.md 13."""

from collections.abc import Iterator
from uuid import UUID

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps.nodes import each_node, once_at_the_end
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_servers, stop_server
from openrds.operations.steps.status import SETTLED, looked_at, set_status, set_wanted
from openrds.store.database import Writer
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

_sql = Queries("instances")

#: A read replica that is not to serve has nothing to stop.
_NOT_TO_SERVE = (InstanceStatus.SHUTDOWN, InstanceStatus.CREATE_FAIL)

Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, instance_id: str) -> UUID:
    """Each read replica has a task of its own; the answer is the primary's."""
    instance = intake.instance(instance_id)
    check_is_primary(instance)
    intake.check(instance, STOP_INSTANCE)
    task_id, *_ = [_submit_one(intake, one) for one in (instance, *_replicas_to_stop(intake, instance))]
    return task_id


def check_is_primary(instance: Instance) -> None:
    if instance.replica_of is not None:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"A read replica stops and starts with its primary, instance {instance.replica_of}.",
        )


def _replicas_to_stop(intake: Intake, instance: Instance) -> Iterator[Instance]:
    for listed in replicas_of(intake.connection, instance.id):
        replica = intake.instance(listed.id)
        if replica.status in _NOT_TO_SERVE:
            continue
        # One that is FAILED would be brought back while its primary is stopped.
        if replica.status is not InstanceStatus.FAILED:
            intake.check(replica, STOP_INSTANCE)
        yield replica


def _submit_one(intake: Intake, instance: Instance) -> UUID:
    task_id = intake.accept(instance, STOP_INSTANCE)
    intake.set_wanted(instance, Wanted.STOPPED)
    return task_id


def start_server(context: Context) -> None:
    start_servers(context.resources, context.instance_id)


def completed(context: TaskContext[NoParameters], connection: Writer, _seen: None) -> None:
    set_status(connection, context.instance_id, InstanceStatus.SHUTDOWN)
    connection.execute(_sql.set_stopped, [context.instance_id])


def failed(context: TaskContext[NoParameters], connection: Writer, status: InstanceStatus) -> None:
    set_wanted(connection, context.instance_id, Wanted.SERVING)
    set_status(connection, context.instance_id, status)


STOP_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="stop_instance",
    name=TaskName.STOP,
    action=Action.STOP,
    status=InstanceStatus.MODIFYING,
    parameters=NoParameters,
    steps=(
        Step("stop server", stop_server, undo=once_at_the_end(start_server), of=each_node, expected=0.05),
    ),
    on_completed=Ending(completed, statuses=frozenset({InstanceStatus.SHUTDOWN})),
    on_failed=Ending(failed, looked_at, SETTLED),
)
