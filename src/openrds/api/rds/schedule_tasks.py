"""Scheduled tasks: `schedule-tasks`, and their cancellation. Source: task-center.md 4 and 5."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get
from litestar.params import FromPath, FromQuery, QueryParameter

from openrds.api.changes import change
from openrds.api.rds.tasks import Empty, Milliseconds, check_window, moment
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode
from openrds.domain.schedule import ScheduleStatus
from openrds.domain.task import format_time
from openrds.operations.intake import scheduling
from openrds.operations.intake.intake import Intake
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("schedule")


class ScheduledTask(msgspec.Struct):
    """`start_time` and `end_time` are the window that it waits for; `target_config` has the new flavor or version."""

    id: str
    name: str
    instance_id: str
    instance_name: str
    instance_status: str
    project_id: str
    create_time: str
    start_time: str
    end_time: str
    order: str
    status: ScheduleStatus
    datastore_type: str
    volume_type: str
    target_config: dict[str, str]


class ScheduledTasksAnswer(msgspec.Struct):
    schedule_tasks: list[ScheduledTask]
    total_count: int


@get("/v3/{project_id:str}/schedule-tasks", responses=refusals(), tags=["Task center"])
async def list_scheduled_tasks(
    request: ApiRequest,
    project_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=50)] = 10,
    instance_id: FromQuery[str | None] = None,
    instance_name: FromQuery[str | None] = None,
    status: FromQuery[ScheduleStatus | None] = None,
    start_time: Milliseconds = None,
    end_time: Milliseconds = None,
) -> ScheduledTasksAnswer:
    """What waits for a maintenance window, or did in the last month, newest first. Times bound the creation."""
    check_window(start_time, end_time)
    parameters: dict[str, Any] = {
        "project_id": project_id,
        "instance_id": instance_id or None,
        "instance_name": instance_name or None,
        "status": status,
        "start_time": moment(start_time),
        "end_time": moment(end_time),
        "offset": offset,
        "limit": limit,
    }
    rows = await service_of(request).reads.rows(_sql.list, parameters)
    listed = [_listed(row) for row in rows if row["id"] is not None]
    return ScheduledTasksAnswer(listed, rows[0]["total_count"])


@delete(
    "/v3/{project_id:str}/schedule-tasks/{task_id:str}",
    status_code=200,
    responses=refusals(ErrorCode.TASK_NOT_FOUND),
    tags=["Extensions"],
)
async def cancel_scheduled_task(
    request: ApiRequest, project_id: FromPath[str], task_id: FromPath[str]
) -> Response[Empty]:
    """Cancel a scheduled task that has not started: an extension of openrds."""

    def work(intake: Intake) -> Empty:
        scheduling.cancel(intake, task_id)
        return Empty()

    return await change(request, work)


def _listed(row: Row) -> ScheduledTask:
    return ScheduledTask(
        id=str(row["id"]),
        name=row["name"],
        instance_id=row["instance_id"],
        instance_name=row["instance_name"],
        instance_status=row["instance_status"],
        project_id=row["project_id"],
        create_time=format_time(row["created_at"]),
        start_time=format_time(row["starts_at"]),
        end_time=format_time(row["ends_at"]),
        order="1",
        status=ScheduleStatus(row["true_status"]),
        datastore_type=row["engine"].lower(),
        volume_type=row["volume_type"],
        target_config=row["target_config"],
    )


HANDLERS = [list_scheduled_tasks, cancel_scheduled_task]
