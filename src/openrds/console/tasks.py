"""The Task Center: what runs and ran, what waits for a maintenance window, and one task with its steps."""

from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter

from openrds.api.state import ApiRequest, project_of, service_of
from openrds.console.forms import fields_of, submit
from openrds.console.pages import Shown, show
from openrds.console.sessions import session_of
from openrds.console.timeline import timeline
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.schedule import ScheduleStatus
from openrds.domain.task import TaskStatus
from openrds.domain.texts import uuid_in
from openrds.operations.intake import scheduling
from openrds.operations.intake.intake import Intake
from openrds.store.database import Row
from openrds.store.queries import Queries
from openrds.tasks import center
from openrds.tasks.events import Event, Subject

_console = Queries("console")
_schedule = Queries("schedule")

_Status = TypeVar("_Status", TaskStatus, ScheduleStatus)

PAGE = 50
Offset = Annotated[int, QueryParameter(ge=0, le=2**62)]
Filter = Annotated[str | None, QueryParameter(max_length=100)]


@get("/tasks")
async def list_tasks(
    request: ApiRequest,
    status: Filter = None,
    name: Filter = None,
    instance_id: Filter = None,
    offset: Offset = 0,
) -> Response[Any]:
    """Instant tasks, newest first."""
    chosen = _one_of(TaskStatus, status)
    wanted = center.TaskFilter(status=chosen, name=name or None, instance_id=instance_id or None)

    async def view() -> Shown:
        project_id = project_of(request).id
        page = await center.list_tasks(
            service_of(request).reads, project_id, wanted, offset=offset, limit=PAGE
        )
        tasks = [task_row(task) for task in page.tasks]
        filters = {"status": chosen or "", "name": name or "", "instance_id": instance_id or ""}
        values = {
            "tasks": tasks,
            "filters": filters,
            "statuses": list(TaskStatus),
            "names": sorted({*page.actions, *([name] if name else [])}),
            "pages": pages_of("/console/tasks", filters, offset, page.total_count),
        }
        return Shown(values, moves=any(task["status"] == TaskStatus.RUNNING for task in tasks))

    return await show(request, "tasks.html", view, is_of_tasks)


@get("/tasks/scheduled")
async def list_scheduled(request: ApiRequest, status: Filter = None, offset: Offset = 0) -> Response[Any]:
    chosen = _one_of(ScheduleStatus, status)

    async def view() -> Shown:
        parameters: dict[str, Any] = {
            "project_id": project_of(request).id,
            "instance_id": None,
            "instance_name": None,
            "status": chosen,
            "start_time": None,
            "end_time": None,
            "offset": offset,
            "limit": PAGE,
        }
        rows = await service_of(request).reads.rows(_schedule.list, parameters)
        filters = {"status": chosen or ""}
        values = {
            "tasks": [row for row in rows if row["id"] is not None],
            "filters": filters,
            "statuses": list(ScheduleStatus),
            "pages": pages_of("/console/tasks/scheduled", filters, offset, rows[0]["total_count"]),
        }
        return Shown(values)

    return await show(request, "scheduled.html", view, is_of_tasks)


@get("/tasks/{task_id:str}")
async def show_task(request: ApiRequest, task_id: FromPath[str]) -> Response[Any]:
    """One task. A scheduled one is shown as the task that it became."""
    project_id, service = project_of(request).id, service_of(request)

    async def view() -> Shown:
        task = await center.find_task(service.running_tasks, project_id, task_id)
        if task is None:
            return await _scheduled(request, task_id)
        steps = await center.find_steps(service.reads, project_id, task_id)
        rows = await service.reads.rows(
            _console.usual_durations, {"id": task["id"], "project_id": project_id}
        )
        usual = {row["step"]: row["seconds"] for row in rows}
        values = {
            "task": task_row(task) | {"entities": task["entities"]},
            "scheduled": None,
            "steps": timeline(task["created_at"], steps, usual, task["now"]),
        }
        return Shown(values, moves=task["status"] == TaskStatus.RUNNING)

    def is_of_it(event: Event) -> bool:
        return event.task_id is not None and str(event.task_id) == str(uuid_in(task_id))

    return await show(request, "task.html", view, is_of_it)


@post("/tasks/{task_id:str}/cancel")
async def cancel(request: ApiRequest, task_id: FromPath[str]) -> Response[Any]:
    """Cancel a scheduled task that has not started."""
    fields = await fields_of(request, session_of(request))

    def work(intake: Intake) -> UUID:
        scheduling.cancel(intake, task_id)
        return UUID(task_id)

    return await submit(request, fields, work)


async def _scheduled(request: ApiRequest, id_: str) -> Shown:
    scheduled = await center.find_scheduled(service_of(request).reads, project_of(request).id, id_)
    if scheduled is None:
        raise Refusal(ErrorCode.TASK_NOT_FOUND, f"There is no task {id_}. Tasks are kept for 30 days.")
    return Shown({"task": None, "scheduled": scheduled, "steps": []})


def task_row(task: Row) -> dict[str, Any]:
    """What a page shows of a task."""
    running = task["status"] == TaskStatus.RUNNING
    ends_at = task["now"] if running else task["ended_at"]
    return {
        "id": str(task["id"]),
        "name": task["name"],
        "instance_id": task["instance_id"],
        "instance_name": task["instance_name"],
        "status": task["status"],
        "percent": center.percent_done(task) if running else 100,
        "created_at": task["created_at"],
        "ended_at": task["ended_at"],
        "seconds": (ends_at - task["created_at"]).total_seconds() if ends_at else None,
        "fail_reason": task["fail_reason"] if task["status"] == TaskStatus.FAILED else "",
    }


def pages_of(path: str, filters: dict[str, Any], offset: int, total: int) -> dict[str, Any]:
    """Where the page before and the one behind are, "" where there is none."""

    def at(other: int) -> str:
        asked = {name: value for name, value in filters.items() if value} | (
            {"offset": other} if other else {}
        )
        return path + (f"?{urlencode(asked)}" if asked else "")

    return {
        "first": offset + 1,
        "last": min(offset + PAGE, total),
        "total": total,
        "before": at(max(0, offset - PAGE)) if offset else "",
        "behind": at(offset + PAGE) if offset + PAGE < total else "",
    }


def is_of_tasks(event: Event) -> bool:
    return event.subject is Subject.TASK


def _one_of(kind: type[_Status], value: str | None) -> _Status | None:
    """
    Raises:
        Refusal: PARAMETER.
    """
    if not value:
        return None
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(one) for one in kind)
        raise Refusal(ErrorCode.PARAMETER, f"status must be one of {known}.") from None


HANDLERS = [list_tasks, list_scheduled, show_task, cancel]
