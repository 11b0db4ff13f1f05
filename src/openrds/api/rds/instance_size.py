"""How large an instance is and may become. Source: reads.md 2.4 and 9."""

from typing import Annotated

import msgspec
from litestar import Response, get, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds.catalogue import status_of_flavors
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.rds.instance_changes import Done
from openrds.api.rds.instance_policies import Successful
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.capacity import GB
from openrds.domain.errors import ErrorCode
from openrds.domain.flavor import GROUP_TYPES, Flavor, find_flavor, flavors_of
from openrds.domain.instance_values import Instance, Node
from openrds.domain.rules import VOLUME_SIZES, check_one_of
from openrds.engines.protocol import Size
from openrds.operations.instances import instance_changes as changes
from openrds.operations.instances import set_read_only
from openrds.operations.intake.intake import Intake
from openrds.store.instances import node_of
from openrds.store.queries import Queries

_sql = Queries("instances")
_TAGS = ["Instances"]
_MODES = ("single", "ha", "replica")


class OptionalFlavor(msgspec.Struct):
    """All but the zones are strings. `max_connection` is what servers allow by themselves; the rest is not stated."""

    vcpus: str
    ram: str
    spec_code: str
    az_status: dict[str, str]
    group_type: str
    is_ipv6_supported: bool = False
    type_code: str = ""
    max_connection: str = ""
    tps: str = ""
    qps: str = ""
    min_volume_size: str = str(VOLUME_SIZES.start)
    max_volume_size: str = str(VOLUME_SIZES.stop - 1)


class OptionalFlavorsAnswer(msgspec.Struct):
    optional_flavors: list[OptionalFlavor]
    total_count: int


class ComputeFlavor(msgspec.Struct):
    """`ram` in GB."""

    id: str
    code: str
    vcpus: str
    ram: str
    az_status: dict[str, str]


class FlavorGroup(msgspec.Struct):
    group_type: str
    compute_flavors: list[ComputeFlavor]


class FlavorGroupsAnswer(msgspec.Struct):
    flavor_groups: list[FlavorGroup]


class VolumeEntry(msgspec.Struct):
    """`size` in GB; `used` in GB with two decimals, empty before it was first measured."""

    node_id: str
    role: str
    type: str
    size: str
    used: str


class VolumesAnswer(msgspec.Struct):
    """The contract names the call, and not what it answers."""

    instance_id: str
    volumes: list[VolumeEntry]


class UsedSpaceAnswer(msgspec.Struct):
    """`used` in GB, with two decimals."""

    node_id: str
    used: str


class AutoExpansionAnswer(msgspec.Struct):
    """All 0 for a volume that does not grow by itself; `step_percent` only where one was given."""

    switch_option: bool = False
    limit_size: int = 0
    trigger_threshold: int = 0
    step_percent: int | msgspec.UnsetType = msgspec.UNSET


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/available-flavors",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_available_flavors(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    availability_zone_ids: FromQuery[str | None] = None,
    ha_mode: FromQuery[str | None] = None,
    spec_code_like: FromQuery[str | None] = None,
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> OptionalFlavorsAnswer:
    """The flavors that the instance could be changed to; `sellout` are those that no host can hold."""
    instance = await find_instance(request, project_id, instance_id)
    if ha_mode:
        check_one_of("ha_mode", ha_mode, _MODES)
    zones = service_of(request).settings.availability_zones
    if availability_zone_ids:
        zones = tuple(zone for zone in availability_zone_ids.split(",") if zone in zones)
    status = await status_of_flavors(request)
    offered = [
        _optional(
            flavor,
            {zone: found for zone, found in status(flavor).items() if zone in zones},
            _connections(request, instance, flavor),
        )
        for flavor in _others(instance)
        if ha_mode in (None, "", flavor.instance_mode)
        and (spec_code_like or "") in flavor.spec_code
        and zones
    ]
    return OptionalFlavorsAnswer(offered[offset : offset + limit], len(offered))


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/flavors-resize",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_flavors_to_resize(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> FlavorGroupsAnswer:
    """The same by families."""
    others = _others(await find_instance(request, project_id, instance_id))
    status = await status_of_flavors(request)
    groups = [
        (group, [_compute(flavor, status(flavor)) for flavor in others if flavor.group_type == group])
        for group in GROUP_TYPES
    ]
    return FlavorGroupsAnswer([FlavorGroup(group, found) for group, found in groups if found])


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/volumes",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_volumes(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> VolumesAnswer:
    """The volume of each node, and how full it is, as last measured."""
    instance = await find_instance(request, project_id, instance_id)
    rows = await service_of(request).reads.rows(_sql.nodes_of_instance, [instance_id])
    return VolumesAnswer(instance_id, [_volume(instance, node) for node in map(node_of, rows)])


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/storage-used-space",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_used_space(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> UsedSpaceAnswer:
    """What is on the volume of the primary, as last measured: half a minute ago at most."""
    await find_instance(request, project_id, instance_id)
    rows = await service_of(request).reads.rows(_sql.nodes_of_instance, [instance_id])
    if not rows:
        return UsedSpaceAnswer("", "0.00")
    primary = node_of(rows[0])
    return UsedSpaceAnswer(primary.id, f"{(primary.used_bytes or 0) / GB:.2f}")


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/disk-auto-expansion",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_auto_expansion(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> AutoExpansionAnswer:
    """Whether the volume grows by itself, and how."""
    growth = (await find_instance(request, project_id, instance_id)).growth
    if growth is None:
        return AutoExpansionAnswer(step_percent=0)
    step = msgspec.UNSET if growth.step_percent is None else growth.step_percent
    return AutoExpansionAnswer(True, growth.limit_size, growth.trigger_threshold, step)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/disk-auto-expansion",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_auto_expansion(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.SetVolumeGrowth],
) -> Response[Done]:
    """Have the volume grow by itself when little of it is free, or no more."""

    def work(intake: Intake) -> Done:
        changes.set_volume_growth(intake, instance_id, data)
        return Done()

    return await change(request, work)


