"""Keep the clients of an instance from changing anything, or let them again, while it serves.

That its volume is full is another matter: it is read-only while one of both is so. Source: operations.md 15.
"""

from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceType
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import hold_writes
from openrds.operations.steps.serving import with_primary
from openrds.operations.steps.status import STAYS_AS_IT_IS
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Step, StepContext

_sql = Queries("instances")


class SetReadOnly(msgspec.Struct):
    readonly: bool


class Parameters(msgspec.Struct, frozen=True):
    was: bool
    read_only: bool


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: SetReadOnly) -> UUID:
    """One that is so already gets a task that changes nothing."""
    instance = intake.admit(instance_id, SET_READ_ONLY)
    if instance.type is InstanceType.REPLICA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"A read replica takes no writes anyway; its primary, {instance.replica_of}, can be made read-only.",
        )
    return intake.accept(instance, SET_READ_ONLY, Parameters(instance.read_only, request.readonly))


@with_primary
def set_read_only(context: Context) -> None:
    _set(context, context.parameters.read_only)


@with_primary
def set_read_only_back(context: Context) -> None:
    _set(context, context.parameters.was)


def _set(context: Context, read_only: bool) -> None:
    """The store comes first: a server that is started meanwhile finds it there."""
    resources, id_ = context.resources, context.instance_id
    resources.store.rows(_sql.set_read_only, {"id": id_, "read_only": read_only})
    instance = resources.view.instance(id_)
    hold_writes(resources, instance, full=instance.storage_full)


SET_READ_ONLY: Operation[Resources, Parameters] = Operation(
    key="set_read_only",
    name=TaskName.SET_READ_ONLY,
    action=Action.SET_READ_ONLY,
    parameters=Parameters,
    steps=(Step("set read-only", set_read_only, undo=set_read_only_back, expected=0.05),),
    on_completed=STAYS_AS_IT_IS,
    on_failed=STAYS_AS_IT_IS,
)
