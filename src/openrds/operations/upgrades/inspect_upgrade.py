"""Look what hinders an instance from getting another major version, while it serves."""

from uuid import UUID

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import keeping_servers, with_primary
from openrds.operations.upgrades import reports
from openrds.operations.upgrades.planning import apart, target_of, what_hinders
from openrds.store.database import Writer
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, TaskContext


class Parameters(msgspec.Struct, frozen=True):
    """The version as requests name it, and as binaries report it."""

    new: str
    new_complete: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, target_version: str) -> UUID:
    """The id of the task, and of the report that it makes."""
    instance = intake.admit(instance_id, INSPECT_UPGRADE)
    new, complete = target_of(intake.connection, instance, target_version)
    task_id = intake.accept(instance, INSPECT_UPGRADE, Parameters(new, complete))
    reports.begin(intake.connection, task_id, instance.id, "check", instance.version, new)
    return task_id


@with_primary
@keeping_servers
def inspect(context: Context) -> Output:
    resources, parameters = context.resources, context.parameters
    node = resources.primary_server(context.instance_id).node
    new = apart(resources, node, parameters.new, parameters.new_complete, str(context.task_id))
    return {"problem": what_hinders(resources, context.instance_id, new)}


def leave(context: Context) -> None:
    resources, parameters = context.resources, context.parameters
    node = resources.primary_server(context.instance_id).node
    new = apart(resources, node, parameters.new, parameters.new_complete, str(context.task_id))
    resources.engine(context.instance_id).upgrades.discard(new)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    problem = str(context.outputs["inspect"]["problem"])
    reports.end(connection, context.task_id, succeeded=not problem, detail=problem or "Nothing hinders it.")


def failed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    reports.end(connection, context.task_id, succeeded=False)


INSPECT_UPGRADE: Operation[Resources, Parameters] = Operation(
    key="inspect_upgrade",
    name=TaskName.INSPECT_UPGRADE,
    action=Action.UPGRADE,
    parameters=Parameters,
    steps=(Step("inspect", inspect, undo=leave, expected=1.0, deadline=LONG),),
    on_completed=Ending(completed),
    on_failed=Ending(failed),
)
