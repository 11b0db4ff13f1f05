"""Have the servers of an instance speak TLS with clients that ask for it, or with none. Source: operations.md 11."""

from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.steps import servers
from openrds.operations.steps.nodes import each_node, once_at_the_end
from openrds.operations.steps.replication import turn_replicas
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.store.instances import nodes_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Step, StepContext

_sql = Queries("instances")


class SwitchSsl(msgspec.Struct):
    ssl_option: bool


class Parameters(msgspec.Struct, frozen=True):
    was_on: bool
    on: bool


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: SwitchSsl) -> UUID:
    """What is so already may be asked for, as Terraform does of a new instance; the servers then go on as they are."""
    instance = intake.admit(instance_id, SWITCH_SSL)
    if request.ssl_option:
        _check_offered(intake, instance)
    parameters = Parameters(was_on=instance.ssl, on=request.ssl_option)
    return intake.accept(instance, SWITCH_SSL, parameters)


def _check_offered(intake: Intake, instance: Instance) -> None:
    engine, version = instance.engine, instance.version
    node, *_ = nodes_of(intake.connection, instance.id)
    (host,) = intake.connection.execute(_sql.host, [node.host]).fetchall()
    found = [one for one in host["installations"] if (one["engine"], one["version"]) == (engine, version)]
    if not all(one.get("tls", True) for one in found):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"The {engine} {version} of host {host['name']} was built without TLS: install another, such as your "
            f"distribution's or by `openrds engine install {engine.lower()}={version}`, and restart openrds.",
        )


def stop_server(context: Context) -> None:
    """Those who follow come back with what is offered then, as clients do."""
    if _changes(context):
        servers.stop_server(context)


def start_server(context: Context) -> None:
    if _changes(context):
        servers.start_servers(context.resources, context.instance_id)
        turn_replicas(context.resources, context.instance_id)


def stop_all(context: Context) -> None:
    if _changes(context):
        servers.stop_servers(context.resources, context.instance_id)


def set_ssl(context: Context) -> None:
    _set(context, on=context.parameters.on)


def set_ssl_back(context: Context) -> None:
    _set(context, on=context.parameters.was_on)


def _changes(context: Context) -> bool:
    return context.parameters.on != context.parameters.was_on


def _set(context: Context, *, on: bool) -> None:
    with context.resources.store.transaction() as connection:
        connection.execute(_sql.set_ssl, {"id": context.instance_id, "ssl": on})


SWITCH_SSL: Operation[Resources, Parameters] = Operation(
    key="switch_ssl",
    name=TaskName.SWITCH_SSL,
    action=Action.SWITCH_SSL,
    parameters=Parameters,
    steps=(
        Step("stop server", stop_server, undo=once_at_the_end(start_server), of=each_node, expected=0.05),
        Step("set ssl", set_ssl, undo=set_ssl_back, expected=0.01),
        Step("start server", start_server, undo=stop_all, expected=0.1),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
