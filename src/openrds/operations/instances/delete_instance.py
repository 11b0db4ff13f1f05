"""Delete an instance with its data and automatic backups. Its tasks stay readable, and manual backups stay."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from openrds.domain.instance import STOPPED, InstanceStatus, Wanted
from openrds.domain.instance_values import Instance, Node
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps.addresses import release_addresses
from openrds.operations.steps.nodes import each_node, node_of
from openrds.operations.steps.replication import forget_follower
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import stop_server
from openrds.operations.steps.serving import await_serving
from openrds.operations.steps.status import SETTLED, set_status, set_wanted, status_by_looking
from openrds.store.database import Writer
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

_sql = Queries("instances")
_backups = Queries("backups")
_schedule = Queries("schedule")

Context = StepContext[Resources, NoParameters]

#: What an instance that was not deleted is, and is to be, by its id.
Remains = Mapping[str, tuple[InstanceStatus, Wanted]]


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


def submit_several(intake: Intake, instance_ids: Sequence[str]) -> dict[str, UUID]:
    """The task that deletes each, of a read replica its primary's where that is deleted too.

    Those that cannot be deleted now are left out (operations.md 4).
    """
    wanted = list(dict.fromkeys(instance_ids))
    key = {"project_id": intake.project_id, "ids": wanted}
    primary_of = {
        row["id"]: row["replica_of"] for row in intake.connection.execute(_sql.followers_among, key)
    }
    primaries_first = sorted(wanted, key=lambda id_: id_ in primary_of)
    tasks: dict[str, UUID | None] = {}
    for id_ in primaries_first:
        tasks[id_] = tasks.get(primary_of.get(id_, "")) or intake.attempt(id_, submit)
    return {id_: task for id_ in wanted if (task := tasks[id_]) is not None}


def last_first(nodes: Sequence[Node], _parameters: NoParameters) -> Sequence[Node]:
    """Who follows goes before its primary, and comes back after it."""
    return nodes[::-1]


def start_server_again(context: Context) -> None:
    resources, (instance, node) = context.resources, node_of(context)
    if instance.status not in STOPPED:
        server = resources.server(instance, node)
        # An instance that was never whole, or whose data is gone, has nothing to go back to.
        if server.node.data_dir.exists():
            server.start()
    resources.apply_routes()


def remove_volume(context: Context) -> None:
    context.resources.host.remove_folders(context.node_id)


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


def completed(context: TaskContext[NoParameters], connection: Writer, gone: Sequence[Instance]) -> None:
    for instance in gone:
        connection.execute(_schedule.cancel_of_instance, [instance.id])
    connection.execute(_backups.delete_automatic_backups, [context.instance_id])
    connection.execute(_backups.break_continuity, [context.instance_id])
    connection.execute(_sql.delete_replicas, [context.instance_id])
    connection.execute(_sql.delete_instance, [context.instance_id])
    connection.execute(_sql.release_os_users)


def see_remains(context: Context) -> Remains:
    return {instance.id: _remains(context.resources, instance) for instance in _all(context)}


def _remains(resources: Resources, instance: Instance) -> tuple[InstanceStatus, Wanted]:
    """Each is as it was before, but for one whose data is gone: that can only be deleted again."""
    if instance.status is InstanceStatus.CREATE_FAIL:
        return instance.status, Wanted.GONE
    if not _is_whole(resources, instance):
        return InstanceStatus.FAILED, Wanted.GONE
    if instance.status in STOPPED:
        return instance.status, Wanted.STOPPED
    return status_by_looking(resources, instance.id), Wanted.SERVING


def failed(_context: TaskContext[NoParameters], connection: Writer, remains: Remains) -> None:
    for id_, (status, wanted) in remains.items():
        set_status(connection, id_, status)
        set_wanted(connection, id_, wanted)


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
        Step("stop server", stop_server, undo=start_server_again, of=last_first, expected=0.05),
        # A failure from here on leaves an instance that can only be deleted again.
        Step("remove volume", remove_volume, of=each_node, expected=0.05, final=True),
        Step("remove backups", remove_backups, expected=0.02),
        Step("leave primary", leave_primary, expected=0.01),
        Step("release address", release_address, expected=0.01),
    ),
    on_completed=Ending(completed, _all),
    on_failed=Ending(failed, see_remains, SETTLED | STOPPED | {InstanceStatus.CREATE_FAIL}),
)
