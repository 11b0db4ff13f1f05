"""Create an instance: a fresh server of its own on an address of its own."""

from uuid import UUID

import msgspec

from openrds.domain.instance import InstanceStatus
from openrds.domain.task import TaskName
from openrds.engines.passwords import seal_password
from openrds.engines.protocol import Server
from openrds.operations.addresses import listen_on, release_addresses, take_endpoint
from openrds.operations.create_request import CreateInstance
from openrds.operations.creation import NewInstance, plan_instance, write_instance
from openrds.operations.intake import Intake
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
        CREATE_INSTANCE,
        TaskName.CREATE,
        Parameters(planned.administrator, seal_password(planned.engine, request.password or "")),
        entities={"instance": _aim(instance)},
    )
    return planned, task_id


def allocate_address(context: Context) -> Output:
    """A single server listens on the instance's endpoint itself."""
    address = take_endpoint(context.resources, context.resources.instance(context.instance_id))
    listen_on(context.resources, _node(context), address)
    return {"address": address}


def release_address(context: Context) -> None:
    release_addresses(context.resources, context.instance_id)


def create_volume(context: Context) -> None:
    resources = context.resources
    size = resources.instance(context.instance_id)["volume_size"]
    resources.volumes.create(_node(context)["id"], size)


def remove_volume(context: Context) -> None:
    context.resources.remove_folders(_node(context)["id"])


def initialise_data(context: Context) -> None:
    context.resources.initialise(_server(context))


def start_server(context: Context) -> None:
    context.resources.start(_server(context))


def stop_server(context: Context) -> None:
    _server(context).stop()


def create_administrator(context: Context) -> None:
    parameters = context.parameters
    _server(context).set_administrator(parameters.administrator, parameters.sealed_password)


def check_endpoint(context: Context) -> None:
    server = _server(context)
    if not server.answers():
        raise RuntimeError(f"the server does not answer on {server.node.address}:{server.node.port}")


def completed(context: Context, connection: Writer) -> Output:
    instance = context.resources.instance(context.instance_id)
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    endpoint = f"{context.outputs['allocate address']['address']}:{instance['port']}"
    return {
        "instance": {"endpoint": endpoint, **_aim(instance)},
        "resource_ids": [f"{context.instance_id}.vm", f"{context.instance_id}.volume"],
    }


def failed(context: Context, connection: Writer) -> None:
    set_status(connection, context.instance_id, InstanceStatus.CREATE_FAIL)


def _aim(instance: Row) -> dict[str, object]:
    """What the task is to make, as `entities.instance` says it (jobs seeds, table 6)."""
    datastore = {"type": str(instance["engine"]).lower(), "version": instance["version"]}
    return {"type": instance["type"], "datastore": datastore}


def _node(context: Context) -> Row:
    return context.resources.primary(context.instance_id)


def _server(context: Context) -> Server:
    return context.resources.server(context.resources.instance(context.instance_id), _node(context))


CREATE_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="create_instance",
    parameters=Parameters,
    steps=(
        Step("allocate address", allocate_address, undo=release_address, expected=0.01),
        Step("create volume", create_volume, undo=remove_volume, expected=0.01),
        Step("initialise data", initialise_data, expected=0.3),
        Step("start server", start_server, undo=stop_server, expected=0.1),
        Step("create administrator", create_administrator, expected=0.02),
        Step("check endpoint", check_endpoint, expected=0.02),
    ),
    on_completed=completed,
    on_failed=failed,
)
