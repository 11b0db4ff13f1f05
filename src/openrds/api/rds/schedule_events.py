"""Scheduled tasks as planned events, which may be begun at once, moved or called off: `schedule-events`.

Each of them restarts servers, which is the one type of event that the contract knows. Source: task-center.md 9.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from openrds.api.changes import change
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.domain.rules import check_one_of
from openrds.domain.schedule import EVENT_STATUSES, EventStatus, ScheduledName, ScheduleStatus
from openrds.domain.task import format_time
from openrds.domain.texts import uuid_in
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.scheduling import Planned, take_planned
from openrds.operations.registry import SCHEDULED
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("schedule")

_TAGS = ["Task center"]
#: The contract spells it so.
_TYPE = "RESTAT_NODE"
_LEVEL = "MINOR"
_LEVELS = ("CRITICAL", "MAJOR", _LEVEL, "INFO")
_SORT_FIELDS = ("created_time", "planned_execution_time", "latest_execution_time")
_IMPACT = "Its servers are restarted: connections end, and clients connect again."
_MOST_AT_ONCE = 50
_STATUSES = {event: status for status, event in EVENT_STATUSES.items()}


class Event(msgspec.Struct):
    """`execute_time` is when it is planned for, `latest_execution_time` when it was begun."""

    id: str
    instance_id: str
    instance_name: str
    db_type: str
    created_time: str
    update_time: str
    type: str
    impact: str
    status: EventStatus
    reason: str
    level: str
    execute_time: str
    latest_execution_time: str | UnsetType = UNSET


class EventsAnswer(msgspec.Struct):
    """`inquiring_count` is 0: nothing waits for a consent."""

    events: list[Event]
    total_count: int = 0
    inquiring_count: int = 0
    schedule_count: int = 0
    executing_count: int = 0
    failed_count: int = 0


class EventInstance(msgspec.Struct):
    event_id: Text
    instance_id: Text


class EventWindow(msgspec.Struct):
    """`yyyy-mm-dd`, and both times `HH:MM`, UTC."""

    planned_day: Text
    start_time: Text
    end_time: Text


class OperateEvents(msgspec.Struct):
    """`event_schedule_window` is that of a reservation."""

    event_instances: Annotated[list[EventInstance], msgspec.Meta(min_length=1, max_length=_MOST_AT_ONCE)]
    operation_type: Text
    event_schedule_window: EventWindow | None = None


class EventResult(msgspec.Struct, omit_defaults=True):
    """`job_id` is the task of what was executed; of what was refused there are code and message."""

    id: str
    instance_id: str
    success: bool
    job_id: str | None = None
    error_code: str | None = None
    error_msg: str | None = None


class EventResults(msgspec.Struct):
    results: list[EventResult]


@get("/v3/{project_id:str}/schedule-events", responses=refusals(), tags=_TAGS)
async def list_events(
    request: ApiRequest,
    project_id: FromPath[str],
    id_: Annotated[str | None, QueryParameter(name="id")] = None,
    instance_id: FromQuery[str | None] = None,
    status: FromQuery[EventStatus | None] = None,
    type_: Annotated[str | None, QueryParameter(name="type")] = None,
    level: FromQuery[str | None] = None,
    sort_field: FromQuery[str] = "created_time",
    order: FromQuery[str] = "DESC",
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 10,
) -> EventsAnswer:
    """Restarts that are planned, or were in the last month: what `schedule-tasks` has, as events."""
    check_one_of("type", type_ or _TYPE, (_TYPE,))
    check_one_of("level", level or _LEVEL, _LEVELS)
    check_one_of("sort_field", sort_field, _SORT_FIELDS)
    check_one_of("order", order, ("DESC", "ASC"))
    sought = uuid_in(id_) if id_ else None
    if level not in (None, "", _LEVEL) or (id_ and sought is None):
        return EventsAnswer([])
    parameters = {
        "project_id": project_id,
        "id": sought,
        "instance_id": instance_id or None,
        "status": status and _STATUSES[status],
        "sort_field": sort_field,
        "descending": order == "DESC",
        "offset": offset,
        "limit": limit,
    }
    rows = await service_of(request).reads.rows(_sql.events, parameters)
    return EventsAnswer(
        [_event(row) for row in rows if row["id"] is not None],
        total_count=rows[0]["matching"],
        schedule_count=rows[0]["scheduled"],
        executing_count=rows[0]["executing"],
        failed_count=rows[0]["failed"],
    )


@post(
    "/v3/{project_id:str}/schedule-events",
    status_code=200,
    responses=refusals(body=True),
    tags=_TAGS,
)
async def operate_events(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[OperateEvents]
) -> Response[EventResults]:
    """Begin planned events at once, call them off, or have them wait for another window. Each has a result."""
    act = _action(data)

    def work(intake: Intake) -> EventResults:
        # In one order, so that no two calls wait for each other.
        numbered = sorted(enumerate(data.event_instances), key=lambda pair: pair[1].event_id)
        tried = {number: _try(intake, one, act) for number, one in numbered}
        return EventResults([tried[number] for number in sorted(tried)])

    return await change(request, work)


def _action(data: OperateEvents) -> Callable[[Planned], str | None]:
    """What gives the id of the task, if there is one."""
    check_one_of("operation_type", data.operation_type, ("cancel", "execute", "reservation"))
    if data.operation_type == "execute":
        return lambda planned: str(planned.start(SCHEDULED))
    if data.operation_type == "cancel":
        return lambda planned: planned.cancel()
    window = data.event_schedule_window
    if window is None:
        raise Refusal(ErrorCode.PARAMETER, "A reservation needs event_schedule_window.")
    return lambda planned: planned.reserve(window.planned_day, window.start_time, window.end_time)


def _try(intake: Intake, one: EventInstance, act: Callable[[Planned], str | None]) -> EventResult:
    """Of one that is refused nothing is written, and the others are done all the same."""
    try:
        with intake.connection.transaction():
            job_id = act(take_planned(intake, one.event_id, one.instance_id))
    except Refusal as refusal:
        code, message = refusal.error.code, str(refusal)
        return EventResult(one.event_id, one.instance_id, False, error_code=code, error_msg=message)
    return EventResult(one.event_id, one.instance_id, True, job_id=job_id)


def _event(row: Row) -> Event:
    executed_at = row["executed_at"]
    return Event(
        id=str(row["id"]),
        instance_id=row["instance_id"],
        instance_name=row["instance_name"],
        db_type=row["engine"].lower(),
        created_time=format_time(row["created_at"]),
        update_time=format_time(row["changed_at"]),
        type=_TYPE,
        impact=_IMPACT,
        status=EVENT_STATUSES[ScheduleStatus(row["true_status"])],
        reason=_reason(row),
        level=_LEVEL,
        execute_time=format_time(row["starts_at"]),
        latest_execution_time=format_time(executed_at) if executed_at else UNSET,
    )


def _reason(row: Row) -> str:
    match ScheduledName(row["name"]):
        case ScheduledName.RESTART:
            return "A restart was asked for."
        case ScheduledName.RESIZE_FLAVOR:
            return f"It gets the flavor {row['target_config'].get('flavor', '')}."
        case ScheduledName.UPGRADE:
            return f"It gets the version {row['target_config'].get('version', '')}."


HANDLERS = [list_events, operate_events]
