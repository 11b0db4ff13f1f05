"""Create an instance: fresh servers of its own, a primary and perhaps a standby, behind an address of its own."""

from uuid import UUID

import msgspec

from openrds.domain.instance import InstanceStatus
from openrds.domain.task import TaskName
from openrds.engines.passwords import seal_password
from openrds.engines.protocol import Server
from openrds.operations.addresses import (
    listen_on,
    release_addresses,
    take_endpoint,
    take_node_address,
    where_clients_come,
)
from openrds.operations.create_request import CreateInstance
from openrds.operations.creation import NewInstance, plan_instance, write_instance
from openrds.operations.intake import Intake
from openrds.operations.replication import restore_confirmation
from openrds.operations.resources import Resources, set_status
from openrds.store.database import Row, Writer
from openrds.tasks.operation import Operation, Output, Step, StepContext


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
        TaskName.CREATE,
        Parameters(planned.administrator, seal_password(planned.engine, request.password or "")),
        entities={"instance": aim_of(instance)},
    )
    return planned, task_id


def allocate_addresses(context: Context) -> Output:
    """A single server listens on the instance's endpoint itself; several have an address each beside it."""
    resources, instance = context.resources, _instance(context)
    address = take_endpoint(resources, instance)
    nodes = resources.nodes(context.instance_id)
    for node in nodes:
        listen_on(
            resources, node, address if len(nodes) == 1 else take_node_address(resources, instance, node)
        )
    return {"address": address}


def release_all_addresses(context: Context) -> None:
    release_addresses(context.resources, context.instance_id)


def create_volumes(context: Context) -> None:
    resources, size = context.resources, _instance(context)["volume_size"]
    for node in resources.nodes(context.instance_id):
        resources.volumes.create(node["id"], size)


def remove_volumes(context: Context) -> None:
    for node in context.resources.nodes(context.instance_id):
        context.resources.remove_folders(node["id"])


def initialise_data(context: Context) -> None:
    """A standby is a copy of the primary, which is taken fastest before that has ever run."""
    primary, *standbys = _servers(context)
    context.resources.initialise(primary)
    for standby in standbys:
        standby.replication.copy_upstream()


def start_servers(context: Context) -> None:
    primary, *standbys = _servers(context)
    context.resources.start(primary)
    for standby in standbys:
        standby.replication.follow()


def stop_servers(context: Context) -> None:
    for server in _servers(context):
        server.stop()


def create_administrator(context: Context) -> None:
    parameters = context.parameters
    _servers(context)[0].set_administrator(parameters.administrator, parameters.sealed_password)


def confirm_writes(context: Context) -> None:
    """From now on, where the instance replicates synchronously."""
    restore_confirmation(context.resources, context.instance_id)


def pass_on_endpoint(context: Context) -> None:
    context.resources.apply_routes(*where_clients_come(context.resources, context.instance_id))


def check_endpoint(context: Context) -> None:
    server = _servers(context)[0]
    if not server.answers():
        raise RuntimeError(f"the server does not answer on {server.node.address}:{server.node.port}")


def completed(context: Context, connection: Writer) -> Output:
    instance = _instance(context)
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    endpoint = f"{context.outputs['allocate address']['address']}:{instance['port']}"
    return {
        "instance": {"endpoint": endpoint, **aim_of(instance)},
        "resource_ids": resource_ids(context.instance_id),
    }


def failed(context: Context, connection: Writer) -> None:
    set_status(connection, context.instance_id, InstanceStatus.CREATE_FAIL)


def aim_of(instance: Row) -> dict[str, object]:
    """What the task is to make, as `entities.instance` says it (jobs seeds, table 6)."""
    datastore = {"type": str(instance["engine"]).lower(), "version": instance["version"]}
    aim = {"type": instance["type"], "datastore": datastore}
    return aim | ({"replica_of": instance["replica_of"]} if instance["replica_of"] else {})


def resource_ids(instance_id: str) -> list[str]:
    return [f"{instance_id}.vm", f"{instance_id}.volume"]


def _instance(context: Context) -> Row:
    return context.resources.instance(context.instance_id)


def _servers(context: Context) -> list[Server]:
    """The primary's first."""
    instance, resources = _instance(context), context.resources
    return [resources.server(instance, node) for node in resources.nodes(context.instance_id)]


CREATE_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="create_instance",
    parameters=Parameters,
    steps=(
        Step("allocate address", allocate_addresses, undo=release_all_addresses, expected=0.01),
        Step("create volume", create_volumes, undo=remove_volumes, expected=0.01),
        Step("initialise data", initialise_data, expected=0.3),
        Step("start server", start_servers, undo=stop_servers, expected=0.1),
        Step("create administrator", create_administrator, expected=0.02),
        Step("check endpoint", check_endpoint, expected=0.02),
    ),
    on_completed=completed,
    on_failed=failed,
)

#: The same for an instance with a standby, which has its own usual times.
CREATE_HA_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="create_ha_instance",
    parameters=Parameters,
    steps=(
        Step("allocate address", allocate_addresses, undo=release_all_addresses, expected=0.01),
        Step("create volume", create_volumes, undo=remove_volumes, expected=0.01),
        Step("initialise data", initialise_data, expected=0.6),
        Step("start server", start_servers, undo=stop_servers, expected=0.2),
        Step("create administrator", create_administrator, expected=0.02),
        Step("confirm writes", confirm_writes, expected=0.05),
        Step("pass on endpoint", pass_on_endpoint, expected=0.05),
        Step("check endpoint", check_endpoint, expected=0.02),
    ),
    on_completed=completed,
    on_failed=failed,
)
