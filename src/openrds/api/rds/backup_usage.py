"""How much space the backups of a project take. Source: reads.md 3.4, SDK `list_instance_backup_summary`."""

from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("backups")
_TAGS = ["Backups"]
_KB_PER_MB = 1024


class SummaryDatastore(msgspec.Struct):
    type: str
    version: str


class Space(msgspec.Struct):
    """In MB: `db` is that of full backups."""

    db: float


class BackupSummary(msgspec.Struct):
    """`backup_used_space` in MB. The archive of log is not counted."""

    instance_id: str
    name: str
    backup_used_space: float
    datastore: SummaryDatastore
    space: Space


class BackupSummariesAnswer(msgspec.Struct):
    infos: list[BackupSummary]
    total: int


class BackupUsageAnswer(msgspec.Struct):
    """In MB: of all backups, of full ones, and of two kinds that there are not. The archive of log is not counted."""

    backup_use_space: float
    db_use_space: float
    rds_snapshot_use_space: float = 0.0
    offsite_use_space: float = 0.0


@get("/v3/{project_id:str}/instances/backups/summary", responses=refusals(ErrorCode.ENGINE), tags=_TAGS)
async def list_backup_summaries(
    request: ApiRequest,
    project_id: FromPath[str],
    engine: FromQuery[str | None] = None,
    order_field: FromQuery[Literal["backup_used_space"] | None] = None,
    order_rule: FromQuery[Literal["ASC", "DESC"] | None] = None,
    instance_id: FromQuery[str | None] = None,
    instance_name: FromQuery[str | None] = None,
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=50)] = 10,
) -> BackupSummariesAnswer:
    """What the backups of each instance take, the most first; also of one that is gone and has manual ones."""
    rows = await service_of(request).reads.rows(
        _sql.usage_by_instance,
        {
            "project_id": project_id,
            "engine": _engine(engine),
            "instance_id": instance_id or None,
            "instance_name": instance_name or None,
            "ascending": order_rule == "ASC",
            "offset": offset,
            "limit": limit,
        },
    )
    return BackupSummariesAnswer(
        [_summary(row) for row in rows if row["instance_id"] is not None], rows[0]["total_count"]
    )


@get("/v3/{project_id:str}/backups/backup-usage", responses=refusals(ErrorCode.ENGINE), tags=_TAGS)
async def show_backup_usage(
    request: ApiRequest, project_id: FromPath[str], engine: FromQuery[str | None] = None
) -> BackupUsageAnswer:
    """What all backups of the project take."""
    row = await service_of(request).reads.row(
        _sql.usage, {"project_id": project_id, "engine": _engine(engine)}
    )
    assert row is not None
    used = _megabytes(row["size_kb"])
    return BackupUsageAnswer(used, used)


def _engine(text: str | None) -> EngineName | None:
    engine = EngineName.parse(text) if text else None
    if text and engine is None:
        raise Refusal(ErrorCode.ENGINE, f"The engine must be one of {', '.join(EngineName)}.")
    return engine


def _summary(row: Row) -> BackupSummary:
    used = _megabytes(row["size_kb"])
    return BackupSummary(
        instance_id=row["instance_id"],
        name=row["instance_name"],
        backup_used_space=used,
        datastore=SummaryDatastore(row["engine"], row["version"]),
        space=Space(used),
    )


def _megabytes(size_kb: int) -> float:
    return round(size_kb / _KB_PER_MB, 2)


HANDLERS = [list_backup_summaries, show_backup_usage]
