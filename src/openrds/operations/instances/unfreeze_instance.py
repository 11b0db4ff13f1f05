"""Let an instance that was frozen serve again, with its read replicas: also one that was stopped before."""

from uuid import UUID

from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.instances.start_instance import pass_connections_on, start_server, stop_server
from openrds.operations.instances.stop_instance import check_is_primary
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import any_server_runs
from openrds.operations.steps.status import BECOMES_ACTIVE, SETTLED, looked_at, set_status, set_wanted
from openrds.store.database import Writer
from openrds.store.instances import replicas_of
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, instance_id: str) -> UUID:
    """Each read replica has a task of its own; the answer is the primary's."""
    instance = intake.instance(instance_id)
    check_is_primary(instance)
    replicas = replicas_of(intake.connection, instance_id)
    frozen = [replica.id for replica in replicas if replica.status is InstanceStatus.FROZEN]
    task_id, *_ = [_submit_one(intake, one) for one in (instance, *map(intake.instance, frozen))]
    return task_id


def _submit_one(intake: Intake, instance: Instance) -> UUID:
    intake.check(instance, UNFREEZE_INSTANCE)
    task_id = intake.accept(instance, UNFREEZE_INSTANCE)
    intake.set_wanted(instance, Wanted.SERVING)
    return task_id


def see_what_runs(context: Context) -> InstanceStatus:
    """It is frozen as before, unless even that failed."""
    runs = any_server_runs(context.resources, context.instance_id)
    return looked_at(context) if runs else InstanceStatus.FROZEN


def failed(context: TaskContext[NoParameters], connection: Writer, status: InstanceStatus) -> None:
    set_status(connection, context.instance_id, status)
    if status is InstanceStatus.FROZEN:
        set_wanted(connection, context.instance_id, Wanted.STOPPED)


UNFREEZE_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="unfreeze_instance",
    name=TaskName.UNFREEZE,
    action=Action.UNFREEZE,
    status=InstanceStatus.MODIFYING,
    parameters=NoParameters,
    steps=(
        Step("start server", start_server, undo=stop_server, expected=0.1),
        Step("pass connections on", pass_connections_on, expected=0.05),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=Ending(failed, see_what_runs, SETTLED | {InstanceStatus.FROZEN}),
)
