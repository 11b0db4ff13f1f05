"""Change the port of an instance: its servers are restarted to listen there. Source: operations.md 11."""

from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance
from openrds.domain.rules import check_port
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.hosts.addresses import port_is_free
from openrds.hosts.errors import HostError
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.nodes import each_node, once_at_the_end
from openrds.operations.steps.replication import turn_replicas
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_servers, stop_server, stop_servers
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Step, StepContext

_sql = Queries("instances")


class ChangePort(msgspec.Struct):
    port: int


class Parameters(msgspec.Struct, frozen=True):
    old_port: int
    port: int


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: ChangePort) -> UUID:
    instance = intake.admit(instance_id, CHANGE_PORT)
    check_port(request.port, instance.engine)
    if request.port == instance.port:
        raise Refusal(ErrorCode.PARAMETER, f"The instance has the port {request.port} already.")
    _check_free(intake, instance, request.port)
    return intake.accept(instance, CHANGE_PORT, Parameters(instance.port, request.port))


def _check_free(intake: Intake, instance: Instance, port: int) -> None:
    """At each address that clients come to, or that a server of the instance listens on."""
    for row in intake.connection.execute(_sql.addresses_of_instance, {"id": instance.id}):
        address = row["address"]
        try:
            free = port_is_free(address, port)
        except HostError as error:
            raise Refusal(ErrorCode.PARAMETER, str(error)) from None
        if not free:
            raise Refusal(ErrorCode.PARAMETER, f"{address}:{port} is in use by another program.")


def start_server(context: Context) -> None:
    """Read replicas find their primary at its port."""
    start_servers(context.resources, context.instance_id)
    turn_replicas(context.resources, context.instance_id)


def stop_all(context: Context) -> None:
    stop_servers(context.resources, context.instance_id)


def set_port(context: Context) -> None:
    _set_port(context.resources, context.instance_id, context.parameters.port)


def set_old_port(context: Context) -> None:
    _set_port(context.resources, context.instance_id, context.parameters.old_port)


def _set_port(resources: Resources, instance_id: str, port: int) -> None:
    """Nothing is passed on to the port before any more."""
    with resources.store.transaction() as connection:
        connection.execute(_sql.set_port, {"instance_id": instance_id, "port": port})
    resources.apply_routes(*resources.view.where_clients_come(instance_id))


CHANGE_PORT: Operation[Resources, Parameters] = Operation(
    key="change_port",
    name=TaskName.CHANGE_PORT,
    action=Action.CHANGE_PORT,
    status=InstanceStatus.MODIFYING_DATABASE_PORT,
    parameters=Parameters,
    steps=(
        Step("stop server", stop_server, undo=once_at_the_end(start_server), of=each_node, expected=0.05),
        Step("set port", set_port, undo=set_old_port, expected=0.02),
        Step("start server", start_server, undo=stop_all, expected=0.1),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
