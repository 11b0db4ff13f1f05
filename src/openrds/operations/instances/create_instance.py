"""Create an instance: fresh servers of its own, a primary and perhaps a standby, behind an address of its own."""

from uuid import UUID

import msgspec

from openrds.domain.deadline import SHORT
from openrds.domain.instance import InstanceStatus
from openrds.domain.task import TaskName
from openrds.engines.registry import seal_password
from openrds.operations.intake.create_request import CreateInstance
from openrds.operations.intake.instance_plan import NewInstance, plan_instance, write_instance
from openrds.operations.intake.intake import Intake
from openrds.operations.steps import creating
from openrds.operations.steps.nodes import the_standby
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_primary
from openrds.tasks.operation import Operation, Step, StepContext


class Parameters(msgspec.Struct, frozen=True):
    """`sealed_password` is what the engine stores; empty when the administrator gets none."""

    administrator: str
    sealed_password: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, request: CreateInstance) -> tuple[NewInstance, UUID | None]:
    """The instance to be and its task; no task for a dry run."""
    planned = plan_instance(intake, request)
    if request.dry_run:
        return planned, None
    instance = write_instance(intake, planned)
    task_id = intake.accept(
        instance,
        CREATE_HA_INSTANCE if request.ha else CREATE_INSTANCE,
        Parameters(planned.administrator, seal_password(instance.engine, request.password or "")),
        entities={"instance": creating.aim_of(instance)},
    )
    return planned, task_id


def initialise_data(context: Context) -> None:
    context.resources.host.initialise(context.resources.primary_server(context.instance_id))


def copy_primary(context: Context) -> None:
    """That is fastest before it has ever run."""
    context.resources.node_server(context.instance_id, context.node_id).replication.copy_upstream()


@with_primary
def create_administrator(context: Context) -> None:
    server = context.resources.primary_server(context.instance_id)
    server.set_administrator(context.parameters.administrator, context.parameters.sealed_password)


CREATE_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="create_instance",
    name=TaskName.CREATE,
    status=InstanceStatus.BUILD,
    parameters=Parameters,
    steps=(
        creating.ALLOCATE_ADDRESS,
        creating.CREATE_VOLUME,
        Step("initialise data", initialise_data, expected=0.3),
        Step("start server", creating.start_servers, undo=creating.stop_servers, expected=0.1),
        Step("create administrator", create_administrator, expected=0.02, deadline=SHORT),
        Step("check endpoint", creating.check_endpoint, expected=0.02),
    ),
    on_completed=creating.IS_MADE,
    on_failed=creating.IS_UNMADE,
)

#: The same for an instance with a standby, which has its own usual times.
CREATE_HA_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="create_ha_instance",
    name=TaskName.CREATE,
    status=InstanceStatus.BUILD,
    parameters=Parameters,
    steps=(
        creating.ALLOCATE_ADDRESS,
        creating.CREATE_VOLUME,
        Step("initialise data", initialise_data, expected=0.3),
        Step("copy primary", copy_primary, of=the_standby, expected=0.3),
        Step("start server", creating.start_servers, undo=creating.stop_servers, expected=0.2),
        Step("create administrator", create_administrator, expected=0.02, deadline=SHORT),
        Step("confirm writes", creating.confirm_writes, expected=0.05),
        Step("pass on endpoint", creating.pass_on_endpoint, expected=0.05),
        Step("check endpoint", creating.check_endpoint, expected=0.02),
    ),
    on_completed=creating.IS_MADE,
    on_failed=creating.IS_UNMADE,
)
