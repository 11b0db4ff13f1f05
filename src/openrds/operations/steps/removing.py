"""Taking an instance away with its read replicas: what a deletion does, whether the instance can be had back or not."""

from collections.abc import Mapping, Sequence
from typing import Any

from openrds.domain.instance import STOPPED, InstanceStatus, Wanted
from openrds.domain.instance_values import Instance, Node
from openrds.operations.steps.addresses import release_addresses
from openrds.operations.steps.nodes import each_node, node_of
from openrds.operations.steps.replication import forget_follower
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import stop_server
from openrds.operations.steps.serving import await_serving
from openrds.operations.steps.status import set_status, set_wanted, status_by_looking
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Step, StepContext, TaskContext

_sql = Queries("instances")
_backups = Queries("backups")
_names = Queries("dns_names")
_schedule = Queries("schedule")

Context = StepContext[Resources, Any]

#: What an instance that was not deleted is, and is to be, by its id.
Remains = Mapping[str, tuple[InstanceStatus, Wanted]]


def last_first(nodes: Sequence[Node], _parameters: Any) -> Sequence[Node]:
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
    for instance in all_of(context):
        resources.host.backups.remove_archive(instance.id)


def release_address(context: Context) -> None:
    for instance in all_of(context):
        release_addresses(context.resources, instance.id)


def forget(context: TaskContext[Any], connection: Writer, gone: Sequence[Instance]) -> None:
    """Nothing of the instance is left but its tasks, and backups that stay."""
    for instance in gone:
        connection.execute(_schedule.cancel_of_instance, [instance.id])
    connection.execute(_backups.delete_automatic_backups, [context.instance_id])
    connection.execute(_backups.break_continuity, [context.instance_id])
    connection.execute(_names.leave_names, {"id": context.instance_id})
    connection.execute(_sql.delete_replicas, [context.instance_id])
    connection.execute(_sql.delete_instance, [context.instance_id])
    connection.execute(_sql.release_os_users)


def see_remains(context: Context) -> Remains:
    return {instance.id: _remains(context.resources, instance) for instance in all_of(context)}


def _remains(resources: Resources, instance: Instance) -> tuple[InstanceStatus, Wanted]:
    """Each is as it was before, but for one whose data is gone: that can only be deleted again."""
    if instance.status is InstanceStatus.CREATE_FAIL:
        return instance.status, Wanted.GONE
    if not is_whole(resources, instance):
        return InstanceStatus.FAILED, Wanted.GONE
    if instance.status in STOPPED:
        return instance.status, Wanted.STOPPED
    return status_by_looking(resources, instance.id), Wanted.SERVING


def settle(_context: TaskContext[Any], connection: Writer, remains: Remains) -> None:
    for id_, (status, wanted) in remains.items():
        set_status(connection, id_, status)
        set_wanted(connection, id_, wanted)


def is_whole(resources: Resources, instance: Instance) -> bool:
    """Whether no node has lost its volume."""
    return all(resources.host.volumes.path(node.id).exists() for node in resources.view.nodes(instance.id))


def all_of(context: Context) -> list[Instance]:
    """The instance, and the read replicas that go with it."""
    resources = context.resources
    return [resources.view.instance(context.instance_id), *resources.view.replicas(context.instance_id)]


def steps(remove_backups: Step[Resources, Any]) -> tuple[Step[Resources, Any], ...]:
    """Those that take away, with what becomes of the backups between them."""
    return (
        Step("stop server", stop_server, undo=start_server_again, of=last_first, expected=0.05),
        # A failure from here on leaves an instance that can only be deleted again.
        Step("remove volume", remove_volume, of=each_node, expected=0.05, final=True),
        remove_backups,
        Step("leave primary", leave_primary, expected=0.01),
        Step("release address", release_address, expected=0.01),
    )
