"""Give the administrator of an instance another password. Callers wait for the end, so it is one short step."""

from uuid import UUID

import msgspec

from openrds.domain import rules
from openrds.domain.deadline import SHORT
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceType
from openrds.domain.lengths import Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import LockedError
from openrds.engines.registry import seal_password
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.restoring import set_remote_access
from openrds.operations.steps.serving import with_primary
from openrds.operations.steps.status import STAYS_AS_IT_IS
from openrds.tasks.operation import Operation, Step, StepContext, StepFailed


class ResetPassword(msgspec.Struct):
    db_user_pwd: Text


class Parameters(msgspec.Struct, frozen=True):
    administrator: str
    sealed_password: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: ResetPassword) -> UUID:
    instance = intake.instance(instance_id)
    engine = instance.engine
    if instance.type is InstanceType.REPLICA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE, "A read replica has the passwords of its primary; set it there."
        )
    administrator = RULES[engine].administrator
    rules.check_password(request.db_user_pwd, engine, user=administrator)
    intake.check(instance, RESET_PASSWORD)
    parameters = Parameters(administrator, seal_password(engine, request.db_user_pwd))
    return intake.accept(instance, RESET_PASSWORD, parameters)


@with_primary
def set_password(context: Context) -> None:
    resources, parameters = context.resources, context.parameters
    server = resources.primary_server(context.instance_id)
    try:
        # First, so that one that dropped itself is not open for a moment where the instance is closed.
        set_remote_access(resources, context.instance_id)
        server.set_administrator(parameters.administrator, parameters.sealed_password)
    except LockedError as error:
        # The caller waits, and whoever holds the lock may hold it for as long as it likes.
        raise StepFailed(str(error)) from None


RESET_PASSWORD: Operation[Resources, Parameters] = Operation(
    key="reset_password",
    name=TaskName.RESET_PASSWORD,
    action=Action.RESET_PASSWORD,
    parameters=Parameters,
    steps=(Step("set password", set_password, expected=0.02, deadline=SHORT),),
    on_completed=STAYS_AS_IT_IS,
    on_failed=STAYS_AS_IT_IS,
)
