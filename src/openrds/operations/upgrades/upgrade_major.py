"""Give an instance another major version, as it is: its id, its addresses and its accounts stay.

The data of the new version is made beside the old, while all servers are at rest. The old is kept until the new one
serves, and is the way back. The standby and the read replicas then copy the new.
"""

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.deadline import LONG
from openrds.domain.errors import Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance
from openrds.domain.parameters import Catalogue, check_values
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.operations.intake.intake import Intake, check_writable
from openrds.operations.intake.restore_source import check_not_a_source
from openrds.operations.steps.parameters import set_in_force
from openrds.operations.steps.replacing import Replacement
from openrds.operations.steps.replication import end_confirmation
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import check_endpoint
from openrds.operations.steps.serving import bring_back, keeping_servers, with_primary
from openrds.operations.steps.status import ACTIVE, SETTLED, set_status, status_by_looking
from openrds.operations.upgrades import reports
from openrds.operations.upgrades.planning import apart, target_of, what_hinders
from openrds.store.database import Writer
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, StepFailed, TaskContext

logger = logging.getLogger(__name__)

_sql = Queries("instances")
_parameters = Queries("parameters")


class Member(msgspec.Struct, frozen=True):
    """The instance, or a read replica of it: what it is before, and which parameters it will have.

    Those that the new version has not, or not with such a value, it leaves behind.
    """

    id: str
    complete_version: str
    configuration_id: str
    parameters: dict[str, str]
    kept: dict[str, str]


class Parameters(msgspec.Struct, frozen=True):
    """Versions as requests name them; the complete one as binaries report it."""

    old: str
    new: str
    new_complete: str
    members: list[Member]


Context = StepContext[Resources, Parameters]


def submit(
    intake: Intake, instance_id: str, target_version: str, catalogue: Catalogue, statistics: str = ""
) -> UUID:
    """The catalogue is that of the new version."""
    instance = intake.admit(instance_id, UPGRADE_MAJOR)
    check_writable(instance)
    new, complete = target_of(intake.connection, instance, target_version)
    check_not_a_source(intake, instance.id)
    replicas = [intake.instance(one.id) for one in replicas_of(intake.connection, instance.id)]
    for replica in replicas:
        intake.check(replica, UPGRADE_MAJOR)
        intake.set_status(replica, InstanceStatus.MODIFYING)
    members = [_member(one, catalogue) for one in (instance, *replicas)]
    parameters = Parameters(instance.version, new, complete, members)
    task_id = intake.accept(
        instance, UPGRADE_MAJOR, parameters, also_held=[replica.id for replica in replicas]
    )
    reports.begin(intake.connection, task_id, instance.id, "upgrade", instance.version, new, statistics)
    return task_id


def _member(instance: Instance, catalogue: Catalogue) -> Member:
    kept: dict[str, str] = {}
    for name, value in instance.parameters.items():
        try:
            kept |= check_values(catalogue, {name: value})
        except Refusal:
            continue
    return Member(
        instance.id, instance.complete_version, instance.configuration_id, dict(instance.parameters), kept
    )


@with_primary
@keeping_servers
def check(context: Context) -> None:
    """
    Raises:
        StepFailed: something hinders it.
    """
    if problem := what_hinders(context.resources, context.instance_id, _new(context)):
        raise StepFailed(f"it cannot be upgraded to {context.parameters.new}: {problem}")


def leave(context: Context) -> None:
    context.resources.engine(context.instance_id).upgrades.discard(_new(context))


def upgrade_data(context: Context) -> None:
    resources, replacement, new = context.resources, _replacement(context), _new(context)
    if not replacement.is_begun:
        # It must end well, which one that an earlier try left does not.
        leave(context)
        bring_back(resources, context.instance_id)
        end_confirmation(resources, context.instance_id)
        replacement.stop_all()
        check_at_rest(context)
        old = resources.primary_server(context.instance_id).node
        resources.engine(context.instance_id).upgrades.upgrade(old, new)
    replacement.stop_all()
    replacement.put(new.data_dir)
    _note_new(context)
    resources.host.start(resources.primary_server(context.instance_id))
    check_endpoint(resources, context.instance_id)


