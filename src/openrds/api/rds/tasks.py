"""The task center: `jobs`, `tasklist`, and the steps of a task. Source: the three seeds, task-center.md 1 to 3."""

import asyncio
import datetime as dt
import time
from enum import StrEnum
from typing import Annotated, Any, cast

import msgspec
from litestar import MediaType, Response, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET, UnsetType

from openrds.api.changes import change
from openrds.api.holding import holding_of
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, Service, project_of, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.schedule import ScheduleStatus
from openrds.domain.task import TaskStatus, format_time
from openrds.domain.texts import uuid_in
from openrds.operations.intake import cancelling
from openrds.operations.intake.intake import Intake
from openrds.operations.registry import OPERATIONS
from openrds.store.database import Row
from openrds.tasks import center
from openrds.tasks.memory import wait_until_forgotten

#: Seconds between looks at a scheduled task that is waited for.
_LOOK_INTERVAL = 1.0

TaskId = Annotated[
    str, QueryParameter(name="id", min_length=1, description="The id that the operation answered.")
]
Milliseconds = Annotated[
    int | None, QueryParameter(ge=0, le=253402300799000, description="Unix milliseconds, UTC.")
]


class Until(StrEnum):
    ENDED = "ended"
    CHANGED = "changed"


class JobInstance(msgspec.Struct):
    id: str
    name: str


class Job(msgspec.Struct, omit_defaults=True):
    """`process` is `"60%"` while the task runs and `""` afterwards; `ended` and `fail_reason` only where they apply."""

    id: str
    name: str
    status: TaskStatus
    created: str
    process: str
    instance: JobInstance
    entities: dict[str, Any]
    ended: str | UnsetType = UNSET
    fail_reason: str | UnsetType = UNSET


class JobAnswer(msgspec.Struct):
    job: Job


class ListedTask(msgspec.Struct, omit_defaults=True):
    """`process` is a bare number while the task runs and `""` afterwards."""

    id: str
    name: str
    instance_id: str
    instance_name: str
    instance_status: str
    order_id: str
    process: str
    create_time: str
    status: TaskStatus
    end_time: str | UnsetType = UNSET
    fail_reason: str | UnsetType = UNSET


class TaskListAnswer(msgspec.Struct):
    """`total_count` and `actions`, the distinct names, are of all tasks that match, whatever the page."""

    tasks: list[ListedTask]
    actions: list[str]
    total_count: int


class StepEntry(msgspec.Struct):
    """One step of a task: of a node, which `host` has; one about several nodes is there once for each.

    Times are empty until they are known, `error` is that of the last failed attempt.
    """

    name: str
    status: str
    node_id: str
    host: str
    attempts: int
    started: str
    ended: str
    error: str


class StepsAnswer(msgspec.Struct):
    steps: list[StepEntry]


class Empty(msgspec.Struct):
    pass


@get("/v3/{project_id:str}/jobs", responses=refusals(ErrorCode.TASK_NOT_FOUND), tags=["Task center"])
async def show_job(
    request: ApiRequest,
    project_id: FromPath[str],
    id_: TaskId,
    wait: Annotated[
        float | None,
        QueryParameter(
            ge=0, le=60, description="Seconds to wait until it has ended: an extension of openrds."
        ),
    ] = None,
    until: Annotated[
        Until, QueryParameter(description="What is waited for; a change is one of its status or of a step.")
    ] = Until.ENDED,
) -> Response[JobAnswer]:
    """One task by its id. With `wait` the answer comes when it has ended or changed, or after that time."""
    service = service_of(request)
    memory = service.ended_tasks
    answer = memory.find(project_id, id_)
    if answer is None and wait:
        await _wait(request, id_, wait, until)
    if answer is None:
        answer = _remembered(service, project_id, id_)
    if answer is None:
        generation = memory.generation
        task = await center.find_task(service.running_tasks, project_id, id_)
        if task is None:
            return Response(JobAnswer(await _scheduled_job(service, project_id, id_)))
        answer = msgspec.json.encode(JobAnswer(_job(task)))
        if task["status"] != TaskStatus.RUNNING:
            memory.keep(project_id, task["id"], answer, generation)
    # Encoded already: it stands for the JobAnswer.
    return Response(cast("JobAnswer", answer), media_type=MediaType.JSON)


