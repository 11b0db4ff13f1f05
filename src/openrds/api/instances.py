"""Instances: create, list, act, delete. Source: operations.md 3, 4 and 8, reads.md 1.1."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from openrds.api.changes import change
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import find_flavor
from openrds.domain.instance import InstanceType
from openrds.domain.task import format_time
from openrds.operations import create_instance, delete_instance, restart_instance
from openrds.operations.creation import CreateInstance, NewInstance
from openrds.operations.intake import Intake
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("instances")

MAX_TAG_FILTERS = 10


class CreatedDatastore(msgspec.Struct):
    type: str
    version: str


class CreatedVolume(msgspec.Struct):
    type: str
    size: int


class CreatedBackupStrategy(msgspec.Struct):
    start_time: str
    keep_days: int


class CreatedChargeInfo(msgspec.Struct):
    charge_mode: str = "postPaid"


class CreatedInstance(msgspec.Struct):
    """`port` is a string here, and an integer in the list."""

    id: str
    name: str
    status: str
    datastore: CreatedDatastore
    port: str
    flavor_ref: str
    volume: CreatedVolume
    region: str
    availability_zone: str
    vpc_id: str
    subnet_id: str
    security_group_id: str
    backup_strategy: CreatedBackupStrategy
    charge_info: CreatedChargeInfo


class CreatedAnswer(msgspec.Struct, omit_defaults=True):
    """Both fields are left out after a dry run."""

    instance: CreatedInstance | UnsetType = UNSET
    job_id: str | UnsetType = UNSET


class JobIdAnswer(msgspec.Struct):
    job_id: str


class Restart(msgspec.Struct):
    """`restart_server` and `forcible` make no difference here; `delay` is not offered yet."""

    restart_server: bool | None = None
    forcible: bool | None = None
    delay: bool = False


class InstanceAction(msgspec.Struct):
    """Exactly one key says what to do."""

    restart: Restart | UnsetType = UNSET
    enlarge_volume: dict[str, Any] | UnsetType = UNSET
    reduce_volume: dict[str, Any] | UnsetType = UNSET
    resize_flavor: dict[str, Any] | UnsetType = UNSET
    single_to_ha: dict[str, Any] | UnsetType = UNSET
    change_volume: dict[str, Any] | UnsetType = UNSET


class Datastore(msgspec.Struct):
    type: str
    version: str
    complete_version: str


class HaMode(msgspec.Struct):
    replication_mode: str


class Node(msgspec.Struct):
    id: str
    name: str
    role: str
    status: str
    availability_zone: str


class RelatedInstance(msgspec.Struct):
    id: str
    type: str


class TagPair(msgspec.Struct):
    key: str
    value: str


class ListedInstance(msgspec.Struct, omit_defaults=True):
    """`cpu` and `mem` (GB) are strings; times are empty while the instance is being built."""

    id: str
    name: str
    alias: str
    status: str
    type: str
    created: str
    updated: str
    datastore: Datastore
    port: int
    private_ips: list[str]
    public_ips: list[str]
    private_dns_names: list[str]
    public_dns_names: list[str]
    db_user_name: str
    enable_ssl: bool
    vpc_id: str
    subnet_id: str
    security_group_id: str
    region: str
    flavor_ref: str
    cpu: str
    mem: str
    volume: CreatedVolume
    disk_encryption_id: str
    switch_strategy: str
    backup_strategy: CreatedBackupStrategy
    maintenance_window: str
    nodes: list[Node]
    related_instance: list[RelatedInstance]
    enterprise_project_id: str
    charge_info: CreatedChargeInfo
    time_zone: str
    tags: list[TagPair]
    read_only_by_user: bool
    associated_with_ddm: bool
    ha: HaMode | UnsetType = UNSET


class InstancesAnswer(msgspec.Struct):
    instances: list[ListedInstance]
    total_count: int


@post(
    "/v3/{project_id:str}/instances",
    status_code=202,
    responses=refusals(
        ErrorCode.NAME,
        ErrorCode.NAME_TAKEN,
        ErrorCode.ENGINE,
        ErrorCode.DATASTORE,
        ErrorCode.DATASTORE_VERSION,
        ErrorCode.HA_MODE,
        ErrorCode.REPLICATION_MODE,
        ErrorCode.FLAVOR,
        ErrorCode.VOLUME_TYPE,
        ErrorCode.VOLUME_SIZE,
        ErrorCode.VOLUME_MULTIPLE,
        ErrorCode.REGION,
        ErrorCode.AVAILABILITY_ZONE,
        ErrorCode.VPC,
        ErrorCode.SUBNET,
        ErrorCode.SECURITY_GROUP,
        ErrorCode.PASSWORD,
        ErrorCode.REPLICA_SOURCE,
        ErrorCode.CONFIGURATION,
        ErrorCode.BACKUP_WINDOW,
        ErrorCode.BACKUP_KEEP_DAYS,
        ErrorCode.DISK_ENCRYPTION,
        ErrorCode.TOO_MANY_TAGS,
        ErrorCode.DUPLICATE_TAG,
        ErrorCode.QUOTA,
        ErrorCode.STORAGE_SOLD_OUT,
        body=True,
    ),
    tags=["Instances"],
)
async def create(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[CreateInstance]
) -> Response[CreatedAnswer]:
    """Create a single instance."""
    region = service_of(request).settings.region

    def work(intake: Intake) -> CreatedAnswer:
        planned, task_id = create_instance.submit(intake, data)
        return CreatedAnswer() if task_id is None else CreatedAnswer(_created(planned, region), str(task_id))

    return await change(request, work, status=202)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/action",
    status_code=202,
    responses=refusals(body=True, instance=True),
    tags=["Instances"],
)
async def act(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[InstanceAction]
) -> Response[JobIdAnswer]:
    """Do one thing to an instance: `restart`."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(_submit_action(intake, instance_id, data)))

    return await change(request, work, status=202)


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}",
    status_code=202,
    responses=refusals(instance=True),
    tags=["Instances"],
)
async def remove(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> Response[JobIdAnswer]:
    """Delete an instance with its data."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(delete_instance.submit(intake, instance_id)))

    return await change(request, work, status=202)


@get("/v3/{project_id:str}/instances", responses=refusals(), tags=["Instances"])
async def list_instances(
    request: ApiRequest,
    project_id: FromPath[str],
    id_: Annotated[str | None, QueryParameter(name="id", description="A leading `*` finds a part.")] = None,
    name: Annotated[str | None, QueryParameter(description="A leading `*` finds a part.")] = None,
    type_: Annotated[InstanceType | None, QueryParameter(name="type")] = None,
    datastore_type: FromQuery[EngineName | None] = None,
    eps_id: FromQuery[str | None] = None,
    vpc_id: FromQuery[str | None] = None,
    subnet_id: FromQuery[str | None] = None,
    tags: Annotated[str | None, QueryParameter(description="`key=value` pairs, parted by commas.")] = None,
    group_type: FromQuery[str | None] = None,
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> InstancesAnswer:
    """The project's instances, newest first. All filters must match."""
    service = service_of(request)
    id_exact, id_part = _exact_or_part("id", id_)
    name_exact, name_part = _exact_or_part("name", name)
    parameters: dict[str, Any] = {
        "project_id": project_id,
        "id": id_exact,
        "id_part": id_part,
        "name": name_exact,
        "name_part": name_part,
        "type": type_,
        "engine": datastore_type,
        "eps_id": eps_id or None,
        "vpc_id": vpc_id or None,
        "subnet_id": subnet_id or None,
        "tags": _tag_filter(tags),
        "limit": limit,
        "offset": offset,
    }
    if group_type == "flexus":
        # The light-weight kind, which openrds does not have (reads.md 1.1).
        return InstancesAnswer([], 0)
    count = await service.reads.row(_sql.count_listed, parameters)
    rows = await service.reads.rows(_sql.list_instances, parameters)
    assert count is not None
    return InstancesAnswer([_listed(row, service.settings.region) for row in rows], count["total_count"])


def _submit_action(intake: Intake, instance_id: FromPath[str], action: InstanceAction) -> UUID:
    asked = [field for field in action.__struct_fields__ if getattr(action, field) is not UNSET]
    if len(asked) != 1:
        raise Refusal(ErrorCode.PARAMETER, "The body must have exactly one action, such as restart.")
    if isinstance(action.restart, UnsetType):
        raise Refusal(ErrorCode.PARAMETER, f"{asked[0]} is not offered by this openrds.")
    if action.restart.delay:
        raise Refusal(ErrorCode.PARAMETER, "restart.delay is not offered by this openrds; leave it out.")
    return restart_instance.submit(intake, instance_id)


def _created(planned: NewInstance, region: str) -> CreatedInstance:
    columns = planned.columns
    return CreatedInstance(
        id=columns["id"],
        name=columns["name"],
        status="BUILD",
        datastore=CreatedDatastore(columns["engine"], columns["version"]),
        port=str(columns["port"]),
        flavor_ref=columns["flavor_ref"],
        volume=CreatedVolume(columns["volume_type"], columns["volume_size"]),
        region=region,
        availability_zone=columns["availability_zone"],
        vpc_id=columns["vpc_id"],
        subnet_id=columns["subnet_id"],
        security_group_id=columns["security_group_id"],
        backup_strategy=CreatedBackupStrategy(columns["backup_start_time"], columns["backup_keep_days"]),
        charge_info=CreatedChargeInfo(),
    )


def _listed(row: Row, region: str) -> ListedInstance:
    engine = EngineName(row["engine"])
    flavor = find_flavor(engine, row["flavor_ref"])
    building = row["status"] == "BUILD"
    return ListedInstance(
        id=row["id"],
        name=row["name"],
        alias=row["alias"],
        status=row["status"],
        type=row["type"],
        created="" if building else format_time(row["created_at"]),
        updated="" if building else format_time(row["updated_at"]),
        datastore=Datastore(row["engine"], row["version"], row["complete_version"]),
        port=row["port"],
        private_ips=[node["address"] for node in row["nodes"] if node["address"]],
        public_ips=[],
        private_dns_names=[],
        public_dns_names=[],
        db_user_name=RULES[engine].administrator,
        enable_ssl=False,
        vpc_id=row["vpc_id"],
        subnet_id=row["subnet_id"],
        security_group_id=row["security_group_id"],
        region=region,
        flavor_ref=row["flavor_ref"],
        cpu=str(flavor.vcpus) if flavor else "",
        mem=str(flavor.memory_gb) if flavor else "",
        volume=CreatedVolume(row["volume_type"], row["volume_size"]),
        disk_encryption_id=row["disk_encryption_id"],
        switch_strategy=row["switch_strategy"],
        backup_strategy=CreatedBackupStrategy(row["backup_start_time"], row["backup_keep_days"]),
        maintenance_window=row["maintenance_window"],
        nodes=[_node(node, row["status"]) for node in row["nodes"]],
        related_instance=[],
        enterprise_project_id=row["enterprise_project_id"],
        charge_info=CreatedChargeInfo(),
        time_zone=row["time_zone"],
        tags=[TagPair(tag["key"], tag["value"]) for tag in row["tags"]],
        read_only_by_user=False,
        associated_with_ddm=False,
        ha=HaMode(row["replication_mode"]) if row["replication_mode"] else UNSET,
    )


def _node(node: Row, status: str) -> Node:
    return Node(node["id"], node["name"], node["role"], status, node["availability_zone"])


def _exact_or_part(field: str, value: str | None) -> tuple[str | None, str | None]:
    """A value to match exactly, or with a leading `*` a part to find."""
    if not value:
        return None, None
    if not value.startswith("*"):
        return value, None
    if value == "*":
        raise Refusal(ErrorCode.PARAMETER, f"{field} must have something after the `*`.")
    return None, value[1:]


def _tag_filter(tags: str | None) -> str:
    """The pairs as JSON, for a containment test."""
    pairs = [pair.partition("=") for pair in (tags or "").split(",") if pair]
    if len(pairs) > MAX_TAG_FILTERS:
        raise Refusal(ErrorCode.PARAMETER, f"tags may have at most {MAX_TAG_FILTERS} pairs.")
    wanted = [{"key": key, "value": value} if value else {"key": key} for key, _, value in pairs]
    return msgspec.json.encode(wanted).decode()


HANDLERS = [create, act, remove, list_instances]
