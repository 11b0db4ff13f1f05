"""How backups of an instance are made, which is as it is; and those that are left of one that is gone.

Source: SDK `show_backup_config`, `change_backup_config`, `query_new_backup_encryption`, `show_incre_backup_policy1`,
`list_retain_backups`.
"""

from typing import Annotated

import msgspec
from litestar import Response, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.backup import BackupType
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import is_instance_id
from openrds.domain.lengths import Text
from openrds.domain.rules import check_one_of
from openrds.domain.task import format_time
from openrds.operations.intake.intake import Intake
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("backups")
_TAGS = ["Backups"]

_PHYSICAL = "PHYSICALBACKUP"
_METHODS = ("EBACKUP", _PHYSICAL)
#: A server that is written to has a file of its log archived at least that often, where it has one archived at times.
_LOG_MINUTES = 5
#: What the contract calls backups by the policy, and by hand.
_KINDS = {BackupType.AUTO: "Db", BackupType.MANUAL: "Snapshot"}


class BackupConfigAnswer(msgspec.Struct):
    default_backup_method: str = _PHYSICAL


class SetBackupConfig(msgspec.Struct):
    default_backup_method: Text


class EncryptionAnswer(msgspec.Struct):
    """Of the backups on the host. What goes to a backup repository is encrypted in any case."""

    enabled: bool = False


class LogPolicy(msgspec.Struct):
    """`interval` in minutes; 0 where a file is archived when it is full, and not before."""

    interval: int


class LogPolicyAnswer(msgspec.Struct):
    incre_backup_policy: LogPolicy


class RetainedBackup(msgspec.Struct):
    """`size` is in KB."""

    name: str
    id: str
    type: str
    begin_time: str
    end_time: str
    size: str
    describe: str
    backup_method: str = "Physics"
    tde: bool = False


class RetainedBackupsAnswer(msgspec.Struct):
    backups: list[RetainedBackup]
    total: int


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/backups/config",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_backup_config(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> BackupConfigAnswer:
    """How base backups are made: the files of the server are copied."""
    await find_instance(request, project_id, instance_id)
    return BackupConfigAnswer()


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/backups/config",
    responses=refusals(ErrorCode.NOT_OFFERED, body=True, instance=True),
    tags=_TAGS,
)
async def set_backup_config(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[SetBackupConfig],
) -> Response[BackupConfigAnswer]:
    """`PHYSICALBACKUP` is accepted; snapshots of volumes (`EBACKUP`) are not made."""

    def work(intake: Intake) -> BackupConfigAnswer:
        intake.instance(instance_id)
        check_one_of("default_backup_method", data.default_backup_method, _METHODS)
        if data.default_backup_method != _PHYSICAL:
            raise Refusal(ErrorCode.NOT_OFFERED, f"Base backups are copies of files: {_PHYSICAL}.")
        return BackupConfigAnswer()

    return await change(request, work)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/backups/encryption",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_encryption(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> EncryptionAnswer:
    """Whether its backups are encrypted on the host: they are not."""
    await find_instance(request, project_id, instance_id)
    return EncryptionAnswer()


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/incre-backup/policy",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_log_policy(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> LogPolicyAnswer:
    """How often the log of a server that is written to is archived at least."""
    instance = await find_instance(request, project_id, instance_id)
    at_times = not RULES[instance.engine].keeps_log or service_of(request).settings.backup_repository
    return LogPolicyAnswer(LogPolicy(_LOG_MINUTES if at_times else 0))


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/retain-backups",
    responses=refusals(ErrorCode.INSTANCE_ID_FORMAT),
    tags=_TAGS,
)
async def list_retained_backups(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 10,
) -> RetainedBackupsAnswer:
    """The backups that are left of a deleted instance, newest first; none of one that is there."""
    if not is_instance_id(instance_id):
        raise Refusal(ErrorCode.INSTANCE_ID_FORMAT)
    key = {"project_id": project_id, "instance_id": instance_id, "offset": offset, "limit": limit}
    rows = await service_of(request).reads.rows(_sql.list_retained, key)
    found = [_retained(row) for row in rows if row["id"] is not None]
    return RetainedBackupsAnswer(found, rows[0]["total_count"])


def _retained(row: Row) -> RetainedBackup:
    return RetainedBackup(
        name=row["name"],
        id=row["id"],
        type=_KINDS[row["type"]],
        begin_time=format_time(row["begin_time"]),
        end_time=format_time(row["end_time"]),
        size=str(row["size_kb"]),
        describe=row["description"],
    )


HANDLERS = [show_backup_config, set_backup_config, show_encryption, show_log_policy, list_retained_backups]