def _remembered(service: Service, project_id: str, id_: str) -> bytes | None:
    """The answer about a running task to which nothing has happened since it was asked for last."""
    kept = service.running_tasks.kept(project_id, id_)
    if kept is None:
        return None
    row = kept.row
    percent = center.percent_done(row)
    answer = kept.answers.get(percent)
    if answer is None:
        answer = kept.answers[percent] = msgspec.json.encode(JobAnswer(_job(row)))
    return answer


async def _wait(request: ApiRequest, id_: str, seconds: float, until: Until) -> None:
    """Also a scheduled task is waited for, and then the task that it becomes."""
    task_id = uuid_in(id_)
    if task_id is None:
        return
    service, project_id = service_of(request), project_of(request).id
    deadline = time.monotonic() + seconds
    with holding_of(request).one(project_id):
        while (left := deadline - time.monotonic()) > 0:
            for_change = until is Until.CHANGED
            if await service.running_tasks.wait(project_id, task_id, left, for_change=for_change) is not None:
                return
            scheduled = await center.find_scheduled(service.reads, project_id, id_)
            if scheduled is None or scheduled["status"] != ScheduleStatus.PENDING:
                if scheduled is None or scheduled["task_id"] is None:
                    return
                task_id = scheduled["task_id"]
            else:
                await asyncio.sleep(min(_LOOK_INTERVAL, left))


@delete(
    "/v3/{project_id:str}/jobs",
    status_code=200,
    responses=refusals(ErrorCode.TASK_NOT_FOUND),
    tags=["Task center"],
)
async def delete_job(request: ApiRequest, project_id: FromPath[str], id_: TaskId) -> Response[Empty]:
    """Delete the record of a task. A running task goes on."""

    def work(intake: Any) -> Empty:
        if not center.delete_record(intake.connection, project_id, id_):
            raise Refusal(ErrorCode.TASK_NOT_FOUND)
        return Empty()

    answer = await change(request, work)
    service = service_of(request)
    service.ended_tasks.forget()
    await asyncio.to_thread(wait_until_forgotten, service.store)
    return answer


@get("/v3/{project_id:str}/tasklist", responses=refusals(), tags=["Task center"])
async def list_tasks(
    request: ApiRequest,
    project_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=50)] = 10,
    id_: Annotated[str | None, QueryParameter(name="id")] = None,
    instance_id: FromQuery[str | None] = None,
    order_id: FromQuery[str | None] = None,
    name: FromQuery[str | None] = None,
    status: FromQuery[TaskStatus | None] = None,
    start_time: Milliseconds = None,
    end_time: Milliseconds = None,
) -> TaskListAnswer:
    """The tasks of the last month, newest first. All filters must match; times bound the creation."""
    wanted = center.TaskFilter(
        id=id_ or None,
        instance_id=instance_id or None,
        order_id=order_id or None,
        name=name or None,
        status=status,
        start_time=moment(start_time),
        end_time=moment(end_time),
    )
    check_window(start_time, end_time)
    page = await center.list_tasks(service_of(request).reads, project_id, wanted, offset=offset, limit=limit)
    return TaskListAnswer([_listed(task) for task in page.tasks], list(page.actions), page.total_count)


@get(
    "/v3/{project_id:str}/jobs/{task_id:str}/steps",
    responses=refusals(ErrorCode.TASK_NOT_FOUND),
    tags=["Extensions"],
)
async def show_steps(request: ApiRequest, project_id: FromPath[str], task_id: FromPath[str]) -> StepsAnswer:
    """The steps of a task in their order: an extension of openrds."""
    steps = await center.find_steps(service_of(request).reads, project_of(request).id, task_id)
    if not steps:
        raise Refusal(ErrorCode.TASK_NOT_FOUND)
    return StepsAnswer([_step(step) for step in steps])


class CancelAnswer(msgspec.Struct):
    """`undone` are the names of the steps that are undone now, the last one first."""

    job_id: str
    undone: list[str]


