"""Calls that are answered once their task has ended: what they ask for is short, and whoever asks wants to have it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response

from openrds.api.changes import change
from openrds.api.state import ApiRequest, project_of, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.task import TaskStatus
from openrds.operations.intake.intake import Intake

#: Seconds that a caller waits.
PATIENCE = 20.0


async def change_and_wait(
    request: ApiRequest, submit: Callable[[Intake], UUID], answer: msgspec.Struct, failed: ErrorCode
) -> Response[Any]:
    """Have a task accepted, and answer once it is completed. A call that comes again does not wait for the first.

    Raises:
        Refusal: what `submit` raises; `failed` with the task's reason; INSTANCE_BUSY where it runs for too long.
    """
    accepted: list[UUID] = []

    def work(intake: Intake) -> msgspec.Struct:
        accepted.append(submit(intake))
        return answer

    response = await change(request, work)
    for task_id in accepted:
        project_id, tasks = project_of(request).id, service_of(request).running_tasks
        task = await tasks.wait(project_id, task_id, PATIENCE)
        if task is None or task["status"] == TaskStatus.RUNNING:
            raise Refusal(ErrorCode.INSTANCE_BUSY, f"It is not done yet: task {task_id} is still running.")
        if task["status"] != TaskStatus.COMPLETED:
            raise Refusal(failed, f"It was not done: {task['fail_reason']}.")
    return response
