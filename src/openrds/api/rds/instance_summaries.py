"""Instances in short: some, and how many are well. Source: reads.md 1.2, SDK `collect_instance_statistic`."""

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus as Status
from openrds.domain.lengths import Several, Text
from openrds.store.database import Row
from openrds.store.instances import instance_of
from openrds.store.queries import Queries

_sql = Queries("instances")
_TAGS = ["Instances"]

#: Every other status is that of an instance that is there to serve, or will be when its task has ended.
_SIMPLE = {
    Status.BUILD: "creating",
    Status.CREATE_FAIL: "createfail",
    Status.FAILED: "abnormal",
    Status.STORAGE_FULL: "data_disk_full",
    Status.SHUTDOWN: "shutdown",
}


class InstanceIds(msgspec.Struct):
    instance_ids: Several[Text]


class SimplifiedInstance(msgspec.Struct):
    """`current_actions` has the name of the task that holds it, `engine_name` is in lower case, `volume_size` in GB."""

    id: str
    name: str
    engine_name: str
    engine_version: str
    instance_status: str
    frozen: bool
    type: str
    pay_model: str
    spec_code: str
    availability_zone_ids: list[str]
    read_only_instances: list[str]
    current_actions: list[str]
    volume_type: str
    volume_size: int
    enterprise_project_id: str


class SimplifiedInstancesAnswer(msgspec.Struct):
    instances: list[SimplifiedInstance]


class StatisticAnswer(msgspec.Struct):
    """`total_num` counts also those that are in none of the others: being created, failed to be, and stopped."""

    total_num: int
    normal_num: int
    abnormal_num: int
    disk_full_num: int
    frozen_num: int
    wait_reboot_num: int


@post(
    "/v3/{project_id:str}/simplified-instances",
    status_code=200,
    responses=refusals(body=True),
    tags=_TAGS,
)
async def list_simplified(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[InstanceIds]
) -> SimplifiedInstancesAnswer:
    """Some of the project's instances, by their ids; those that are not there are left out."""
    rows = await service_of(request).reads.rows(
        _sql.simplified_instances, {"project_id": project_id, "ids": data.instance_ids}
    )
    return SimplifiedInstancesAnswer([_simplified(row) for row in rows])


@get("/v3/{project_id:str}/instances/statistic", responses=refusals(ErrorCode.ENGINE), tags=_TAGS)
async def show_statistic(
    request: ApiRequest, project_id: FromPath[str], engine: FromQuery[str | None] = None
) -> StatisticAnswer:
    """How many instances the project has, and how many of them are well."""
    name = EngineName.parse(engine) if engine else None
    if engine and name is None:
        raise Refusal(ErrorCode.ENGINE, f"The engine must be one of {', '.join(EngineName)}.")
    rows = await service_of(request).reads.rows(
        _sql.statuses_of_project, {"project_id": project_id, "engine": name}
    )
    counts = {Status(row["status"]): row["instances"] for row in rows}
    return StatisticAnswer(
        total_num=sum(counts.values()),
        normal_num=sum(count for status, count in counts.items() if _simple(status) == "normal"),
        abnormal_num=counts.get(Status.FAILED, 0),
        disk_full_num=counts.get(Status.STORAGE_FULL, 0),
        frozen_num=counts.get(Status.FROZEN, 0),
        wait_reboot_num=0,
    )


def _simple(status: Status) -> str:
    return "" if status is Status.FROZEN else _SIMPLE.get(status, "normal")


def _simplified(row: Row) -> SimplifiedInstance:
    instance = instance_of(row)
    return SimplifiedInstance(
        id=instance.id,
        name=instance.name,
        engine_name=instance.engine.lower(),
        engine_version=instance.version,
        instance_status=_SIMPLE.get(instance.status, "normal"),
        frozen=instance.status is Status.FROZEN,
        type=instance.type,
        pay_model="postPaid",
        spec_code=instance.flavor_ref,
        availability_zone_ids=instance.availability_zone.split(","),
        read_only_instances=row["replicas"],
        current_actions=row["actions"],
        volume_type=instance.volume_type,
        volume_size=instance.volume_size,
        enterprise_project_id=instance.enterprise_project_id,
    )


HANDLERS = [list_simplified, show_statistic]
