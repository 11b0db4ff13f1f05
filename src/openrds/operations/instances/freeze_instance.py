"""Freeze an instance with its read replicas: clients are cut off, data is kept, all but its deletion is refused.

For the operator of the service, and for nobody who calls the API. Source: operations.md 15.
"""

from collections.abc import Iterator
from uuid import UUID

import msgspec

from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.instances.stop_instance import check_is_primary
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.nodes import each_node, once_at_the_end
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_servers, stop_server
from openrds.operations.steps.status import SETTLED, looked_at, set_status, set_wanted
from openrds.store.database import Writer
from openrds.store.instances import replicas_of
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext


class Parameters(msgspec.Struct, frozen=True):
    """`was_stopped` is one that has nothing to go back to should the task fail."""

    was_stopped: bool


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str) -> UUID:
    """Each read replica has a task of its own; the answer is the primary's."""
    instance = intake.instance(instance_id)
    check_is_primary(instance)
    task_id, *_ = [_submit_one(intake, one) for one in (instance, *_replicas(intake, instance))]
    return task_id


def _replicas(intake: Intake, instance: Instance) -> Iterator[Instance]:
    """One that never was cannot be frozen."""
    for replica in replicas_of(intake.connection, instance.id):
        if replica.status not in (InstanceStatus.CREATE_FAIL, InstanceStatus.FROZEN):
            yield intake.instance(replica.id)


def _submit_one(intake: Intake, instance: Instance) -> UUID:
    intake.check(instance, FREEZE_INSTANCE)
    was_stopped = instance.status is InstanceStatus.SHUTDOWN
    task_id = intake.accept(instance, FREEZE_INSTANCE, Parameters(was_stopped))
    intake.set_wanted(instance, Wanted.STOPPED)
    return task_id


def start_server(context: Context) -> None:
    if not context.parameters.was_stopped:
        start_servers(context.resources, context.instance_id)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    set_status(connection, context.instance_id, InstanceStatus.FROZEN)


def see_what_it_is(context: Context) -> InstanceStatus:
    return InstanceStatus.SHUTDOWN if context.parameters.was_stopped else looked_at(context)


def failed(context: TaskContext[Parameters], connection: Writer, status: InstanceStatus) -> None:
    if not context.parameters.was_stopped:
        set_wanted(connection, context.instance_id, Wanted.SERVING)
    set_status(connection, context.instance_id, status)


FREEZE_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="freeze_instance",
    name=TaskName.FREEZE,
    cancellable=False,
    action=Action.FREEZE,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(
        Step("stop server", stop_server, undo=once_at_the_end(start_server), of=each_node, expected=0.05),
    ),
    on_completed=Ending(completed, statuses=frozenset({InstanceStatus.FROZEN})),
    on_failed=Ending(failed, see_what_it_is, SETTLED | {InstanceStatus.SHUTDOWN}),
)
