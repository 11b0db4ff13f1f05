"""Delete an instance with its data. Its tasks stay readable."""

from uuid import UUID

from openrds.domain.instance import InstanceStatus
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.addresses import release_addresses
from openrds.operations.intake import Intake, NoParameters
from openrds.operations.resources import Resources, set_status, settle_by_looking
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Output, Step, StepContext

_sql = Queries("instances")
_schedule = Queries("schedule")

Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, instance_id: str) -> UUID:
    """Clients wait out only ACTIVE and BACKING UP, so the status stays; one with another leaves the list at once."""
    instance = intake.instance(instance_id)
    intake.check(instance, Action.DELETE)
    task_id = intake.accept(instance, DELETE_INSTANCE, TaskName.DELETE)
    intake.set_status(instance, InstanceStatus(instance["status"]), deleting=True)
    return task_id


def stop_servers(context: Context) -> None:
    resources = context.resources
    instance = resources.instance(context.instance_id)
    for node in resources.nodes(context.instance_id):
        resources.stop(instance, node)


def start_servers_again(context: Context) -> None:
    resources = context.resources
    instance = resources.instance(context.instance_id)
    if instance["status"] == InstanceStatus.SHUTDOWN:
        return
    for node in resources.nodes(context.instance_id):
        server = resources.server(instance, node)
        # An instance that was never whole, or whose data is gone, has nothing to go back to.
        if server.node.data_dir.exists():
            server.start()
    resources.apply_routes()


def remove_volumes(context: Context) -> None:
    for node in context.resources.nodes(context.instance_id):
        context.resources.remove_folders(node["id"])


def release_address(context: Context) -> None:
    release_addresses(context.resources, context.instance_id)


def completed(context: Context, connection: Writer) -> Output:
    connection.execute(_schedule.cancel_of_instance, [context.instance_id])
    connection.execute(_sql.delete_instance, [context.instance_id])
    return {}


def failed(context: Context, connection: Writer) -> None:
    """One that was stopped is so still, unless its data is gone."""
    resources = context.resources
    nodes = [resources.volumes.path(node["id"]) for node in resources.nodes(context.instance_id)]
    was_stopped = resources.instance(context.instance_id)["status"] == InstanceStatus.SHUTDOWN
    if was_stopped and all(node.exists() for node in nodes):
        set_status(connection, context.instance_id, InstanceStatus.SHUTDOWN)
    else:
        settle_by_looking(context, connection)


DELETE_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="delete_instance",
    parameters=NoParameters,
    steps=(
        Step("stop server", stop_servers, undo=start_servers_again, expected=0.05),
        # From here on there is no way back: a failure leaves an instance that can only be deleted again.
        Step("remove volume", remove_volumes, expected=0.05),
        Step("release address", release_address, expected=0.01),
    ),
    on_completed=completed,
    on_failed=failed,
)
