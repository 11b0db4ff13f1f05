"""Delete an instance and keep its last state in the recycle bin, for as many days as the project's policy says.

The last state is a base backup, made when no client gets at the server any more: nothing that was ever acknowledged is
missing in it. Automatic backups stay as long. Source: reads.md 11, operations.md 4.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.new_backup import check_room, write_last_backup
from openrds.operations.steps import backing_up, removing
from openrds.operations.steps.backing_up import Facts
from openrds.operations.steps.removing import Remains
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_servers
from openrds.operations.steps.serving import with_primary
from openrds.operations.steps.status import SETTLED
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, TaskContext

_sql = Queries("backups")

#: In which there is a server with a last state. Of one that is down nothing may be left to be had back.
_RUNNING = frozenset({InstanceStatus.ACTIVE, InstanceStatus.STORAGE_FULL})


class Parameters(msgspec.Struct, frozen=True):
    """`backup_id` is that of the last backup, `days` for how long it is kept."""

    backup_id: str
    days: int


Context = StepContext[Resources, Parameters]


def days_to_keep(intake: Intake, instance: Instance) -> int | None:
    """For how many days an instance that is to be deleted now stays in the bin; None where it does not."""
    if instance.type is InstanceType.REPLICA or instance.status not in _RUNNING:
        return None
    (policy,) = intake.connection.execute(_sql.recycle_policy, [intake.project_id]).fetchall()
    days: int | None = policy["recycle_days"]
    return days


def accept(intake: Intake, instance: Instance, days: int, also_held: Sequence[str]) -> UUID:
    """
    Raises:
        Refusal: QUOTA or STORAGE_SOLD_OUT, when there is no room for the last backup.
    """
    what = "the last backup, for the recycle bin (turn that off, or stop the instance first, to do without),"
    check_room(intake, instance, what, of_quota=True)
    parameters = Parameters(write_last_backup(intake, instance), days)
    return intake.accept(instance, RECYCLE_INSTANCE, parameters, also_held=also_held)


def keep_last_state(context: Context) -> Output:
    known = backing_up.facts_of(context.resources, context.instance_id, context.parameters.backup_id)
    return {"facts": msgspec.to_builtins(known or _back_up_alone(context))}


@with_primary
def _back_up_alone(context: Context) -> Facts:
    """The server is where no client comes, and waits for nobody's confirmation."""
    resources = context.resources
    server = resources.primary_server(context.instance_id)
    server.stop()
    alone = resources.host.out_of_reach(resources.host.changed(server, confirmed_by=()))
    alone.configure()
    alone.start()
    return backing_up.copy_data(resources, alone, context.instance_id, context.parameters.backup_id)


def let_clients_in(context: Context) -> None:
    """Of an instance that has lost its data already the copy is what there is, and stays."""
    resources, instance_id = context.resources, context.instance_id
    if not removing.is_whole(resources, resources.view.instance(instance_id)):
        return
    resources.host.backups.remove(instance_id, context.parameters.backup_id)
    resources.primary_server(instance_id).stop()
    start_servers(resources, instance_id)


def remove_archives(context: Context) -> None:
    """The last state needs no log."""
    for instance in removing.all_of(context):
        context.resources.host.backups.remove_archive(instance.id)


def completed(context: TaskContext[Parameters], connection: Writer, gone: Sequence[Instance]) -> None:
    _put_into_bin(context, connection, msgspec.convert(context.outputs["keep last state"]["facts"], Facts))
    removing.forget(context, connection, gone)


def see_remains(context: Context) -> tuple[Remains, Facts | None]:
    """What is left, and the copy where the instance has none of its data any more."""
    resources, remains = context.resources, removing.see_remains(context)
    if removing.is_whole(resources, resources.view.instance(context.instance_id)):
        return remains, None
    return remains, backing_up.facts_of(resources, context.instance_id, context.parameters.backup_id)


def failed(context: TaskContext[Parameters], connection: Writer, seen: tuple[Remains, Facts | None]) -> None:
    remains, kept = seen
    if kept is None:
        # There is nothing of it, and it shall not count: what went wrong is the task's to say.
        connection.execute(_sql.delete_backup, [context.parameters.backup_id])
    else:
        _put_into_bin(context, connection, kept)
    removing.settle(context, connection, remains)


def _put_into_bin(context: TaskContext[Parameters], connection: Writer, facts: Facts) -> None:
    backing_up.complete(connection, context.parameters.backup_id, facts)
    key = {"instance_id": context.instance_id, "days": context.parameters.days}
    connection.execute(_sql.put_into_bin, key)


RECYCLE_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="recycle_instance",
    name=TaskName.DELETE,
    action=Action.DELETE,
    parameters=Parameters,
    steps=(
        Step("keep last state", keep_last_state, undo=let_clients_in, expected=2.0, deadline=LONG),
        *removing.steps(Step("remove archive", remove_archives, expected=0.02)),
    ),
    on_completed=Ending(completed, removing.all_of),
    on_failed=Ending(failed, see_remains, SETTLED),
)
