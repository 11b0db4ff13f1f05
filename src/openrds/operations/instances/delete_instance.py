"""Delete an instance with its data and automatic backups. Its tasks stay readable, and manual backups stay."""

from collections.abc import Sequence
from uuid import UUID

from openrds.domain.instance import STOPPED, InstanceStatus, Wanted
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.instances import recycle_instance
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps import removing
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import SETTLED
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step

_sql = Queries("instances")


def submit(intake: Intake, instance_id: str) -> UUID:
    """Clients wait out only ACTIVE and BACKING UP, so the status stays; one with another leaves the list at once.

    The read replicas of an instance go with it (operations.md 4).
    """
    instance = intake.admit(instance_id, DELETE_INSTANCE)
    replicas = replicas_of(intake.connection, instance_id)
    held = [replica.id for replica in replicas]
    if (days := recycle_instance.days_to_keep(intake, instance)) is not None:
        task_id = recycle_instance.accept(intake, instance, days, held)
    else:
        task_id = intake.accept(instance, DELETE_INSTANCE, also_held=held)
    for one in (instance, *replicas):
        intake.set_status(one, one.status, deleting=True)
        intake.set_wanted(one, Wanted.GONE)
    return task_id


def submit_several(intake: Intake, instance_ids: Sequence[str]) -> dict[str, UUID]:
    """The task that deletes each, of a read replica its primary's where that is deleted too.

    Those that cannot be deleted now are left out (operations.md 4).
    """
    wanted = list(dict.fromkeys(instance_ids))
    key = {"project_id": intake.project_id, "ids": wanted}
    primary_of = {
        row["id"]: row["replica_of"] for row in intake.connection.execute(_sql.followers_among, key)
    }
    primaries_first = sorted(wanted, key=lambda id_: id_ in primary_of)
    tasks: dict[str, UUID | None] = {}
    for id_ in primaries_first:
        tasks[id_] = tasks.get(primary_of.get(id_, "")) or intake.attempt(id_, submit)
    return {id_: task for id_ in wanted if (task := tasks[id_]) is not None}


DELETE_INSTANCE: Operation[Resources, NoParameters] = Operation(
    key="delete_instance",
    name=TaskName.DELETE,
    action=Action.DELETE,
    parameters=NoParameters,
    steps=removing.steps(Step("remove backups", removing.remove_backups, expected=0.02)),
    on_completed=Ending(removing.forget, removing.all_of),
    on_failed=Ending(removing.settle, removing.see_remains, SETTLED | STOPPED | {InstanceStatus.CREATE_FAIL}),
)
