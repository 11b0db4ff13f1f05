"""The recycle bin: for how long deleted instances are kept, and which there are. Source: reads.md 11."""

from typing import Annotated

import msgspec
from litestar import Response, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.task import format_time
from openrds.operations.instances.recycle_policy import RecyclePolicy, set_recycle_policy
from openrds.operations.intake.intake import Intake
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("backups")
_TAGS = ["Recycle bin"]


class SetRecyclePolicy(msgspec.Struct):
    recycle_policy: RecyclePolicy


class PolicySet(msgspec.Struct):
    result: str = "success"


class RecyclePolicyAnswer(msgspec.Struct):
    """For how many days a deleted instance can be had back; 0 where it cannot."""

    retention_period_in_days: int


class RecycledInstance(msgspec.Struct):
    """`recycle_backup_id` has its last state, and is restored to a new instance. `volume_size` in GB."""

    id: str
    name: str
    ha_mode: str
    engine_name: str
    engine_version: str
    created_at: str
    deleted_at: str
    volume_type: str
    volume_size: int
    data_vip: str
    enterprise_project_id: str
    retained_until: str
    recycle_backup_id: str
    recycle_status: str
    pay_model: str = "0"
    data_vip_v6: str = ""
    is_serverless: bool = False


class RecycleBinAnswer(msgspec.Struct):
    instances: list[RecycledInstance]
    total_count: int


@get("/v3/{project_id:str}/recycle-instances", responses=refusals(), tags=_TAGS)
async def list_recycled(
    request: ApiRequest,
    project_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=50)] = 50,
) -> RecycleBinAnswer:
    """Deleted instances that can be had back, the last deleted first."""
    key = {"project_id": project_id, "offset": offset, "limit": limit}
    rows = await service_of(request).reads.rows(_sql.list_recycled, key)
    found = [_recycled(row) for row in rows if row["id"] is not None]
    return RecycleBinAnswer(found, rows[0]["total_count"])


@get("/v3/{project_id:str}/instances/recycle-policy", responses=refusals(), tags=_TAGS)
async def show_recycle_policy(request: ApiRequest, project_id: FromPath[str]) -> RecyclePolicyAnswer:
    """For how many days deleted instances are kept: 0 where they are not."""
    (policy,) = await service_of(request).reads.rows(_sql.recycle_policy, [project_id])
    return RecyclePolicyAnswer(policy["recycle_days"] or 0)


@put("/v3/{project_id:str}/instances/recycle-policy", responses=refusals(body=True), tags=_TAGS)
async def put_recycle_policy(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[SetRecyclePolicy]
) -> Response[PolicySet]:
    """Keep instances that are deleted from now on for `1` to `7` days; `0` keeps none. What is kept already stays."""

    def work(intake: Intake) -> PolicySet:
        set_recycle_policy(intake, data.recycle_policy)
        return PolicySet()

    return await change(request, work)


class _Shown(msgspec.Struct, frozen=True):
    """What the store keeps to show of an instance that is gone."""

    type: str
    volume_type: str
    address: str | None
    created_at: str
    enterprise_project_id: str


def _recycled(row: Row) -> RecycledInstance:
    was = msgspec.convert(row["recycled"], _Shown)
    return RecycledInstance(
        id=row["instance_id"],
        name=row["instance_name"],
        ha_mode=was.type,
        engine_name=row["engine"],
        engine_version=row["version"],
        created_at=was.created_at,
        deleted_at=format_time(row["deleted_at"]),
        volume_type=was.volume_type,
        volume_size=row["volume_size"],
        data_vip=was.address or "",
        enterprise_project_id=was.enterprise_project_id,
        retained_until=format_time(row["retained_until"]),
        recycle_backup_id=row["id"],
        recycle_status=row["status"],
    )


HANDLERS = [list_recycled, show_recycle_policy, put_recycle_policy]
