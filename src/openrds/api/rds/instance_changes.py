"""Small synchronous changes of an instance and the reads that mirror them. Source: reads.md 1.3, 3.2 and 6."""

from collections.abc import Callable

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.api.waiting import change_and_wait
from openrds.domain.errors import ErrorCode
from openrds.operations.instances import instance_changes as changes
from openrds.operations.instances import reset_password
from openrds.operations.intake.intake import Intake
from openrds.store.queries import Queries

_sql = Queries("instances")
_TAGS = ["Instances"]


class Done(msgspec.Struct):
    pass


class Successful(msgspec.Struct):
    resp: str = "successful"


class LogPolicyAnswer(msgspec.Struct):
    """`binlog_clear_type` is `time`, or `fast` where log goes as soon as it is in the archive."""

    binlog_retention_hours: int
    binlog_clear_type: str


class BackupPolicyEntry(msgspec.Struct):
    keep_days: int
    start_time: str
    period: str


class BackupPolicyAnswer(msgspec.Struct):
    backup_policy: BackupPolicyEntry


class InstanceTag(msgspec.Struct):
    key: str
    value: str
    tag_type: str = "user"


class InstanceTagsAnswer(msgspec.Struct):
    tags: list[InstanceTag]


class ProjectTag(msgspec.Struct):
    key: str
    values: list[str]


class ProjectTagsAnswer(msgspec.Struct):
    tags: list[ProjectTag]


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/name",
    responses=refusals(ErrorCode.NAME, body=True, instance=True),
    tags=_TAGS,
)
async def rename(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[changes.Rename]
) -> Response[Done]:
    return await _done(request, lambda intake: changes.rename(intake, instance_id, data))


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/alias",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_alias(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.SetAlias],
) -> Response[Successful]:
    def work(intake: Intake) -> Successful:
        changes.set_alias(intake, instance_id, data)
        return Successful()

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/ops-window",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_maintenance_window(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.SetMaintenanceWindow],
) -> Response[Done]:
    return await _done(request, lambda intake: changes.set_maintenance_window(intake, instance_id, data))


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/password",
    status_code=200,
    responses=refusals(ErrorCode.PASSWORD, body=True, instance=True),
    tags=_TAGS,
)
async def set_password(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[reset_password.ResetPassword],
) -> Response[Done]:
    """Give the administrator another password. The answer comes once the server has it."""
    return await change_and_wait(
        request,
        lambda intake: reset_password.submit(intake, instance_id, data),
        Done(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/backups/policy",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_backup_policy(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> BackupPolicyAnswer:
    found = await find_instance(request, project_id, instance_id)
    return BackupPolicyAnswer(
        BackupPolicyEntry(found.backup_keep_days, found.backup_start_time, found.backup_period)
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/backups/policy",
    responses=refusals(
        ErrorCode.BACKUP_KEEP_DAYS,
        ErrorCode.BACKUP_PERIOD,
        ErrorCode.BACKUP_WINDOW,
        ErrorCode.INSTANCE_TYPE,
        body=True,
        instance=True,
    ),
    tags=_TAGS,
)
async def set_backup_policy(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.SetBackupPolicy],
) -> Response[Done]:
    return await _done(request, lambda intake: changes.set_backup_policy(intake, instance_id, data))


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/binlog/clear-policy",
    responses=refusals(ErrorCode.INSTANCE_TYPE, instance=True),
    tags=_TAGS,
)
async def show_log_policy(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> LogPolicyAnswer:
    """For how many hours its servers keep binary log that is in the archive; for MySQL and MariaDB."""
    found = await find_instance(request, project_id, instance_id)
    changes.check_keeps_log(found)
    return LogPolicyAnswer(found.log_retention_hours, "time" if found.log_retention_hours else "fast")


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/binlog/clear-policy",
    responses=refusals(ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def set_log_policy(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.LogPolicy],
) -> Response[Successful]:
    """Change that: 0 to 168 hours. Log that a follower still needs stays all the same."""

    def work(intake: Intake) -> Successful:
        changes.set_log_policy(intake, instance_id, data)
        return Successful()

    return await change(request, work)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/tags/action",
    status_code=200,
    responses=refusals(ErrorCode.TOO_MANY_TAGS, ErrorCode.DUPLICATE_TAG, body=True, instance=True),
    tags=_TAGS,
)
async def change_tags(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.ChangeTags],
) -> Response[Done]:
    return await _done(request, lambda intake: changes.change_tags(intake, instance_id, data))


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/tags",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_tags(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> InstanceTagsAnswer:
    found = await find_instance(request, project_id, instance_id)
    return InstanceTagsAnswer([InstanceTag(key, value) for key, value in found.tags.items()])


@get("/v3/{project_id:str}/tags", responses=refusals(), tags=_TAGS)
async def list_tags(request: ApiRequest, project_id: FromPath[str]) -> ProjectTagsAnswer:
    """Every tag in use in the project."""
    rows = await service_of(request).reads.rows(_sql.tags_of_project, [project_id])
    return ProjectTagsAnswer([ProjectTag(row["key"], row["values"]) for row in rows])


async def _done(request: ApiRequest, work: Callable[[Intake], None]) -> Response[Done]:
    def answer(intake: Intake) -> Done:
        work(intake)
        return Done()

    return await change(request, answer)


HANDLERS = [
    rename,
    set_alias,
    set_maintenance_window,
    set_password,
    show_backup_policy,
    set_backup_policy,
    show_log_policy,
    set_log_policy,
    change_tags,
    show_tags,
    list_tags,
]
