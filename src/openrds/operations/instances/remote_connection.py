"""Let the administrator of an instance log in from everywhere, or only from where the service is: an extension.

Source: operations.md 10.
"""

from uuid import UUID

import msgspec

from openrds.domain.deadline import SHORT
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_primary
from openrds.operations.steps.status import STAYS_AS_IT_IS
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

_sql = Queries("instances")


class SetRemoteConnection(msgspec.Struct):
    is_open: bool


class Parameters(msgspec.Struct, frozen=True):
    administrator: str
    is_open: bool


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: SetRemoteConnection) -> UUID:
    instance = intake.instance(instance_id)
    rules = RULES[instance.engine]
    _check_has(instance, has_hosts=rules.accounts_have_hosts)
    intake.check(instance, SET_REMOTE_CONNECTION)
    if instance.remote_access == request.is_open:
        state = "open" if request.is_open else "closed"
        raise Refusal(ErrorCode.PARAMETER, f"The remote connection of the instance is {state} already.")
    bound = intake.connection.execute(_sql.public_address_of_instance, [instance_id]).fetchone()
    return intake.accept(
        instance,
        SET_REMOTE_CONNECTION,
        Parameters(rules.administrator, request.is_open),
        entities={"public_ip": bound["address"] if bound else ""},
        name=TaskName.OPEN_REMOTE_CONNECTION if request.is_open else TaskName.CLOSE_REMOTE_CONNECTION,
    )


def _check_has(instance: Instance, *, has_hosts: bool) -> None:
    """Whether accounts say where they may log in from; which addresses answer at all is another matter."""
    if not has_hosts:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"{instance.engine} has no remote connection to open or close; bind a public address, or unbind it, "
            "instead.",
        )
    if instance.type is InstanceType.REPLICA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"A read replica has the accounts of its primary; open or close it there, {instance.replica_of}.",
        )


@with_primary
def set_access(context: Context) -> None:
    _set(context, allowed=context.parameters.is_open)


@with_primary
def set_access_back(context: Context) -> None:
    _set(context, allowed=not context.parameters.is_open)


def _set(context: Context, *, allowed: bool) -> None:
    server = context.resources.primary_server(context.instance_id)
    server.set_remote_access(context.parameters.administrator, allowed)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    connection.execute(
        _sql.set_remote_access, {"id": context.instance_id, "allowed": context.parameters.is_open}
    )


SET_REMOTE_CONNECTION: Operation[Resources, Parameters] = Operation(
    key="set_remote_connection",
    name=TaskName.OPEN_REMOTE_CONNECTION,
    also_named=(TaskName.CLOSE_REMOTE_CONNECTION,),
    action=Action.CHANGE_REMOTE_CONNECTION,
    parameters=Parameters,
    steps=(Step("set access", set_access, undo=set_access_back, expected=0.02, deadline=SHORT),),
    on_completed=Ending(completed),
    on_failed=STAYS_AS_IT_IS,
)
