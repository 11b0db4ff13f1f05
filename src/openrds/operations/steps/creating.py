"""The steps that making an instance has in common, of one node or of several, wherever its data comes from."""

from typing import Any

from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance, InstanceSpec
from openrds.engines.protocol import Server
from openrds.operations.steps import servers
from openrds.operations.steps.addresses import (
    listen_on,
    release_addresses,
    take_endpoint,
    take_node_address,
)
from openrds.operations.steps.nodes import each_node, node_of, once_at_the_end
from openrds.operations.steps.replication import restore_confirmation
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_primary, with_standby
from openrds.operations.steps.status import ACTIVE, instance_of, set_status, set_wanted
from openrds.store.database import Writer
from openrds.tasks.operation import Ending, Output, P, Step, StepContext, TaskContext


def allocate_address(context: StepContext[Resources, P]) -> Output:
    """A single server listens on the instance's endpoint itself; several have an address each beside it."""
    resources, (instance, node) = context.resources, node_of(context)
    endpoint = take_endpoint(resources, instance)
    is_single = len(resources.view.nodes(instance.id)) == 1
    listen_on(resources, node, endpoint if is_single else take_node_address(resources, instance, node))
    return {"address": endpoint}


def release_all_addresses(context: StepContext[Resources, P]) -> None:
    release_addresses(context.resources, context.instance_id)


def create_volume(context: StepContext[Resources, P]) -> None:
    context.resources.host.volumes.create(context.node_id, instance_of(context).volume_size)


def remove_volume(context: StepContext[Resources, P]) -> None:
    context.resources.host.remove_folders(context.node_id)


def start_servers(context: StepContext[Resources, P]) -> None:
    primary, *standbys = servers_of(context)
    for standby in standbys:
        standby.replication.launch()
    context.resources.host.start(primary)
    for standby in standbys:
        standby.replication.follow()


def stop_servers(context: StepContext[Resources, P]) -> None:
    servers.stop_servers(context.resources, context.instance_id)


@with_standby
def confirm_writes(context: StepContext[Resources, P]) -> None:
    """From now on, where the instance replicates synchronously."""
    restore_confirmation(context.resources, context.instance_id)


def pass_on_endpoint(context: StepContext[Resources, P]) -> None:
    """To the primary of several; a single server listens on it itself."""
    if context.resources.view.standbys(context.instance_id):
        context.resources.apply_routes(*context.resources.view.where_clients_come(context.instance_id))


@with_primary
def check_endpoint(context: StepContext[Resources, P]) -> None:
    servers.check_endpoint(context.resources, context.instance_id)


def _completed(context: TaskContext[P], connection: Writer, instance: Instance) -> Output:
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    endpoint = f"{context.outputs['allocate address']['address']}:{instance.port}"
    return {
        "instance": {"endpoint": endpoint, **aim_of(instance)},
        "resource_ids": resource_ids(context.instance_id),
    }


def _failed(context: TaskContext[P], connection: Writer, _seen: None) -> None:
    set_status(connection, context.instance_id, InstanceStatus.CREATE_FAIL)
    set_wanted(connection, context.instance_id, Wanted.GONE)


def aim_of(instance: InstanceSpec) -> dict[str, object]:
    """What the task is to make, as `entities.instance` says it (jobs seeds, table 6)."""
    datastore = {"type": instance.engine.lower(), "version": instance.version}
    aim: dict[str, object] = {"type": instance.type, "datastore": datastore}
    return aim | ({"replica_of": instance.replica_of} if instance.replica_of else {})


def resource_ids(instance_id: str) -> list[str]:
    return [f"{instance_id}.vm", f"{instance_id}.volume"]


def servers_of(context: StepContext[Resources, P]) -> list[Server]:
    """The primary's first."""
    instance, resources = instance_of(context), context.resources
    return [resources.server(instance, node) for node in resources.view.nodes(context.instance_id)]


#: With these each way begins.
ALLOCATE_ADDRESS: Step[Resources, Any] = Step(
    "allocate address",
    allocate_address,
    undo=once_at_the_end(release_all_addresses),
    of=each_node,
    expected=0.01,
)
CREATE_VOLUME: Step[Resources, Any] = Step(
    "create volume", create_volume, undo=remove_volume, of=each_node, expected=0.01
)
#: And so it ends.
IS_MADE: Ending[Resources, Any, Instance] = Ending(_completed, instance_of, ACTIVE)
IS_UNMADE: Ending[Resources, Any, None] = Ending(_failed, statuses=frozenset({InstanceStatus.CREATE_FAIL}))
