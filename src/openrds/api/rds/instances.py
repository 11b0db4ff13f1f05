"""Instances: create, list, delete. Source: operations.md 3 and 4, reads.md 1.1."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET

from openrds.api.changes import change
from openrds.api.rds import instance_bodies as bodies
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.api.waiting import PATIENCE
from openrds.domain.capacity import GB
from openrds.domain.dns_names import dns_name
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import find_flavor
from openrds.domain.instance import InstanceStatus, InstanceType, is_instance_id
from openrds.domain.network import ALL_ENTERPRISE_PROJECTS
from openrds.domain.settings import Settings
from openrds.domain.task import format_time
from openrds.operations.backups import restore_new_instance
from openrds.operations.instances import create_instance, delete_instance
from openrds.operations.intake.create_request import CreateInstance
from openrds.operations.intake.instance_plan import NewInstance
from openrds.operations.intake.intake import Intake
from openrds.operations.pairs import create_replica
from openrds.store.instances import Listed, ListedNode, listed_of
from openrds.store.queries import Queries

_sql = Queries("instances")

MAX_TAG_FILTERS = 10


@post(
    "/v3/{project_id:str}/instances",
    status_code=202,
    responses=refusals(
        ErrorCode.NAME,
        ErrorCode.ENGINE,
        ErrorCode.DATASTORE,
        ErrorCode.DATASTORE_VERSION,
        ErrorCode.HA_MODE,
        ErrorCode.REPLICATION_MODE,
        ErrorCode.FLAVOR,
        ErrorCode.FLAVOR_SOLD_OUT,
        ErrorCode.VOLUME_TYPE,
        ErrorCode.VOLUME_SIZE,
        ErrorCode.VOLUME_MULTIPLE,
        ErrorCode.REGION,
        ErrorCode.AVAILABILITY_ZONE,
        ErrorCode.ZONE_COMBINATION,
        ErrorCode.VPC,
        ErrorCode.SUBNET,
        ErrorCode.SECURITY_GROUP,
        ErrorCode.PASSWORD,
        ErrorCode.CONFIGURATION,
        ErrorCode.PARAMETER_RANGE,
        ErrorCode.PARAMETER_VALUE,
        ErrorCode.BACKUP_WINDOW,
        ErrorCode.BACKUP_KEEP_DAYS,
        ErrorCode.DISK_ENCRYPTION,
        ErrorCode.TOO_MANY_TAGS,
        ErrorCode.DUPLICATE_TAG,
        ErrorCode.QUOTA,
        ErrorCode.STORAGE_SOLD_OUT,
        ErrorCode.RESTORE_SOURCE,
        ErrorCode.RESTORE_VOLUME,
        ErrorCode.BACKUP_NOT_FOUND,
        ErrorCode.REPLICA_SOURCE,
        ErrorCode.TOO_MANY_REPLICAS,
        ErrorCode.INSTANCE_NOT_FOUND,
        ErrorCode.INSTANCE_ID_FORMAT,
        ErrorCode.INSTANCE_BUSY,
        ErrorCode.STATUS_FORBIDS,
        ErrorCode.FROZEN,
        body=True,
    ),
    tags=["Instances"],
)
async def create(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[CreateInstance]
) -> Response[bodies.CreatedAnswer]:
    """Create an instance: with `ha` one that has a standby, with `replica_of_id` a read replica, or a restored one."""
    region = service_of(request).settings.region

    def work(intake: Intake) -> bodies.CreatedAnswer:
        planned, task_id = _submit(intake, data)
        return (
            bodies.CreatedAnswer()
            if task_id is None
            else bodies.CreatedAnswer(_created(planned, region), str(task_id))
        )

    return await change(request, work, status=202)


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}",
    status_code=202,
    responses=refusals(instance=True),
    tags=["Instances"],
)
async def remove(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> Response[bodies.JobIdAnswer]:
    """Delete an instance with its data. Read replicas of it that are just being deleted are waited for."""
    await _replicas_deleted(request, project_id, instance_id)

    def work(intake: Intake) -> bodies.JobIdAnswer:
        return bodies.JobIdAnswer(str(delete_instance.submit(intake, instance_id)))

    return await change(request, work, status=202)


async def _replicas_deleted(request: ApiRequest, project_id: str, instance_id: str) -> None:
    """Scripts that clean up delete a primary right after its read replicas."""
    if not is_instance_id(instance_id):
        return  # the change says so
    service = service_of(request)
    key = {"id": instance_id, "project_id": project_id}
    for task in await service.reads.rows(_sql.deletions_of_replicas, key):
        await service.running_tasks.wait(project_id, task["id"], PATIENCE)


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
) -> bodies.InstancesAnswer:
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
        "eps_id": None if eps_id in ("", ALL_ENTERPRISE_PROJECTS) else eps_id,
        "vpc_id": vpc_id or None,
        "subnet_id": subnet_id or None,
        "tags": _tag_filter(tags),
        "limit": limit,
        "offset": offset,
    }
    if group_type == "flexus":
        # The light-weight kind, which openrds does not have (reads.md 1.1).
        return bodies.InstancesAnswer([], 0)
    rows = await service.reads.rows(_sql.list_instances, parameters)
    listed = [_listed(listed_of(row), service.settings) for row in rows if row["id"] is not None]
    if id_exact:
        for one in listed:
            await _add_spaces(request, project_id, one)
    return bodies.InstancesAnswer(listed, rows[0]["total_count"])


async def _add_spaces(request: ApiRequest, project_id: str, listed: bodies.ListedInstance) -> None:
    key = {"id": listed.id, "project_id": project_id}
    space = await service_of(request).reads.row(_sql.space_of_instance, key)
    if space is None:
        return  # it has just gone
    listed.backup_used_space = round(space["backup_kb"] * 1024 / GB, 2)
    if space["used_bytes"] is not None:
        listed.storage_used_space = round(space["used_bytes"] / GB, 2)


def _submit(intake: Intake, request: CreateInstance) -> tuple[NewInstance, UUID | None]:
    if request.restore_point:
        return restore_new_instance.submit(intake, request)
    if request.replica_of_id:
        return create_replica.submit(intake, request)
    return create_instance.submit(intake, request)


def _created(planned: NewInstance, region: str) -> bodies.CreatedInstance:
    spec = planned.spec
    return bodies.CreatedInstance(
        id=spec.id,
        name=spec.name,
        status="BUILD",
        datastore=bodies.CreatedDatastore(spec.engine, spec.version),
        port=str(spec.port),
        flavor_ref=spec.flavor_ref,
        volume=bodies.CreatedVolume(spec.volume_type, spec.volume_size),
        region=region,
        availability_zone=spec.availability_zone,
        vpc_id=spec.vpc_id,
        subnet_id=spec.subnet_id,
        security_group_id=spec.security_group_id,
        backup_strategy=bodies.CreatedBackupStrategy(spec.backup_start_time, spec.backup_keep_days),
        charge_info=bodies.CreatedChargeInfo(),
        ha=bodies.CreatedHa(spec.replication_mode) if spec.replication_mode else UNSET,
        configuration_id=spec.configuration_id or UNSET,
    )


def _listed(one: Listed, settings: Settings) -> bodies.ListedInstance:
    instance = one.instance
    flavor = find_flavor(instance.engine, instance.flavor_ref)
    name = dns_name(instance.dns_label, settings)
    building = instance.status is InstanceStatus.BUILD
    return bodies.ListedInstance(
        id=instance.id,
        name=instance.name,
        alias=instance.alias,
        status=instance.status,
        type=instance.type,
        created="" if building else format_time(instance.created_at),
        updated="" if building else format_time(instance.updated_at),
        datastore=bodies.Datastore(instance.engine, instance.version, instance.complete_version),
        port=instance.port,
        private_ips=[instance.address] if instance.address else [],
        public_ips=[one.public_address] if one.public_address else [],
        private_dns_names=[name] if name else [],
        public_dns_names=[],
        db_user_name=RULES[instance.engine].administrator,
        enable_ssl=instance.ssl,
        vpc_id=instance.vpc_id,
        subnet_id=instance.subnet_id,
        security_group_id=instance.security_group_id,
        region=settings.region,
        flavor_ref=instance.flavor_ref,
        cpu=str(flavor.vcpus) if flavor else "",
        mem=str(flavor.memory_gb) if flavor else "",
        volume=bodies.CreatedVolume(instance.volume_type, instance.volume_size),
        disk_encryption_id=instance.disk_encryption_id,
        switch_strategy=instance.switch_strategy or "",
        backup_strategy=bodies.CreatedBackupStrategy(instance.backup_start_time, instance.backup_keep_days),
        maintenance_window=instance.maintenance_window,
        nodes=[_node(node, instance.status) for node in one.nodes],
        related_instance=_related(one),
        enterprise_project_id=instance.enterprise_project_id,
        charge_info=bodies.CreatedChargeInfo(),
        time_zone=instance.time_zone,
        tags=[bodies.TagPair(key, value) for key, value in instance.tags.items()],
        read_only_by_user=instance.read_only,
        associated_with_ddm=False,
        ha=bodies.HaMode(instance.replication_mode) if instance.replication_mode else UNSET,
    )


def _related(one: Listed) -> list[bodies.RelatedInstance]:
    primary_id = one.instance.replica_of
    primary = [bodies.RelatedInstance(primary_id, "replica_of")] if primary_id else []
    return primary + [bodies.RelatedInstance(replica, "replica") for replica in one.replicas]


def _node(node: ListedNode, status: str) -> bodies.Node:
    return bodies.Node(node.id, node.name, node.role, status, node.availability_zone)


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


HANDLERS = [create, remove, list_instances]
