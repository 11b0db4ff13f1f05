"""How an instance with a standby replicates, and what goes first when its roles change. Source: operations.md 7."""

from uuid import UUID

import msgspec

from openrds.domain import rules
from openrds.domain.engine import RULES
from openrds.domain.instance import InstanceStatus, SwitchStrategy
from openrds.domain.lengths import Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.instance_plan import check_replication_mode
from openrds.operations.intake.intake import Intake
from openrds.operations.pairs.switchover import require_standby
from openrds.operations.steps.replication import (
    end_confirmation,
    restore_confirmation,
    start_confirmation,
)
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_standby
from openrds.operations.steps.status import ACTIVE, IS_LOOKED_AT, set_status
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

_sql = Queries("instances")


class ChangeStrategy(msgspec.Struct, rename="camel"):
    repair_strategy: Text


class ChangeMode(msgspec.Struct):
    mode: Text


class Parameters(msgspec.Struct, frozen=True):
    mode: str


Context = StepContext[Resources, Parameters]


def set_strategy(intake: Intake, instance_id: str, request: ChangeStrategy) -> None:
    """Done when it is answered: nothing runs by it until roles change."""
    instance = intake.instance(instance_id)
    require_standby(instance)
    rules.check_one_of("repairStrategy", request.repair_strategy, list(SwitchStrategy))
    intake.connection.execute(
        _sql.set_switch_strategy, {"instance_id": instance_id, "strategy": request.repair_strategy}
    )


def submit(intake: Intake, instance_id: str, request: ChangeMode) -> UUID:
    instance = intake.instance(instance_id)
    require_standby(instance)
    check_replication_mode("mode", request.mode, instance.engine)
    intake.check(instance, CHANGE_REPLICATION_MODE)
    return intake.accept(instance, CHANGE_REPLICATION_MODE, Parameters(request.mode))


@with_standby
def change_mode(context: Context) -> None:
    if _waits(context):
        start_confirmation(context.resources, context.instance_id)
    else:
        end_confirmation(context.resources, context.instance_id)


@with_standby
def change_mode_back(context: Context) -> None:
    if _waits(context):
        end_confirmation(context.resources, context.instance_id)
    restore_confirmation(context.resources, context.instance_id)


def _waits(context: Context) -> bool:
    engine = context.resources.view.instance(context.instance_id).engine
    return RULES[engine].waits_in(context.parameters.mode)


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    connection.execute(
        _sql.set_replication_mode, {"instance_id": context.instance_id, "mode": context.parameters.mode}
    )
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)


CHANGE_REPLICATION_MODE: Operation[Resources, Parameters] = Operation(
    key="change_replication_mode",
    name=TaskName.CHANGE_REPLICATION_MODE,
    action=Action.CHANGE_REPLICATION_MODE,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(Step("change mode", change_mode, undo=change_mode_back, expected=0.1),),
    on_completed=Ending(completed, statuses=ACTIVE),
    on_failed=IS_LOOKED_AT,
)