@post(
    "/v3/{project_id:str}/jobs/{task_id:str}/cancel",
    status_code=202,
    responses=refusals(ErrorCode.TASK_NOT_FOUND, ErrorCode.STATUS_FORBIDS),
    tags=["Extensions"],
)
async def cancel_job(
    request: ApiRequest, project_id: FromPath[str], task_id: FromPath[str]
) -> Response[CancelAnswer]:
    """Cancel a running task: the step at work is given up, what was done is undone, and the task ends `Failed`.

    It is refused once a step has begun behind which there is no way back. An extension of openrds.
    """
    by = request.user.account.user_name

    def work(intake: Intake) -> CancelAnswer:
        cancelled = cancelling.cancel(intake, OPERATIONS, task_id, by)
        return CancelAnswer(str(cancelled.task_id), list(cancelled.undone))

    return await change(request, work, status=202)


def _job(task: Row) -> Job:
    running = task["status"] == TaskStatus.RUNNING
    return Job(
        id=str(task["id"]),
        name=task["name"],
        status=TaskStatus(task["status"]),
        created=format_time(task["created_at"]),
        process=f"{center.percent_done(task)}%" if running else "",
        instance=JobInstance(task["instance_id"], task["instance_name"]),
        entities=task["entities"],
        ended=UNSET if running else format_time(task["ended_at"]),
        fail_reason=task["fail_reason"] if task["status"] == TaskStatus.FAILED else UNSET,
    )


async def _scheduled_job(service: Service, project_id: str, id_: str) -> Job:
    """A scheduled task in the form of a task: clients wait for the id that a delayed call answered.

    Raises:
        Refusal: TASK_NOT_FOUND.
    """
    scheduled = await center.find_scheduled(service.reads, project_id, id_)
    if scheduled is None:
        raise Refusal(ErrorCode.TASK_NOT_FOUND)
    if scheduled["task_id"] is not None:
        task = await center.find_task(service.running_tasks, project_id, str(scheduled["task_id"]))
        if task is None:
            raise Refusal(ErrorCode.TASK_NOT_FOUND)
        return msgspec.structs.replace(_job(task), id=id_)
    waiting = scheduled["status"] == ScheduleStatus.PENDING
    return Job(
        id=id_,
        name=scheduled["task_name"],
        status=TaskStatus.RUNNING if waiting else TaskStatus.FAILED,
        created=format_time(scheduled["created_at"]),
        process="0%" if waiting else "",
        instance=JobInstance(scheduled["instance_id"], scheduled["instance_name"]),
        entities={},
        fail_reason=UNSET if waiting else scheduled["fail_reason"] or "It was canceled before it started.",
    )


def _listed(task: Row) -> ListedTask:
    running = task["status"] == TaskStatus.RUNNING
    return ListedTask(
        id=str(task["id"]),
        name=task["name"],
        instance_id=task["instance_id"],
        instance_name=task["instance_name"],
        instance_status=task["instance_status"],
        order_id=task["order_id"],
        process=str(center.percent_done(task)) if running else "",
        create_time=format_time(task["created_at"]),
        status=TaskStatus(task["status"]),
        end_time=UNSET if running else format_time(task["ended_at"]),
        fail_reason=task["fail_reason"] if task["status"] == TaskStatus.FAILED else UNSET,
    )


def _step(step: Row) -> StepEntry:
    return StepEntry(
        name=step["name"],
        status=step["status"],
        node_id=step["node_id"],
        host=step["host"],
        attempts=step["attempts"],
        started=_time_or_empty(step["started_at"]),
        ended=_time_or_empty(step["ended_at"]),
        error=step["error"],
    )


def check_window(start_time: int | None, end_time: int | None) -> None:
    """`start_time` needs `end_time` (tasklist seed); the other way round is not forbidden there."""
    if start_time is not None and end_time is None:
        raise Refusal(ErrorCode.PARAMETER, "end_time is required with start_time.")
    if start_time is not None and end_time is not None and start_time > end_time:
        raise Refusal(ErrorCode.PARAMETER, "start_time must not be later than end_time.")


def moment(milliseconds: int | None) -> dt.datetime | None:
    return None if milliseconds is None else dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC)


def _time_or_empty(moment: dt.datetime | None) -> str:
    return "" if moment is None else format_time(moment)


HANDLERS = [show_job, delete_job, cancel_job, list_tasks, show_steps]
