"""Backups: create, list, delete. Source: operations.md 14, reads.md 3.1."""

import datetime as dt
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.task import format_time
from openrds.operations.backups import back_up, remove_backup
from openrds.operations.intake.intake import Intake
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("backups")
_TAGS = ["Backups"]

#: Those of the contract. This openrds makes `auto` and `manual` ones.
_TYPES = ("auto", "manual", "fragment", "incremental")

Moment = Annotated[
    str | None,
    QueryParameter(description="`yyyy-mm-ddThh:mm:ss+0000`; both times are given, or none."),
]


class CreatedBackup(msgspec.Struct):
    id: str
    instance_id: str
    name: str
    description: str
    begin_time: str
    status: str
    type: str


class CreatedBackupAnswer(msgspec.Struct):
    backup: CreatedBackup


class BackupDatastore(msgspec.Struct):
    type: str
    version: str


class BackedUpDatabase(msgspec.Struct):
    name: str


class ListedBackup(msgspec.Struct):
    """`size` is in KB; `end_time` is empty while the backup is being made. It has all databases, and names none."""

    id: str
    instance_id: str
    name: str
    description: str
    type: str
    size: int
    status: str
    begin_time: str
    end_time: str
    datastore: BackupDatastore
    databases: list[BackedUpDatabase]
    associated_with_ddm: bool = False


class BackupsAnswer(msgspec.Struct):
    backups: list[ListedBackup]
    total_count: int


class Deleted(msgspec.Struct):
    pass


@post(
    "/v3/{project_id:str}/backups",
    status_code=200,
    responses=refusals(
        ErrorCode.BACKUP_NAME,
        ErrorCode.BACKUP_DESCRIPTION,
        ErrorCode.BACKUP_RUNNING,
        ErrorCode.INSTANCE_TYPE,
        body=True,
        instance=True,
    ),
    tags=_TAGS,
)
async def create(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[back_up.CreateBackup]
) -> Response[CreatedBackupAnswer]:
    """Back up an instance. The answer comes at once; the list says when the backup is COMPLETED."""

    def work(intake: Intake) -> CreatedBackupAnswer:
        backup, _ = back_up.submit(intake, data)
        return CreatedBackupAnswer(
            CreatedBackup(
                id=backup["id"],
                instance_id=backup["instance_id"],
                name=backup["name"],
                description=backup["description"],
                begin_time=format_time(backup["begin_time"]),
                status=backup["status"],
                type=backup["type"],
            )
        )

    return await change(request, work)


@get("/v3/{project_id:str}/backups", responses=refusals(), tags=_TAGS)
async def list_backups(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: Annotated[str, QueryParameter(min_length=1)],
    backup_id: FromQuery[str | None] = None,
    backup_type: FromQuery[str | None] = None,
    status: FromQuery[str | None] = None,
    begin_time: Moment = None,
    end_time: Moment = None,
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> BackupsAnswer:
    """The backups of an instance, newest first, also of one that is gone. Times bound the begin of a backup."""
    if backup_type and backup_type not in _TYPES:
        raise Refusal(ErrorCode.PARAMETER, f"backup_type must be one of {', '.join(_TYPES)}.")
    begin, end = _window(begin_time, end_time)
    rows = await service_of(request).reads.rows(
        _sql.list_backups,
        {
            "project_id": project_id,
            "instance_id": instance_id,
            "id": backup_id or None,
            "type": backup_type or None,
            "status": status or None,
            "from": begin,
            "until": end,
            "offset": offset,
            "limit": limit,
        },
    )
    return BackupsAnswer([_listed(row) for row in rows if row["id"] is not None], rows[0]["total_count"])


@delete(
    "/v3/{project_id:str}/backups/{backup_id:str}",
    status_code=200,
    responses=refusals(ErrorCode.BACKUP_NOT_FOUND, ErrorCode.BACKUP_RUNNING, ErrorCode.INSTANCE_BUSY),
    tags=_TAGS,
)
async def remove(
    request: ApiRequest, project_id: FromPath[str], backup_id: FromPath[str]
) -> Response[Deleted]:
    """Delete a manual backup."""

    def work(intake: Intake) -> Deleted:
        remove_backup.delete(intake, backup_id)
        return Deleted()

    return await change(request, work)


@post(
    "/v3/{project_id:str}/backups/batch-delete",
    status_code=200,
    responses=refusals(
        ErrorCode.BACKUP_NOT_FOUND, ErrorCode.BACKUP_RUNNING, ErrorCode.INSTANCE_BUSY, body=True
    ),
    tags=_TAGS,
)
async def remove_several(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[remove_backup.DeleteBackups]
) -> Response[Deleted]:
    """Delete several manual backups: all of them, or none."""

    def work(intake: Intake) -> Deleted:
        remove_backup.delete_several(intake, data)
        return Deleted()

    return await change(request, work)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/backups/stop",
    status_code=200,
    responses=refusals(ErrorCode.INSTANCE_ID_FORMAT, ErrorCode.INSTANCE_NOT_FOUND, ErrorCode.STATUS_FORBIDS),
    tags=_TAGS,
)
async def stop(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> Response[JobIdAnswer]:
    """Stop the running backup of an instance. The answer names its task, which is Failed then, as the backup is."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(back_up.stop(intake, instance_id)))

    return await change(request, work)


def _listed(row: Row) -> ListedBackup:
    return ListedBackup(
        id=row["id"],
        instance_id=row["instance_id"],
        name=row["name"],
        description=row["description"],
        type=row["type"],
        size=row["size_kb"],
        status=row["status"],
        begin_time=format_time(row["begin_time"]),
        end_time=format_time(row["end_time"]) if row["end_time"] else "",
        datastore=BackupDatastore(row["engine"], row["version"]),
        databases=[],
    )


def _window(begin_time: str | None, end_time: str | None) -> tuple[dt.datetime | None, dt.datetime | None]:
    if bool(begin_time) != bool(end_time):
        raise Refusal(ErrorCode.PARAMETER, "begin_time and end_time go together: give both, or none.")
    if not begin_time or not end_time:
        return None, None
    begin, end = _moment("begin_time", begin_time), _moment("end_time", end_time)
    if begin > end:
        raise Refusal(ErrorCode.PARAMETER, "begin_time must not be later than end_time.")
    return begin, end


def _moment(field: str, text: str) -> dt.datetime:
    """A `+` that a client did not encode arrives as a blank."""
    try:
        moment = dt.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refusal(ErrorCode.PARAMETER, f"{field} must be yyyy-mm-ddThh:mm:ss+0000.")
    return moment


HANDLERS = [create, list_backups, remove, remove_several, stop]
