"""Unbind the public address of an instance: it answers no more, and is free for others. Source: operations.md 9."""

from uuid import UUID

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.network.bind_public_address import Parameters
from openrds.operations.steps.public_address import set_bound
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import STAYS_AS_IT_IS
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, TaskContext

_sql = Queries("instances")

Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, address: str | None) -> UUID:
    """The address need not be named; one that is must be the one that is bound."""
    instance = intake.admit(instance_id, UNBIND_PUBLIC_ADDRESS)
    held = intake.connection.execute(_sql.public_address_of_instance, [instance_id]).fetchone()
    if held is None:
        raise Refusal(ErrorCode.PARAMETER, "No public address is bound to the instance.")
    if address and address != held["address"]:
        raise Refusal(ErrorCode.PARAMETER, f"{held['address']} is bound to the instance, not {address}.")
    parameters = Parameters(held["address"])
    entities = {"public_ip": held["address"]}
    return intake.accept(instance, UNBIND_PUBLIC_ADDRESS, parameters, entities)


def stop_passing_on(context: Context) -> None:
    set_bound(context.resources, context.instance_id, bound=False)


def pass_connections_on(context: Context) -> None:
    set_bound(context.resources, context.instance_id, bound=True)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> Output:
    connection.execute(_sql.release_public_address, [context.instance_id])
    return {"public_ip": context.parameters.address}


UNBIND_PUBLIC_ADDRESS: Operation[Resources, Parameters] = Operation(
    key="unbind_public_address",
    name=TaskName.UNBIND_PUBLIC_ADDRESS,
    action=Action.CHANGE_PUBLIC_ADDRESS,
    parameters=Parameters,
    steps=(Step("stop passing on", stop_passing_on, undo=pass_connections_on, expected=0.05),),
    on_completed=Ending(completed),
    on_failed=STAYS_AS_IT_IS,
)
