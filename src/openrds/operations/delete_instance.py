"""Delete an instance with its data and automatic backups. Its tasks stay readable, and manual backups stay."""

from uuid import UUID

from openrds.domain.instance import InstanceStatus
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.addresses import release_addresses
from openrds.operations.intake import Intake, NoParameters
from openrds.operations.resources import Resources, settle_by_looking
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Output, Step, StepContext

_sql = Queries("instances")
_backups = Queries("backups")
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
    for node in resources.nodes(context.instance_id):
        server = resources.server(instance, node)
        # An instance that was never whole, or whose data is gone, has nothing to go back to.
        if server.node.data_dir.exists():
            server.start()


def remove_volumes(context: Context) -> None:
    for node in context.resources.nodes(context.instance_id):
        context.resources.remove_folders(node["id"])


def remove_backups(context: Context) -> None:
    resources = context.resources
    for backup in resources.store.rows(_backups.automatic_backups, [context.instance_id]):
        resources.backups.remove(context.instance_id, backup["id"])
    resources.backups.remove_archive(context.instance_id)


def release_address(context: Context) -> None:
    release_addresses(context.resources, context.instance_id)


def completed(context: Context, connection: Writer) -> Output:
    connection.execute(_backups.delete_automatic_backups, [context.instance_id])
    connection.execute(_backups.break_continuity, [context.instance_id])
    connection.execute(_schedule.cancel_of_instance, [context.instance_id])
    connection.execute(_sql.delete_instance, [context.instance_id])
    return {}


DELETE_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="delete_instance",
    parameters=NoParameters,
    steps=(
        Step("stop server", stop_servers, undo=start_servers_again, expected=0.05),
        # From here on there is no way back: a failure leaves an instance that can only be deleted again.
        Step("remove volume", remove_volumes, expected=0.05),
        Step("remove backups", remove_backups, expected=0.02),
        Step("release address", release_address, expected=0.01),
    ),
    on_completed=completed,
    on_failed=settle_by_looking,
)
