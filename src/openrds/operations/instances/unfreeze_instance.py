"""Let an instance that was frozen serve again, with its read replicas: also one that was stopped before."""

from uuid import UUID

from openrds.domain.instance import InstanceStatus
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.instances.start_instance import (
    pass_connections_on,
    rests_as_before,
    start_server,
    stop_server,
    submit_for_all,
)
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import BECOMES_ACTIVE
from openrds.tasks.operation import Operation, Step


def submit(intake: Intake, instance_id: str) -> UUID:
    """Each read replica has a task of its own; the answer is the primary's."""
    return submit_for_all(intake, instance_id, UNFREEZE_INSTANCE, InstanceStatus.FROZEN)


UNFREEZE_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="unfreeze_instance",
    name=TaskName.UNFREEZE,
    cancellable=False,
    action=Action.UNFREEZE,
    status=InstanceStatus.MODIFYING,
    parameters=NoParameters,
    steps=(
        Step("start server", start_server, undo=stop_server, expected=0.1),
        Step("pass connections on", pass_connections_on, expected=0.05),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=rests_as_before(InstanceStatus.FROZEN),
)
