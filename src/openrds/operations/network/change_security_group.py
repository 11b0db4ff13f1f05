"""Have another security group say who may connect to an instance. Source: operations.md 11."""

from uuid import UUID

import msgspec

from openrds.domain.lengths import Text
from openrds.domain.network import default_network
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.networks import find_security_group
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import STAYS_AS_IT_IS
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Step, StepContext, StepFailed

_instances = Queries("instances")
_networks = Queries("networks")


class ChangeSecurityGroup(msgspec.Struct):
    security_group_id: Text


class Parameters(msgspec.Struct, frozen=True):
    old: str
    new: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: ChangeSecurityGroup) -> UUID:
    """Its read replicas keep theirs. The group that it is in already may be named."""
    instance = intake.admit(instance_id, CHANGE_SECURITY_GROUP)
    group = find_security_group(intake, request.security_group_id)
    parameters = Parameters(old=instance.security_group_id, new=group.id)
    return intake.accept(instance, CHANGE_SECURITY_GROUP, parameters)


def set_security_group(context: Context) -> None:
    """
    Raises:
        StepFailed: the group was deleted meanwhile.
    """
    if not _set(context, context.parameters.new):
        raise StepFailed(f"the security group {context.parameters.new} does not exist any more")


def set_security_group_back(context: Context) -> None:
    """The old one may be gone, as nothing used it: then the instance stays in the new one."""
    _set(context, context.parameters.old)
    filter_connections(context)


def filter_connections(context: Context) -> None:
    """By the rules of the group that the instance is in at this moment."""
    context.resources.apply_guards()


def _set(context: Context, group_id: str) -> bool:
    """Whether there still is such a group, which then is the instance's."""
    instance = context.resources.view.instance(context.instance_id)
    default = default_network(instance.project_id, context.resources.settings).security_group
    key = {"id": group_id, "project_id": instance.project_id}
    with context.resources.store.transaction() as connection:
        is_there = connection.execute(_networks.hold_security_group, key).fetchone() is not None
        if is_there or group_id == default.id:
            row = {"id": instance.id, "security_group_id": group_id}
            connection.execute(_instances.set_security_group, row)
            return True
    return False


CHANGE_SECURITY_GROUP: Operation[Resources, Parameters] = Operation(
    key="change_security_group",
    name=TaskName.CHANGE_SECURITY_GROUP,
    action=Action.CHANGE_SECURITY_GROUP,
    parameters=Parameters,
    steps=(
        Step("set security group", set_security_group, undo=set_security_group_back, expected=0.01),
        Step("filter connections", filter_connections, expected=0.02),
    ),
    on_completed=STAYS_AS_IT_IS,
    on_failed=STAYS_AS_IT_IS,
)
