"""Bind a public address: connections to it are passed on to the instance. Source: operations.md 9."""

from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.network import public_addresses
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.hosts.addresses import is_answering, port_is_free
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.quotas import check_public_addresses
from openrds.operations.steps.public_address import set_bound
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_primary
from openrds.store.database import Writer
from openrds.store.instances import holder_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, StepFailed, TaskContext

_sql = Queries("instances")


class Parameters(msgspec.Struct, frozen=True):
    address: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, address: str | None, address_id: str | None) -> UUID:
    """The address is the instance's from now on, so that no other call can have it."""
    instance = intake.admit(instance_id, BIND_PUBLIC_ADDRESS)
    _check_forwarding(intake, instance)
    _check_offered(intake, address, address_id)
    check_public_addresses(intake.connection, intake.project_id, intake.settings)
    _take(intake, instance, str(address))
    return intake.accept(instance, BIND_PUBLIC_ADDRESS, Parameters(str(address)), {"public_ip": address})


def _check_forwarding(intake: Intake, instance: Instance) -> None:
    means = intake.connection.execute(_sql.forwarding_of_instance, [instance.id]).fetchall()
    if not all(row["forwarding"] for row in means):
        raise Refusal(
            ErrorCode.PARAMETER,
            "The instance's host cannot pass connections on, which a public address needs: "
            "install nftables (for root) or haproxy, see the setting forwarding, and restart openrds.",
        )


def _check_offered(intake: Intake, address: str | None, address_id: str | None) -> None:
    if not address or not address_id:
        raise Refusal(ErrorCode.PARAMETER, "public_ip and public_ip_id are required to bind an address.")
    offered = {str(one.address): one.id for one in public_addresses(intake.project_id, intake.settings)}
    if address not in offered:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"{address} is not a public address of this project; GET publicips lists them.",
        )
    if offered[address] != address_id:
        raise Refusal(ErrorCode.PARAMETER, f"public_ip_id of {address} is {offered[address]}.")


def _take(intake: Intake, instance: Instance, address: str) -> None:
    connection, row = intake.connection, {"address": address, "instance_id": instance.id}
    if connection.execute(_sql.take_public_address, row).fetchone() is not None:
        return
    held = connection.execute(_sql.public_address_of_instance, [instance.id]).fetchone()
    if held is not None:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"{held['address']} is bound to the instance; unbind it before you bind another.",
        )
    holder = holder_of(connection, address)
    ours = holder is not None and holder.project_id == intake.project_id
    where = f"instance {holder.id}" if holder is not None and ours else "another project's instance"
    raise Refusal(ErrorCode.PARAMETER, f"{address} is bound to {where}.")


def check_address(context: Context) -> None:
    """Nobody else may answer there, and it must be this host's."""
    address, port = context.parameters.address, context.resources.view.instance(context.instance_id).port
    if not port_is_free(address, port) or is_answering(address, port):
        raise StepFailed(f"another program answers on {address}:{port}")


def pass_connections_on(context: Context) -> None:
    set_bound(context.resources, context.instance_id, bound=True)


def stop_passing_on(context: Context) -> None:
    set_bound(context.resources, context.instance_id, bound=False)


@with_primary
def check_public_address(context: Context) -> None:
    address, port = context.parameters.address, context.resources.view.instance(context.instance_id).port
    if not is_answering(address, port):
        raise RuntimeError(f"{address}:{port} does not answer")


def completed(context: TaskContext[Parameters], _connection: Writer, _seen: None) -> Output:
    return {"public_ip": context.parameters.address}


def failed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    connection.execute(_sql.release_public_address, [context.instance_id])


BIND_PUBLIC_ADDRESS: Operation[Resources, Parameters] = Operation(
    key="bind_public_address",
    name=TaskName.BIND_PUBLIC_ADDRESS,
    action=Action.CHANGE_PUBLIC_ADDRESS,
    parameters=Parameters,
    steps=(
        Step("check address", check_address, expected=0.01),
        Step("pass connections on", pass_connections_on, undo=stop_passing_on, expected=0.05),
        Step("check public address", check_public_address, expected=0.01),
    ),
    on_completed=Ending(completed),
    on_failed=Ending(failed),
)
