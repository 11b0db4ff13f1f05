"""Restores: what can be restored, onto an instance, and of tables and databases. Source: operations.md 5.

A restore to a new instance is a creation, and in `instances`.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Several, Text
from openrds.domain.task import TaskStatus
from openrds.domain.texts import day_in, uuid_in
from openrds.operations.backups import restore_databases, restore_instance, restore_tables
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.restore_source import milliseconds, range_of
from openrds.store.queries import Queries

_sql = Queries("backups")
_tasks = Queries("tasks")
_TAGS = ["Restores"]

_ONTO = refusals(
    ErrorCode.RESTORE_SOURCE,
    ErrorCode.RESTORE_VOLUME,
    ErrorCode.BACKUP_NOT_FOUND,
    ErrorCode.INSTANCE_TYPE,
    body=True,
    instance=True,
)
_COPIES = refusals(ErrorCode.DATABASE_NAME, ErrorCode.INSTANCE_TYPE, body=True, instance=True)


class RestoreTime(msgspec.Struct):
    """Unix milliseconds."""

    start_time: int
    end_time: int


class RestoreTimeAnswer(msgspec.Struct):
    restore_time: list[RestoreTime]


class TablesOfDatabase(msgspec.Struct):
    database: Text
    tables: Several[restore_tables.Table]


class RestoreTablesOf(msgspec.Struct):
    """`restore_time` is in Unix milliseconds; `is_fast_restore` makes no difference here."""

    restore_time: int
    restore_tables: Several[TablesOfDatabase]
    is_fast_restore: bool | None = None


class TableV3(msgspec.Struct, rename="camel"):
    old_name: Text
    new_name: Text


class TablesOfDatabaseV3(msgspec.Struct):
    database: Text
    tables: Several[TableV3]


class RestoreTablesOfV3(msgspec.Struct):
    restore_time: int = msgspec.field(name="restoreTime")
    restore_tables: Several[TablesOfDatabaseV3] = msgspec.field(name="restoreTables")
    is_fast_restore: bool | None = None


class CamelJobIdAnswer(msgspec.Struct, rename="camel"):
    job_id: str


class RestoreResult(msgspec.Struct):
    instance_id: str
    job_id: str


class RestoreResultAnswer(msgspec.Struct):
    restore_result: list[RestoreResult]


class EndedRestore(msgspec.Struct):
    """A task that restored tables or databases, by its id and name."""

    workflow_id: Text
    workflow_name: Text


class Restored(msgspec.Struct):
    """By the names that it has now. A table is named with its schema where there are any; none for a whole database."""

    database_name: str
    table_name: str


class RestoredAnswer(msgspec.Struct):
    data_list: list[Restored]


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/restore-time",
    responses=refusals(ErrorCode.INSTANCE_ID_FORMAT, ErrorCode.INSTANCE_NOT_FOUND),
    tags=_TAGS,
)
async def show_restore_time(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    date: Annotated[
        str | None, QueryParameter(description="`yyyy-mm-dd`, UTC: only that day's part of the range.")
    ] = None,
) -> RestoreTimeAnswer:
    """The moments that the instance can be restored to; none before its first backup.

    There are several ranges, or an early end, as long as log is missing that a dead primary has not archived.
    """
    await find_instance(request, project_id, instance_id)
    bounds = _day(date) if date else None
    found = await service_of(request).reads.rows(_sql.restorable_ranges, [instance_id])
    ranges = [range_of(row) for row in found]
    if bounds is not None:
        ranges = [(max(begin, bounds[0]), min(end, bounds[1])) for begin, end in ranges]
    return RestoreTimeAnswer([RestoreTime(begin, end) for begin, end in ranges if begin <= end])


@post(
    "/v3/{project_id:str}/instances/recovery",
    status_code=200,
    responses=_ONTO,
    tags=_TAGS,
)
async def restore_onto(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[restore_instance.RestoreInstance]
) -> Response[JobIdAnswer]:
    """Restore a backup, or an instance as it was at a moment, onto another instance: its data is replaced."""
    return await _restore_onto(request, data, status=200)


@post(
    "/v3.1/{project_id:str}/instances/recovery",
    status_code=202,
    responses=_ONTO,
    tags=_TAGS,
)
async def restore_onto_v3_1(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[restore_instance.RestoreInstance]
) -> Response[JobIdAnswer]:
    """The same; only the status of the answer differs."""
    return await _restore_onto(request, data, status=202)


@post(
    "/v3/{project_id:str}/instances/batch/restore/tables",
    status_code=200,
    responses=_COPIES,
    tags=_TAGS,
)
async def restore_some_tables(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[restore_tables.RestoreTables]
) -> Response[RestoreResultAnswer]:
    """Restore tables as they were at a moment, under new names, while the instance serves."""
    return await change(request, lambda intake: _result(restore_tables.submit(intake, data)))


@post(
    "/v3/{project_id:str}/instances/batch/restore/databases",
    status_code=200,
    responses=_COPIES,
    tags=_TAGS,
)
async def restore_some_databases(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[restore_databases.RestoreDatabases]
) -> Response[RestoreResultAnswer]:
    """Restore databases as they were at a moment, under new names, while the instance serves."""
    return await change(request, lambda intake: _result(restore_databases.submit(intake, data)))


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/restore/tables",
    status_code=200,
    responses=_COPIES,
    tags=_TAGS,
)
async def restore_tables_of(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[RestoreTablesOfV3],
) -> Response[CamelJobIdAnswer]:
    """Restore tables of an instance whose engine has no schemas, under new names, while it serves."""

    def work(intake: Intake) -> CamelJobIdAnswer:
        wanted = _tables(instance_id, data.restore_time, data.restore_tables)
        return CamelJobIdAnswer(str(restore_tables.submit_one(intake, wanted)))

    return await change(request, work)


@post(
    "/v3.1/{project_id:str}/instances/{instance_id:str}/restore/tables",
    status_code=202,
    responses=_COPIES,
    tags=_TAGS,
)
async def restore_tables_of_v3_1(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[RestoreTablesOf],
) -> Response[JobIdAnswer]:
    """The same; the spelling of the fields differs, and the status of the answer."""

    def work(intake: Intake) -> JobIdAnswer:
        wanted = _tables(instance_id, data.restore_time, data.restore_tables)
        return JobIdAnswer(str(restore_tables.submit_one(intake, wanted)))

    return await change(request, work, status=202)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/get-restore-tables",
    status_code=200,
    responses=refusals(ErrorCode.TASK_NOT_FOUND, body=True, instance=True),
    tags=_TAGS,
)
async def list_restored(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[EndedRestore],
) -> RestoredAnswer:
    """What a task has restored; nothing as long as it runs, and of one that failed. Source: task-center.md 8."""
    await find_instance(request, project_id, instance_id)
    key = {"id": uuid_in(data.workflow_id), "project_id": project_id, "instance_id": instance_id}
    task = await service_of(request).reads.row(_tasks.restored_by_task, key)
    if task is None:
        raise Refusal(
            ErrorCode.TASK_NOT_FOUND,
            f"Instance {instance_id} has no task {data.workflow_id} that restores tables or databases.",
        )
    if task["name"] != data.workflow_name:
        raise Refusal(ErrorCode.PARAMETER, f"The task is {task['name']}, not {data.workflow_name}.")
    done = task["parameters"] if task["status"] == TaskStatus.COMPLETED else {}
    databases = [Restored(one["new_name"], "") for one in done.get("databases", ())]
    tables = [
        Restored(one["database"], ".".join(filter(None, (one["schema"], one["new_name"]))))
        for one in done.get("tables", ())
    ]
    return RestoredAnswer(databases + tables)


def _tables(
    instance_id: str, restore_time: int, databases: Sequence[TablesOfDatabase | TablesOfDatabaseV3]
) -> restore_tables.InstanceTables:
    named = [
        restore_tables.Database(
            one.database,
            tables=[restore_tables.Table(table.old_name, table.new_name) for table in one.tables],
        )
        for one in databases
    ]
    return restore_tables.InstanceTables(instance_id, restore_time, named)


async def _restore_onto(
    request: ApiRequest, data: restore_instance.RestoreInstance, *, status: int
) -> Response[JobIdAnswer]:
    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(restore_instance.submit(intake, data)))

    return await change(request, work, status=status)


def _result(tasks: list[tuple[str, UUID]]) -> RestoreResultAnswer:
    return RestoreResultAnswer([RestoreResult(instance_id, str(task_id)) for instance_id, task_id in tasks])


def _day(date: str) -> tuple[int, int]:
    """The first and the last millisecond of a day."""
    day = day_in(date)
    if day is None:
        raise Refusal(ErrorCode.PARAMETER, "date must be yyyy-mm-dd.")
    begin = milliseconds(dt.datetime.combine(day, dt.time(), dt.UTC))
    return begin, begin + 86_400_000 - 1


HANDLERS = [
    show_restore_time,
    list_restored,
    restore_onto,
    restore_onto_v3_1,
    restore_some_tables,
    restore_some_databases,
    restore_tables_of,
    restore_tables_of_v3_1,
]
