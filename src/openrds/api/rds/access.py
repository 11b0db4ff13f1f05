"""Who may connect to an instance of PostgreSQL: the rows of `pg_hba.conf` that are a tenant's.

Source: the cloud's SDK.
"""

import datetime as dt
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import Body, FromPath, FromQuery

from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.api.waiting import change_and_wait
from openrds.domain.access import MOST_ROWS, AccessRow
from openrds.domain.errors import ErrorCode
from openrds.operations.accounts import change_access
from openrds.operations.accounts.databases import check_has_schemas
from openrds.store.queries import Queries

_sql = Queries("access")

_TAGS = ["Databases"]
#: The bound of a list stands here: of what is the whole body, that of its type is not looked at.
_Rows = Annotated[list[change_access.Row], Body(max_items=MOST_ROWS)]
_CHANGE = (ErrorCode.INSTANCE_TYPE, ErrorCode.STATUS_FORBIDS, ErrorCode.BUILT_IN_ACCOUNT)


class HbaRow(msgspec.Struct):
    """`address` has the length of its mask, so `mask` is empty."""

    type: str
    database: str
    user: str
    address: str
    mask: str
    method: str
    priority: int


class HbaChange(msgspec.Struct):
    """`fail_reason` is empty for one that succeeded."""

    status: str
    time: str
    fail_reason: str
    before_confs: list[HbaRow]
    after_confs: list[HbaRow]


class HbaAnswer(msgspec.Struct):
    code: str = "0"
    message: str = "success"


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/hba-info",
    responses=refusals(ErrorCode.INSTANCE_TYPE, instance=True),
    tags=_TAGS,
)
async def list_access(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> list[HbaRow]:
    """The rows, of which the first that fits decides. Openrds' own stand before them, and are not shown."""
    instance = await find_instance(request, project_id, instance_id)
    check_has_schemas(instance)
    return _shown(change_access.rows_of(instance))


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/hba-info",
    status_code=200,
    responses=refusals(*_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def replace_access(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: _Rows,
) -> Response[HbaAnswer]:
    """Have these rows and no others; with none, those of a new instance."""
    return await change_and_wait(
        request,
        lambda intake: change_access.replace_all(intake, instance_id, data),
        HbaAnswer(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/hba-info",
    responses=refusals(*_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def change_rows(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: _Rows,
) -> Response[HbaAnswer]:
    """Change the rows of these priorities, and add those that are not there."""
    return await change_and_wait(
        request,
        lambda intake: change_access.put(intake, instance_id, data),
        HbaAnswer(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}/hba-info",
    status_code=200,
    responses=refusals(*_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def remove_rows(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: _Rows,
) -> Response[HbaAnswer]:
    """Remove the rows of these priorities."""
    return await change_and_wait(
        request,
        lambda intake: change_access.remove(intake, instance_id, data),
        HbaAnswer(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/hba-info/history",
    responses=refusals(ErrorCode.INSTANCE_TYPE, instance=True),
    tags=_TAGS,
)
async def list_access_changes(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_time: FromQuery[dt.datetime | None] = None,
    end_time: FromQuery[dt.datetime | None] = None,
) -> list[HbaChange]:
    """What was changed, latest first; the last 100 changes are kept."""
    instance = await find_instance(request, project_id, instance_id)
    check_has_schemas(instance)
    now = dt.datetime.now(dt.UTC)
    begin = start_time or now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await service_of(request).reads.rows(
        _sql.changes, {"id": instance.id, "begin": begin, "end": end_time or now}
    )
    return [
        HbaChange(
            status="success" if row["succeeded"] else "failed",
            time=row["changed_at"].astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            fail_reason=""
            if row["succeeded"]
            else "The servers did not take it; the task of the change says why.",
            before_confs=_shown(msgspec.convert(row["before"], list[AccessRow])),
            after_confs=_shown(msgspec.convert(row["after"], list[AccessRow])),
        )
        for row in rows
    ]


def _shown(rows: list[AccessRow] | tuple[AccessRow, ...]) -> list[HbaRow]:
    return [
        HbaRow(row.type, row.database, row.user, row.network, "", row.method, place)
        for place, row in enumerate(rows)
    ]


HANDLERS = [list_access, replace_access, change_rows, remove_rows, list_access_changes]
