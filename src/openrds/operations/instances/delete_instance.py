"""Delete an instance with its data and automatic backups. Its tasks stay readable, and manual backups stay."""

from uuid import UUID

from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps.addresses import release_addresses
from openrds.operations.steps.replication import forget_follower
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import await_serving
from openrds.operations.steps.status import set_status, set_wanted, settle
from openrds.store.database import Writer
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Output, Step, StepContext

_sql = Queries("instances")
_backups = Queries("backups")
_schedule = Queries("schedule")

Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, instance_id: str) -> UUID:
    """Clients wait out only ACTIVE and BACKING UP, so the status stays; one with another leaves the list at once.

    The read replicas of an instance go with it (operations.md 4).
    """
    instance = intake.admit(instance_id, DELETE_INSTANCE)
    replicas = replicas_of(intake.connection, instance_id)
    held = [replica.id for replica in replicas]
    task_id = intake.accept(instance, DELETE_INSTANCE, also_held=held)
    for one in (instance, *replicas):
        intake.set_status(one, one.status, deleting=True)
        intake.set_wanted(one, Wanted.GONE)
    return task_id


def stop_servers(context: Context) -> None:
    resources = context.resources
    for instance in reversed(_all(context)):
        for node in resources.view.nodes(instance.id):
            resources.stop(instance, node)


def start_servers_again(context: Context) -> None:
    resources = context.resources
    for instance in _all(context):
        if instance.status is InstanceStatus.SHUTDOWN:
            continue
        for node in resources.view.nodes(instance.id):
            server = resources.server(instance, node)
            # An instance that was never whole, or whose data is gone, has nothing to go back to.
            if server.node.data_dir.exists():
                server.start()
    resources.apply_routes()


def remove_volumes(context: Context) -> None:
    resources = context.resources
    for instance in _all(context):
        for node in resources.view.nodes(instance.id):
            resources.host.remove_folders(node.id)


def leave_primary(context: Context) -> None:
    """A primary shall keep nothing back for a replica that is gone."""
    resources, instance = context.resources, context.resources.view.instance(context.instance_id)
    if instance.replica_of is not None:
        await_serving(resources, instance.replica_of)
        for node in resources.view.nodes(instance.id):
            forget_follower(resources, instance.replica_of, node.id)


def remove_backups(context: Context) -> None:
    resources = context.resources
    for backup in resources.store.rows(_backups.automatic_backups, [context.instance_id]):
        resources.host.backups.remove(context.instance_id, backup["id"])
    for instance in _all(context):
        resources.host.backups.remove_archive(instance.id)


def release_address(context: Context) -> None:
    for instance in _all(context):
        release_addresses(context.resources, instance.id)


def completed(context: Context, connection: Writer) -> Output:
    for instance in _all(context):
        connection.execute(_schedule.cancel_of_instance, [instance.id])
    connection.execute(_backups.delete_automatic_backups, [context.instance_id])
    connection.execute(_backups.break_continuity, [context.instance_id])
    connection.execute(_sql.delete_replicas, [context.instance_id])
    connection.execute(_sql.delete_instance, [context.instance_id])
    connection.execute(_sql.release_os_users)
    return {}


def failed(context: Context, connection: Writer) -> None:
    """Each is as it was before, but for one whose data is gone: that can only be deleted again."""
    resources = context.resources
    for instance in _all(context):
        status = instance.status
        if status is InstanceStatus.CREATE_FAIL:
            set_status(connection, instance.id, status)
        elif not _is_whole(resources, instance):
            set_status(connection, instance.id, InstanceStatus.FAILED)
        elif status is InstanceStatus.SHUTDOWN:
            set_status(connection, instance.id, status)
            set_wanted(connection, instance.id, Wanted.STOPPED)
        else:
            settle(resources, connection, instance.id)
            set_wanted(connection, instance.id, Wanted.SERVING)


def _is_whole(resources: Resources, instance: Instance) -> bool:
    return all(resources.host.volumes.path(node.id).exists() for node in resources.view.nodes(instance.id))


def _all(context: Context) -> list[Instance]:
    """The instance, and the read replicas that go with it."""
    resources = context.resources
    return [resources.view.instance(context.instance_id), *resources.view.replicas(context.instance_id)]


DELETE_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="delete_instance",
    name=TaskName.DELETE,
    action=Action.DELETE,
    parameters=NoParameters,
    steps=(
        Step("stop server", stop_servers, undo=start_servers_again, expected=0.05),
        # From here on there is no way back: a failure leaves an instance that can only be deleted again.
        Step("remove volume", remove_volumes, expected=0.05),
        Step("remove backups", remove_backups, expected=0.02),
        Step("leave primary", leave_primary, expected=0.01),
        Step("release address", release_address, expected=0.01),
    ),
    on_completed=completed,
    on_failed=failed,
)