def check_at_rest(context: Context) -> None:
    """What was found before, clients may have changed since; from now on none can.

    Raises:
        StepFailed: something hinders it.
    """
    host, server = context.resources.host, context.resources.primary_server(context.instance_id)
    alone = host.out_of_reach(host.changed(server, confirmed_by=()))
    alone.configure()
    alone.start()
    problem = context.resources.engine(context.instance_id).upgrades.check_at_rest(alone.node)
    alone.stop()
    if problem:
        raise StepFailed(f"it cannot be upgraded to {context.parameters.new}: {problem}")


def put_back(context: Context) -> None:
    leave(context)
    # One that runs may be where no client comes.
    _replacement(context).stop_all()
    _replacement(context).put_back(lambda: _note_old(context))


def replace_old_data(context: Context) -> None:
    leave(context)
    try:
        _replacement(context).settle()
    except EngineError as error:
        raise EngineError(f"The instance is upgraded, but {error}") from error


@with_primary
def complete(context: Context) -> None:
    """It serves without too: what is missing makes it slower."""
    resources = context.resources
    node = resources.primary_server(context.instance_id).node
    try:
        resources.engine(context.instance_id).upgrades.complete(node, context.parameters.old)
    except EngineError:
        logger.warning("instance %s has not all statistics", context.instance_id, exc_info=True)


def _note_new(context: Context) -> None:
    parameters = context.parameters
    with context.resources.store.transaction() as connection:
        for one in parameters.members:
            _note(connection, one.id, parameters.new, parameters.new_complete, one.kept, "")


def _note_old(context: Context) -> None:
    with context.resources.store.transaction() as connection:
        for one in context.parameters.members:
            old = context.parameters.old
            _note(connection, one.id, old, one.complete_version, one.parameters, one.configuration_id)


def _note(
    connection: Writer,
    instance_id: str,
    version: str,
    complete_version: str,
    values: Mapping[str, str],
    configuration_id: str,
) -> None:
    """All servers are at rest, and have the parameters from their next start on."""
    key = {"id": instance_id}
    connection.execute(_sql.set_version, {**key, "version": version, "complete_version": complete_version})
    connection.execute(
        _parameters.set_parameters,
        {**key, "parameters": Jsonb(values), "configuration_id": configuration_id},
    )
    set_in_force(connection, instance_id, values)


def _new(context: Context) -> NodeSpec:
    resources, parameters = context.resources, context.parameters
    node = resources.primary_server(context.instance_id).node
    return apart(resources, node, parameters.new, parameters.new_complete, str(context.task_id))


def _held(context: Context) -> list[str]:
    return [one.id for one in context.parameters.members]


def _replacement(context: Context) -> Replacement:
    return Replacement(context.resources, _held(context), context.task_id.hex)


def look_at_all(context: Context) -> Mapping[str, InstanceStatus]:
    return {id_: status_by_looking(context.resources, id_) for id_ in _held(context)}


def completed(context: TaskContext[Parameters], connection: Writer, held: Sequence[str]) -> None:
    for id_ in held:
        set_status(connection, id_, InstanceStatus.ACTIVE)
    reports.end(connection, context.task_id, succeeded=True, detail=_told(context.parameters))


def _told(parameters: Parameters) -> str:
    own, *_ = parameters.members
    left = sorted(name for name in own.parameters if name not in own.kept)
    return f"Parameters that it left behind: {', '.join(left)}." if left else "It has all its parameters."


def failed(context: TaskContext[Parameters], connection: Writer, seen: Mapping[str, InstanceStatus]) -> None:
    for id_, status in seen.items():
        set_status(connection, id_, status)
    reports.end(connection, context.task_id, succeeded=False)


UPGRADE_MAJOR: Operation[Resources, Parameters] = Operation(
    key="upgrade_major",
    name=TaskName.UPGRADE_MAJOR,
    action=Action.UPGRADE,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(
        Step("check", check, undo=leave, expected=1.0, deadline=LONG),
        Step("upgrade data", upgrade_data, undo=put_back, expected=3.0, deadline=LONG),
        Step("replace old data", replace_old_data, expected=0.5, deadline=LONG, final=True),
        Step("gather statistics", complete, expected=1.0, deadline=LONG),
    ),
    on_completed=Ending(completed, _held, ACTIVE),
    on_failed=Ending(failed, look_at_all, SETTLED),
)
