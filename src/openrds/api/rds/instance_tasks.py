"""The tasks of one instance, and how far one of them is. Source: task-center.md 6 and 7."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from openrds.api.rds.instance_reads import find_instance
from openrds.api.rds.tasks import JobInstance, Milliseconds, check_window, moment
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.domain.task import StepStatus, TaskStatus, format_time
from openrds.store.database import Row
from openrds.tasks import center

_TAGS = ["Task center"]

#: So many tasks, the newest, are in one answer, which has no pages.
MOST_TASKS = 1000

Start = Annotated[int, QueryParameter(ge=0, le=253402300799000, description="Unix milliseconds, UTC.")]


class TaskOfInstance(msgspec.Struct, omit_defaults=True):
    """`process` is `"60%"` while the task runs and `""` afterwards."""

    id: str
    name: str
    status: TaskStatus
    created: str
    process: str
    instance: JobInstance
    ended: str | UnsetType = UNSET
    fail_reason: str | UnsetType = UNSET


class TasksOfInstanceAnswer(msgspec.Struct):
    """`count` is of all that match."""

    jobs: list[TaskOfInstance]
    count: int


class TaskDetail(msgspec.Struct):
    workflow_id: Text
    workflow_name: Text | None = None


class SubTask(msgspec.Struct):
    """One step. Times are whole seconds, as texts, and empty where they are not known; `percent` has no sign."""

    sub_task_name: str
    percent: str
    executed_time: str
    status: str
    remaining_time: str
    show_detail: bool = False


class TaskDetailAnswer(msgspec.Struct):
    """`process` is a bare number while the task runs and `""` afterwards."""

    instance_id: str
    instance_name: str
    job_id: str
    job_name: str
    created_at: str
    update_at: str
    process: str
    status: TaskStatus
    sub_task_list: list[SubTask]


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/tasklist/detail",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_tasks_of_instance(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_time: Start,
    end_time: Milliseconds = None,
) -> TasksOfInstanceAnswer:
    """The tasks of an instance that were created between two times, newest first; a thousand at most."""
    await find_instance(request, project_id, instance_id)
    if end_time is not None:
        check_window(start_time, end_time)
    wanted = center.TaskFilter(
        instance_id=instance_id, start_time=moment(start_time), end_time=moment(end_time)
    )
    page = await center.list_tasks(service_of(request).reads, project_id, wanted, offset=0, limit=MOST_TASKS)
    return TasksOfInstanceAnswer([_task(task) for task in page.tasks], page.total_count)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/task-center-detail",
    status_code=200,
    responses=refusals(ErrorCode.TASK_NOT_FOUND, body=True, instance=True),
    tags=_TAGS,
)
async def show_task_detail(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[TaskDetail]
) -> TaskDetailAnswer:
    """How far a task of an instance is, and each of its steps."""
    await find_instance(request, project_id, instance_id)
    service = service_of(request)
    task = await center.find_task(service.running_tasks, project_id, data.workflow_id)
    if task is None or task["instance_id"] != instance_id:
        raise Refusal(ErrorCode.TASK_NOT_FOUND)
    steps = await center.find_steps(service.reads, project_id, data.workflow_id)
    running = task["status"] == TaskStatus.RUNNING
    times = [step[name] for step in steps for name in ("started_at", "ended_at") if step[name]]
    return TaskDetailAnswer(
        instance_id=instance_id,
        instance_name=task["instance_name"],
        job_id=str(task["id"]),
        job_name=task["name"],
        created_at=format_time(task["created_at"]),
        update_at=format_time(task["ended_at"] or max(times, default=task["created_at"])),
        process=str(center.percent_done(task)) if running else "",
        status=TaskStatus(task["status"]),
        sub_task_list=[_sub_task(step, task) for step in steps],
    )


def _task(task: Row) -> TaskOfInstance:
    running = task["status"] == TaskStatus.RUNNING
    return TaskOfInstance(
        id=str(task["id"]),
        name=task["name"],
        status=TaskStatus(task["status"]),
        created=format_time(task["created_at"]),
        process=f"{center.percent_done(task)}%" if running else "",
        instance=JobInstance(task["instance_id"], task["instance_name"]),
        ended=UNSET if running else format_time(task["ended_at"]),
        fail_reason=task["fail_reason"] if task["status"] == TaskStatus.FAILED else UNSET,
    )


def _sub_task(step: Row, task: Row) -> SubTask:
    begun, running = step["started_at"], step["status"] == StepStatus.RUNNING
    seconds = None if begun is None else ((step["ended_at"] or task["now"]) - begun).total_seconds()
    left = None
    if running and seconds is not None and task["step_expected"] is not None:
        left = max(task["step_expected"].total_seconds() - seconds, 0.0)
    return SubTask(
        sub_task_name=step["name"],
        percent=_percent(step, seconds, left),
        executed_time=_whole(seconds),
        status=step["status"],
        remaining_time=_whole(left),
    )


def _percent(step: Row, seconds: float | None, left: float | None) -> str:
    """A step that runs is never shown as done."""
    if step["status"] == StepStatus.COMPLETED:
        return "100"
    if left is None or not seconds:
        return "0"
    return str(min(95, int(100 * seconds / (seconds + left))))


def _whole(seconds: float | None) -> str:
    return "" if seconds is None else str(max(0, round(seconds)))


HANDLERS = [list_tasks_of_instance, show_task_detail]
