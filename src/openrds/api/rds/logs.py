"""Error and slow logs of an instance: lists, pages by a cursor, statistics. Source: reads.md 10."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from openrds.api.rds import log_bodies as bodies
from openrds.api.rds.log_reads import read_entries, window_of
from openrds.api.rds.slow_statements import Group, grouped
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.logs import LEVELS, ErrorEntry, LogKind, SlowEntry, Window, moment_of, slow_seconds
from openrds.domain.rules import check_one_of
from openrds.domain.texts import number_in
from openrds.operations.intake.server_logs import (
    SETTLED,
    InstanceLogs,
    Logged,
    numbers_before,
    numbers_from,
)

_TAGS = ["Logs"]
_DATES = ("start_date", "end_date")
_TIMES = ("start_time", "end_time")
_VERBS = ("INSERT", "UPDATE", "SELECT", "DELETE", "CREATE")
_ALL = "ALL"
_FORWARDS, _BACKWARDS = "forwards", "backwards"
_PAGE = range(1, 101)
#: Of a log that is listed, the newest. Source: the cloud's documentation of both calls.
_MOST_LISTED = 2000

Date: TypeAlias = Annotated[str, QueryParameter(description="`yyyy-mm-ddThh:mm:ss+0000`")]
Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=100)]
Page: TypeAlias = Annotated[int, QueryParameter(ge=1, le=2**31, description="The page, from 1.")]
Row: TypeAlias = Annotated[int, QueryParameter(ge=0, le=2**31, description="The row, from 0.")]


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/errorlog", responses=refusals(instance=True), tags=_TAGS
)
async def list_errors(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_date: Date,
    end_date: Date,
    offset: Page = 1,
    limit: Limit = 10,
    level: FromQuery[str] = _ALL,
) -> bodies.ErrorLogAnswer:
    """The error logs of all nodes, newest first: pages of the newest 2000 entries."""
    where = (project_id, instance_id, window_of(start_date, end_date, _DATES))
    return await _list_errors(request, *where, level, (offset - 1) * limit, limit)


@get(
    "/v3.1/{project_id:str}/instances/{instance_id:str}/errorlog",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_errors_from(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_date: Date,
    end_date: Date,
    offset: Row = 0,
    limit: Limit = 10,
    level: FromQuery[str] = _ALL,
) -> bodies.ErrorLogAnswer:
    """The same, from a row on."""
    where = (project_id, instance_id, window_of(start_date, end_date, _DATES))
    return await _list_errors(request, *where, level, offset, limit)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/slowlog", responses=refusals(instance=True), tags=_TAGS
)
async def list_slow(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_date: Date,
    end_date: Date,
    offset: Page = 1,
    limit: Limit = 10,
    type_: Annotated[str, QueryParameter(name="type")] = "",
) -> bodies.SlowLogAnswer:
    """The statements of all nodes that took longer than a second, newest first: pages of the newest 2000."""
    where = (project_id, instance_id, window_of(start_date, end_date, _DATES))
    return await _list_slow(request, *where, type_, (offset - 1) * limit, limit)


@get(
    "/v3.1/{project_id:str}/instances/{instance_id:str}/slowlog",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_slow_from(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_date: Date,
    end_date: Date,
    offset: Row = 0,
    limit: Limit = 10,
    type_: Annotated[str, QueryParameter(name="type")] = "",
) -> bodies.SlowLogAnswer:
    """The same, from a row on."""
    where = (project_id, instance_id, window_of(start_date, end_date, _DATES))
    return await _list_slow(request, *where, type_, offset, limit)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/error-logs",
    status_code=200,
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def page_errors(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[bodies.ErrorLogRequest],
) -> bodies.ErrorLogPage:
    """The error logs of all nodes in the order of time, after the entry of a `line_num`, or before it.

    Forwards, what is younger than 2 s is yet to come: so nothing is passed over that is written late.
    """
    wanted = _of_level(data.level)
    find = _paged(data, wanted)

    def answer(logs: InstanceLogs, found: list[Logged]) -> bodies.ErrorLogPage:
        return bodies.ErrorLogPage(
            [
                bodies.NumberedErrorLog(**_error(logs, one.entry), line_num=str(one.number))
                for one in find.page(logs, found)
                if isinstance(one.entry, ErrorEntry)
            ]
        )

    return await read_entries(request, project_id, instance_id, LogKind.ERROR, find.window, answer)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/slow-logs",
    status_code=200,
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def page_slow(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[bodies.SlowLogRequest],
) -> bodies.SlowLogPage:
    """The slow logs of all nodes, in the same way."""
    find = _paged(data, _of_type(data.type, data.database))

    def answer(logs: InstanceLogs, found: list[Logged]) -> bodies.SlowLogPage:
        page = [
            bodies.NumberedSlowLog(**_slow(logs, one.entry), line_num=str(one.number))
            for one in find.page(logs, found)
            if isinstance(one.entry, SlowEntry)
        ]
        return bodies.SlowLogPage(page, slow_seconds(logs.instance.parameters))

    return await read_entries(request, project_id, instance_id, LogKind.SLOW, find.window, answer)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/slowlog/statistics",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_statements(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_date: Date,
    end_date: Date,
    cur_page: Annotated[int, QueryParameter(ge=1, le=2**31)] = 1,
    per_page: Annotated[int, QueryParameter(ge=0, le=100)] = 10,
    type_: Annotated[str, QueryParameter(name="type")] = "",
    sort: Annotated[str, QueryParameter(description="`executeTime`: the slowest first.")] = "",
) -> bodies.SlowStatementsAnswer:
    """Slow statements that differ only in their values, with how often each was slow: the most frequent first."""
    window = window_of(start_date, end_date, _DATES)
    groups = await _groups(request, project_id, instance_id, window, _of_type(type_), sort)
    page = groups[(cur_page - 1) * per_page : cur_page * per_page]
    return bodies.SlowStatementsAnswer(
        page_number=cur_page,
        page_record=per_page,
        slow_log_list=[bodies.SlowStatement(**group.fields()) for group in page],
        total_record=len(groups),
        start_time=int(window.since.timestamp() * 1000),
        end_time=int(window.until.timestamp() * 1000),
    )


@post(
    "/v3.1/{project_id:str}/instances/{instance_id:str}/slow-logs/statistics",
    status_code=200,
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def page_statements(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[bodies.SlowStatementsRequest],
) -> bodies.FlatSlowStatementsAnswer:
    """The same, from a row on."""
    window = window_of(data.start_time, data.end_time, _TIMES)
    check_one_of("order", data.order, ("desc", "asc"))
    _check_limit(data.limit)
    if data.offset < 0:
        raise Refusal(ErrorCode.PARAMETER, "offset must be 0 or more.")
    wanted = _of_type(data.type, data.database)
    groups = await _groups(request, project_id, instance_id, window, wanted, data.sort)
    if data.order == "asc":
        groups.reverse()
    page = groups[data.offset : data.offset + data.limit]
    return bodies.FlatSlowStatementsAnswer(
        [bodies.FlatSlowStatement(**group.fields()) for group in page], len(groups)
    )


_Wanted: TypeAlias = Callable[[InstanceLogs, Logged], bool]


def _of_level(level: str) -> _Wanted:
    check_one_of("level", level, (_ALL, *LEVELS))
    return lambda _, one: level == _ALL or (isinstance(one.entry, ErrorEntry) and one.entry.level == level)


def _of_type(verb: str, database: str = "") -> _Wanted:
    if verb:
        check_one_of("type", verb, (_ALL, *_VERBS))

    def is_wanted(logs: InstanceLogs, one: Logged) -> bool:
        assert isinstance(one.entry, SlowEntry)
        if database and one.entry.database != database:
            return False
        return verb in ("", _ALL) or logs.verb(one.entry) == verb

    return is_wanted


class _Pages:
    """Pages by a cursor: in which part of the window they are, and what of it is one of them."""

    def __init__(
        self, window: Window, number: int | None, limit: int, wanted: _Wanted, *, backwards: bool
    ) -> None:
        self.window = window
        self._number, self._limit, self._wanted, self._backwards = number, limit, wanted, backwards

    def page(self, logs: InstanceLogs, found: Iterable[Logged]) -> list[Logged]:
        beyond = [one for one in found if self._is_beyond(one.number) and self._wanted(logs, one)]
        return beyond[-self._limit :] if self._backwards else beyond[: self._limit]

    def _is_beyond(self, number: int) -> bool:
        if self._number is None:
            return True
        return number < self._number if self._backwards else number > self._number


def _paged(data: bodies.ErrorLogRequest | bodies.SlowLogRequest, wanted: _Wanted) -> _Pages:
    window = window_of(data.start_time, data.end_time, _TIMES)
    check_one_of("search_type", data.search_type, (_FORWARDS, _BACKWARDS))
    _check_limit(data.limit)
    backwards = data.search_type == _BACKWARDS
    number = number_in(data.line_num) if data.line_num else None
    if data.line_num and number is None:
        raise Refusal(ErrorCode.PARAMETER, "line_num must be that of an entry.")
    if not backwards:
        window = replace(window, until=min(window.until, dt.datetime.now(dt.UTC) - SETTLED))
    if number is not None:
        window = (numbers_before if backwards else numbers_from)(number, window)
    return _Pages(window, number, data.limit, wanted, backwards=backwards)


def _check_limit(limit: int) -> None:
    if limit not in _PAGE:
        raise Refusal(ErrorCode.PARAMETER, "limit must be 1 to 100.")


async def _list_errors(
    request: ApiRequest, project_id: str, instance_id: str, window: Window, level: str, first: int, limit: int
) -> bodies.ErrorLogAnswer:
    wanted = _of_level(level)

    def answer(logs: InstanceLogs, found: list[Logged]) -> bodies.ErrorLogAnswer:
        listed = _newest(logs, found, wanted)
        page = [bodies.ErrorLog(**_error(logs, one.entry)) for one in listed[first : first + limit]]
        return bodies.ErrorLogAnswer(page, len(listed))

    return await read_entries(request, project_id, instance_id, LogKind.ERROR, window, answer)


async def _list_slow(
    request: ApiRequest, project_id: str, instance_id: str, window: Window, verb: str, first: int, limit: int
) -> bodies.SlowLogAnswer:
    wanted = _of_type(verb)

    def answer(logs: InstanceLogs, found: list[Logged]) -> bodies.SlowLogAnswer:
        listed = _newest(logs, found, wanted)
        page = [bodies.SlowLog(**_slow(logs, one.entry)) for one in listed[first : first + limit]]
        return bodies.SlowLogAnswer(page, len(listed))

    return await read_entries(request, project_id, instance_id, LogKind.SLOW, window, answer)


async def _groups(
    request: ApiRequest, project_id: str, instance_id: str, window: Window, wanted: _Wanted, sort: str
) -> list[Group]:
    def answer(logs: InstanceLogs, found: list[Logged]) -> list[Group]:
        return grouped(logs, _newest(logs, found, wanted), slowest_first=sort == "executeTime")

    return await read_entries(request, project_id, instance_id, LogKind.SLOW, window, answer)


def _newest(logs: InstanceLogs, found: Sequence[Logged], wanted: _Wanted) -> list[Logged]:
    """The newest first."""
    newest: list[Logged] = []
    for one in reversed(found):
        if len(newest) == _MOST_LISTED:
            break
        if wanted(logs, one):
            newest.append(one)
    return newest


def _error(logs: InstanceLogs, entry: Any) -> dict[str, Any]:
    return {"time": _time(entry.at), "level": entry.level, "content": logs.message(entry)}


def _slow(logs: InstanceLogs, entry: Any) -> dict[str, Any]:
    return {
        "count": "1",
        "time": f"{entry.seconds:.5f} s",
        "lock_time": f"{entry.lock_seconds:.5f} s",
        "rows_sent": str(entry.rows_sent),
        "rows_examined": str(entry.rows_examined),
        "database": entry.database,
        "users": entry.user,
        "query_sample": logs.statement(entry),
        "type": logs.verb(entry),
        "start_time": _time(entry.at - int(entry.seconds * 1_000_000)),
        "client_ip": entry.client,
    }


def _time(at: int) -> str:
    return moment_of(at).isoformat(timespec="seconds")[:19]


HANDLERS = [
    list_errors,
    list_errors_from,
    list_slow,
    list_slow_from,
    page_errors,
    page_slow,
    list_statements,
    page_statements,
]