def _others(instance: Instance) -> list[Flavor]:
    """The flavors that an instance could have instead of its own."""
    present = find_flavor(instance.engine, instance.flavor_ref)
    return [
        flavor
        for flavor in flavors_of(instance.engine)
        if present is not None and flavor.instance_type is present.instance_type and flavor != present
    ]


def _compute(flavor: Flavor, status: dict[str, str]) -> ComputeFlavor:
    return ComputeFlavor(flavor.id, flavor.spec_code, str(flavor.vcpus), str(flavor.memory_gb), status)


def _volume(instance: Instance, node: Node) -> VolumeEntry:
    return VolumeEntry(
        node_id=node.id,
        role=node.role,
        type=instance.volume_type,
        size=str(instance.volume_size),
        used="" if node.used_bytes is None else f"{node.used_bytes / GB:.2f}",
    )


def _connections(request: ApiRequest, instance: Instance, flavor: Flavor) -> str:
    """Not stated where large flavors are as large as their host."""
    service = service_of(request)
    engine = service.sight.engines.get(instance.engine) if service.sight else None
    if engine is None or service.settings.flavors == "scaled":
        return ""
    size = Size(memory_mb=flavor.memory_mb, vcpus=flavor.vcpus)
    return engine.parameters.derived(size, instance.options).get("max_connections", "")


def _optional(flavor: Flavor, status: dict[str, str], connections: str) -> OptionalFlavor:
    return OptionalFlavor(
        vcpus=str(flavor.vcpus),
        ram=str(flavor.memory_gb),
        spec_code=flavor.spec_code,
        az_status=status,
        group_type=flavor.group_type,
        max_connection=connections,
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/readonly-status",
    responses=refusals(ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def set_readonly_status(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[set_read_only.SetReadOnly],
) -> Response[JobIdAnswer]:
    """Keep its clients from changing anything, or let them again."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(set_read_only.submit(intake, instance_id, data)))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/unlock-node-readonly-status",
    responses=refusals(ErrorCode.STATUS_FORBIDS, body=True, instance=True),
    tags=_TAGS,
)
async def unlock(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.Unlock],
) -> Response[Successful]:
    """Let clients write for some minutes although its volume is full, so that they can delete something."""

    def work(intake: Intake) -> Successful:
        changes.unlock(intake, instance_id, data)
        return Successful()

    return await change(request, work)


HANDLERS = [
    list_available_flavors,
    list_flavors_to_resize,
    list_volumes,
    show_used_space,
    show_auto_expansion,
    set_auto_expansion,
    set_readonly_status,
    unlock,
]
