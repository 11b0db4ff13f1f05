"""Change what a tenant has in the server of an instance. Callers wait for the end, so it is one short step.

Which change it is, is a parameter: a database, an account or privileges. What it makes belongs to the clients at once.
"""

import logging
from collections.abc import Mapping
from uuid import UUID

import msgspec

from openrds.domain.accounts import (
    AccountChange,
    Change,
    CreateAccount,
    CreateDatabase,
    CreateExtension,
    CreateSchemas,
    DatabaseChange,
    DropAccount,
    DropDatabase,
    DropExtension,
    UpdateExtension,
)
from openrds.domain.deadline import SHORT
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError, LockedError, NameTaken, NotThere, Server, Unfit
from openrds.operations.accounts.asking import refused, within_sight
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import bring_back
from openrds.operations.steps.status import STAYS_AS_IT_IS
from openrds.store.instances import nodes_of
from openrds.tasks.operation import Operation, Step, StepContext, StepFailed

logger = logging.getLogger(__name__)

_NAMES: Mapping[type[Change], TaskName] = {
    CreateDatabase: TaskName.CREATE_DATABASE,
    DropDatabase: TaskName.DELETE_DATABASE,
    CreateSchemas: TaskName.CREATE_SCHEMAS,
    CreateExtension: TaskName.CREATE_EXTENSION,
    UpdateExtension: TaskName.UPDATE_EXTENSION,
    DropExtension: TaskName.DELETE_EXTENSION,
    CreateAccount: TaskName.CREATE_ACCOUNT,
    DropAccount: TaskName.DELETE_ACCOUNT,
}


class Parameters(msgspec.Struct, frozen=True):
    change: Change


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance: Instance, change: Change) -> UUID:
    """
    Raises:
        Refusal: it cannot be changed now, or not so: see `check`.
    """
    check(intake, instance, change)
    return intake.accept(instance, CHANGE_ACCOUNTS, Parameters(change), name=_name(change))


def check(intake: Intake, instance: Instance, change: Change) -> None:
    """Refuse what cannot be done, as far as is known before: by the status, and by what the server says.

    Raises:
        Refusal: REPLICA_DATABASE, REPLICA_ACCOUNT, REPLICA_PRIVILEGE, INSTANCE_BUSY, FROZEN, STATUS_FORBIDS_ACCOUNTS,
            or what the server's catalogue says of the change.
    """
    if instance.type is InstanceType.REPLICA:
        raise Refusal(_on_a_replica(change), "A read replica has what its primary has; change it there.")
    try:
        intake.check(instance, CHANGE_ACCOUNTS)
    except Refusal as refusal:
        if refusal.error is not ErrorCode.STATUS_FORBIDS:
            raise
        raise Refusal(ErrorCode.STATUS_FORBIDS_ACCOUNTS, str(refusal)) from None
    if intake.sight is None:
        return
    seen = within_sight(intake.sight, instance, nodes_of(intake.connection, instance.id))
    if seen is None:
        return
    engine, node = seen
    try:
        engine.accounts.check(node, change)
    except EngineError as error:
        raise refused(error, instance) from None


def apply(context: Context) -> None:
    """Whoever calls waits, and most often the server serves: only one that does not do as it is told is looked at."""
    servers = _servers(context)
    if all(server.is_running() for server in servers):
        try:
            return _tell(context, servers[0])
        except EngineError as error:
            logger.info(
                "instance %s: its server is looked at before it is told again: %s", context.instance_id, error
            )
    bring_back(context.resources, context.instance_id)
    return _tell(context, _servers(context)[0])


def _servers(context: Context) -> list[Server]:
    """Those of the instance, to be asked and told something; the one that serves its clients is the first."""
    resources = context.resources
    instance = resources.view.instance(context.instance_id)
    nodes = resources.view.nodes(context.instance_id)
    return [resources.server_by_itself(instance, node) for node in nodes]


def _tell(context: Context, server: Server) -> None:
    node = server.node
    try:
        context.resources.host.engines[node.engine].accounts.apply(node, context.parameters.change)
    except (NameTaken, NotThere, Unfit, LockedError) as error:
        # As it is, it will be; and whoever holds a lock may hold it for as long as it likes.
        raise StepFailed(str(error)) from None


def _name(change: Change) -> TaskName:
    if type(change) in _NAMES:
        return _NAMES[type(change)]
    if isinstance(change, DatabaseChange):
        return TaskName.CHANGE_DATABASE
    return TaskName.CHANGE_ACCOUNT if isinstance(change, AccountChange) else TaskName.CHANGE_PRIVILEGES


def _on_a_replica(change: Change) -> ErrorCode:
    if isinstance(change, DatabaseChange):
        return ErrorCode.REPLICA_DATABASE
    return ErrorCode.REPLICA_ACCOUNT if isinstance(change, AccountChange) else ErrorCode.REPLICA_PRIVILEGE


CHANGE_ACCOUNTS: Operation[Resources, Parameters] = Operation(
    key="change_accounts",
    name=TaskName.CHANGE_PRIVILEGES,
    also_named=(
        TaskName.CREATE_DATABASE,
        TaskName.CHANGE_DATABASE,
        TaskName.DELETE_DATABASE,
        TaskName.CREATE_SCHEMAS,
        TaskName.CREATE_EXTENSION,
        TaskName.UPDATE_EXTENSION,
        TaskName.DELETE_EXTENSION,
        TaskName.CREATE_ACCOUNT,
        TaskName.CHANGE_ACCOUNT,
        TaskName.DELETE_ACCOUNT,
    ),
    action=Action.CHANGE_ACCOUNTS,
    parameters=Parameters,
    steps=(Step("change accounts", apply, expected=0.02, deadline=SHORT, final=True),),
    on_completed=STAYS_AS_IT_IS,
    on_failed=STAYS_AS_IT_IS,
)
