"""Cancel a task that runs: the step at work is given up, and what was done is undone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.task import StepStatus, TaskStatus
from openrds.domain.texts import uuid_in
from openrds.operations.intake.intake import Intake
from openrds.store.database import Row
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation

_sql = Queries("tasks")

Operations = Mapping[str, Operation[Any, Any]]


@dataclass(frozen=True)
class Cancelled:
    """`undone` are the names of the steps that are undone now, the last one first."""

    task_id: UUID
    undone: Sequence[str]


def cancel(intake: Intake, operations: Operations, task_id: str, by: str) -> Cancelled:
    """Have a task turned round. It ends `Failed`, with a reason that names who cancelled it. Cancelled twice is once.

    Raises:
        Refusal: TASK_NOT_FOUND; STATUS_FORBIDS where it has ended, is being undone, or cannot go back any more.
    """
    id_ = uuid_in(task_id)
    task = (
        id_
        and intake.connection.execute(
            _sql.task_to_cancel, {"id": id_, "project_id": intake.project_id}
        ).fetchone()
    )
    if not task:
        raise Refusal(ErrorCode.TASK_NOT_FOUND)
    steps = intake.connection.execute(_sql.steps, [task["id"]]).fetchall()
    reason = why_not(operations, task, steps)
    if reason:
        raise Refusal(ErrorCode.STATUS_FORBIDS, reason)
    if not task["cancelled_by"]:
        intake.connection.execute(_sql.set_cancelled, {"id": task["id"], "by": by})
    begun = [step["name"] for step in steps if step["status"] != StepStatus.PLANNED]
    return Cancelled(task["id"], list(dict.fromkeys(reversed(begun))))


def why_not(operations: Operations, task: Row, steps: Sequence[Row]) -> str:
    """Why a task cannot be cancelled; empty where it can be."""
    if task["status"] != TaskStatus.RUNNING:
        return f"The task has ended: it is {task['status']}."
    if task["unwinding"]:
        return "The task failed already, and is being undone."
    operation = operations.get(task["operation"])
    if operation is None or not operation.cancellable:
        return "Only the operator decides of this task."
    for step in steps:
        if step["status"] != StepStatus.PLANNED and operation.step(step["name"]).final:
            return f"The step {step['name']} has begun, behind which there is no way back."
    return ""
