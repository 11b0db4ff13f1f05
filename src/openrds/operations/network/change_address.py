"""Move an instance to another address of the pool: its servers are restarted. Source: operations.md 11."""

import ipaddress
from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.hosts.addresses import AddressPool, port_is_free
from openrds.hosts.errors import HostError
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.nodes import each_node, once_at_the_end
from openrds.operations.steps.replication import turn_replicas
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_servers, stop_server, stop_servers
from openrds.operations.steps.status import ACTIVE, SETTLED, looked_at, set_status
from openrds.store.database import Writer
from openrds.store.instances import nodes_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

_sql = Queries("instances")

#: What a closed remote connection takes for the service's own network: see `openrds.engines.binlog.accounts`.
_NEARBY_BITS = 24


class ChangeAddress(msgspec.Struct):
    new_ip: Text


class Parameters(msgspec.Struct, frozen=True):
    old_address: str
    address: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: ChangeAddress) -> UUID:
    """The instance holds both addresses from now on, until it is settled which one it keeps."""
    instance = intake.admit(instance_id, CHANGE_ADDRESS)
    if instance.type is InstanceType.REPLICA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE, "A read replica keeps its address; make another and delete this one."
        )
    address = _check_offered(intake, instance, request.new_ip)
    _check_administrator(instance, address)
    _take(intake, instance, address)
    return intake.accept(instance, CHANGE_ADDRESS, Parameters(str(instance.address), address))


def _check_offered(intake: Intake, instance: Instance, asked: str) -> str:
    """The address as it is written usually, if it is one that instances are given."""
    pool = AddressPool(intake.settings.private_network)
    try:
        address = ipaddress.IPv4Address(asked)
    except ValueError:
        raise Refusal(ErrorCode.PARAMETER, "new_ip must be an IPv4 address, such as 192.0.2.10.") from None
    if not pool.offers(address):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"new_ip: {address} is none that instances are given: those of {pool.network}, "
            "without the first and the last.",
        )
    if str(address) == instance.address:
        raise Refusal(ErrorCode.PARAMETER, f"The instance has the address {address} already.")
    return str(address)


def _check_administrator(instance: Instance, address: str) -> None:
    """One that may log in from its server's own network only has its accounts for that network, and no other."""
    near = ipaddress.IPv4Network(f"{instance.address}/{_NEARBY_BITS}", strict=False)
    new = ipaddress.IPv4Address(address)
    if not instance.remote_access and not new.is_loopback and new not in near:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"new_ip: with its remote connection closed, the instance's address must be one of {near}; "
            "open it first, and close it again at the new address.",
        )


def _take(intake: Intake, instance: Instance, address: str) -> None:
    primary, *_ = nodes_of(intake.connection, instance.id)
    try:
        free = port_is_free(address, instance.port)
    except HostError as error:
        raise Refusal(ErrorCode.PARAMETER, str(error)) from None
    if not free:
        raise Refusal(ErrorCode.PARAMETER, f"{address}:{instance.port} is in use by another program.")
    row = {"host": primary.host, "address": address, "instance_id": instance.id, "node_id": None}
    if intake.connection.execute(_sql.take_address, row).fetchone() is None:
        raise Refusal(ErrorCode.PARAMETER, f"new_ip: {address} is taken; choose another.")


def start_server(context: Context) -> None:
    """Read replicas find their primary at its address."""
    start_servers(context.resources, context.instance_id)
    turn_replicas(context.resources, context.instance_id)


def stop_all(context: Context) -> None:
    stop_servers(context.resources, context.instance_id)


def set_address(context: Context) -> None:
    _move(context, context.parameters.address)


def set_old_address(context: Context) -> None:
    _move(context, context.parameters.old_address)


def _move(context: Context, address: str) -> None:
    """A node that listens on the endpoint moves with it; to others connections are passed on from there."""
    resources, instance_id = context.resources, context.instance_id
    with resources.store.transaction() as connection:
        connection.execute(_sql.move_endpoint, {"instance_id": instance_id, "address": address})
    resources.apply_routes(*resources.view.where_clients_come(instance_id))


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    _settle(context, connection, InstanceStatus.ACTIVE)


def _settle(context: TaskContext[Parameters], connection: Writer, status: InstanceStatus) -> None:
    """The address where the instance is not is free for others."""
    connection.execute(_sql.release_left_endpoints, [context.instance_id])
    set_status(connection, context.instance_id, status)


CHANGE_ADDRESS: Operation[Resources, Parameters] = Operation(
    key="change_address",
    name=TaskName.CHANGE_ADDRESS,
    action=Action.CHANGE_ADDRESS,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(
        Step("stop server", stop_server, undo=once_at_the_end(start_server), of=each_node, expected=0.05),
        Step("set address", set_address, undo=set_old_address, expected=0.02),
        Step("start server", start_server, undo=stop_all, expected=0.1),
    ),
    on_completed=Ending(completed, statuses=ACTIVE),
    on_failed=Ending(_settle, looked_at, SETTLED),
)
