"""The catalogue: engines with their versions, flavors, storage types, quotas. Source: reads.md 2 and 7."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.engine import EngineName, is_version
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import GROUP_TYPES, Flavor, flavors_of, is_sold_out
from openrds.domain.network import stable_id
from openrds.domain.rules import VOLUME_TYPES
from openrds.domain.texts import number_in
from openrds.operations.intake.quotas import network_quota
from openrds.store.queries import Queries

_sql = Queries("instances")
_quotas = Queries("quotas")
_webhooks = Queries("webhooks")
_TAGS = ["Catalogue"]
_KB_PER_GB = 2**20
_MODES = ("single", "ha", "replica")


class DatastoreEntry(msgspec.Struct):
    id: str
    name: str


class DatastoresAnswer(msgspec.Struct):
    dataStores: list[DatastoreEntry]  # noqa: N815 - the contract's spelling


class SmallVersionEntry(msgspec.Struct):
    """A host has one minor version of each version, which is the one to have."""

    id: str
    name: str
    favored: bool = True


class SmallVersionsAnswer(msgspec.Struct):
    data_stores: list[SmallVersionEntry]
    count: int


class FlavorEntry(msgspec.Struct):
    """`vcpus` is a string, `ram` an integer in GB."""

    id: str
    vcpus: str
    ram: int
    spec_code: str
    instance_mode: str
    az_status: dict[str, str]
    az_desc: dict[str, str]
    version_name: list[str]
    group_type: str


class FlavorsAnswer(msgspec.Struct):
    flavors: list[FlavorEntry]


class StorageTypeEntry(msgspec.Struct):
    name: str
    az_status: dict[str, str]
    support_compute_group_type: list[str]


class DsspoolEntry(msgspec.Struct):
    az_name: str


class StorageTypesAnswer(msgspec.Struct):
    storage_type: list[StorageTypeEntry]
    dsspool_info: list[DsspoolEntry]


class QuotaResource(msgspec.Struct):
    type: str
    quota: int
    used: int


class Quotas(msgspec.Struct):
    resources: list[QuotaResource]


class QuotasAnswer(msgspec.Struct):
    quotas: Quotas


@get("/v3/{project_id:str}/datastores/{engine:str}", responses=refusals(ErrorCode.ENGINE), tags=_TAGS)
async def list_datastores(
    request: ApiRequest, project_id: FromPath[str], engine: FromPath[str]
) -> DatastoresAnswer:
    """The versions of an engine that a host here has; none for an engine without a server."""
    name = _engine(engine)
    versions = await versions_of(request, name)
    return DatastoresAnswer([DatastoreEntry(stable_id(name, version), version) for version in versions])


@get(
    "/v3/{project_id:str}/datastores/{engine:str}/small-version",
    responses=refusals(ErrorCode.ENGINE),
    tags=_TAGS,
)
async def list_small_versions(
    request: ApiRequest,
    project_id: FromPath[str],
    engine: FromPath[str],
    version: Annotated[str, QueryParameter(min_length=1)],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> SmallVersionsAnswer:
    """The minor versions of a version that a host here has; a new instance gets the `favored` one."""
    name = _engine(engine)
    installations = await _installations(request, name)
    found = [one for one in installations if is_version(one["version"], version)]
    entries = [
        SmallVersionEntry(stable_id(name, one["complete_version"]), one["complete_version"]) for one in found
    ]
    return SmallVersionsAnswer(entries[offset : offset + limit], len(entries))


@get(
    "/v3/{project_id:str}/flavors/{engine:str}",
    responses=refusals(ErrorCode.ENGINE, ErrorCode.DATASTORE_VERSION),
    tags=_TAGS,
)
async def list_flavors(
    request: ApiRequest,
    project_id: FromPath[str],
    engine: FromPath[str],
    version_name: FromQuery[str | None] = None,
    spec_code: FromQuery[str | None] = None,
    is_serverless: FromQuery[str | None] = None,
) -> FlavorsAnswer:
    """The flavors of an engine, of those versions that a host here has. None is serverless."""
    name = _engine(engine)
    versions = await versions_of(request, name)
    if version_name:
        offered, versions = versions, [one for one in versions if is_version(one, version_name)]
        if not versions:
            there_is = ", ".join(offered) or "none"
            raise Refusal(
                ErrorCode.DATASTORE_VERSION, f"No host has {name} {version_name}; there is {there_is}."
            )
    if (is_serverless or "").lower() == "true":
        return FlavorsAnswer([])
    status = await status_of_flavors(request)
    return FlavorsAnswer(
        [
            _flavor(flavor, versions, status(flavor))
            for flavor in flavors_of(name)
            if versions and spec_code in (None, "", flavor.spec_code)
        ]
    )


@get("/v3/{project_id:str}/storage-type/{engine:str}", responses=refusals(ErrorCode.ENGINE), tags=_TAGS)
async def list_storage_types(
    request: ApiRequest,
    project_id: FromPath[str],
    engine: FromPath[str],
    version_name: Annotated[str, QueryParameter(min_length=1)],
    ha_mode: FromQuery[str | None] = None,
) -> StorageTypesAnswer:
    """The storage types of an engine's version."""
    if ha_mode not in (None, "", *_MODES):
        raise Refusal(ErrorCode.PARAMETER, f"ha_mode must be one of {', '.join(_MODES)}.")
    versions = await versions_of(request, _engine(engine))
    if not any(is_version(version, version_name) for version in versions):
        return StorageTypesAnswer([], [])
    status = dict.fromkeys(service_of(request).settings.availability_zones, "normal")
    return StorageTypesAnswer(
        [StorageTypeEntry(name, status, list(GROUP_TYPES)) for name in VOLUME_TYPES], []
    )


@get("/v3/{project_id:str}/quotas", responses=refusals(), tags=_TAGS)
async def show_quotas(request: ApiRequest, project_id: FromPath[str]) -> QuotasAnswer:
    """How much the project may have of each thing, and has. All but `instance` are openrds' own."""
    service = service_of(request)
    settings, rates = service.settings, service.rates
    used = await service.reads.row(_quotas.used, {"project_id": project_id})
    networks = await service.reads.row(_quotas.networks_used, {"project_id": project_id})
    webhooks = await service.reads.row(_webhooks.count, {"project_id": project_id})
    assert used is not None and networks is not None and webhooks is not None
    return QuotasAnswer(
        Quotas(
            [
                QuotaResource("instance", settings.instance_quota, used["instances"]),
                QuotaResource("backup", settings.backup_quota, used["backups"]),
                QuotaResource("backup_gb", settings.backup_gb_quota, -(-used["backup_kb"] // _KB_PER_GB)),
                QuotaResource("public_ip", settings.public_address_quota, used["public_addresses"]),
                *(
                    QuotaResource(what.removesuffix("s"), network_quota(settings, what), made)
                    for what, made in networks.items()
                ),
                QuotaResource("webhook", settings.webhook_quota, webhooks["webhooks"]),
                QuotaResource("running_task", settings.task_quota, used["tasks"]),
                QuotaResource("requests_per_second", rates.per_second, rates.used(project_id)),
            ]
        )
    )


def _engine(text: str) -> EngineName:
    engine = EngineName.parse(text)
    if engine is None:
        raise Refusal(ErrorCode.ENGINE, f"The engine must be one of {', '.join(EngineName)}.")
    return engine


async def versions_of(request: ApiRequest, engine: EngineName) -> list[str]:
    """Those that hosts have, the oldest first."""
    return list(dict.fromkeys(one["version"] for one in await _installations(request, engine)))


async def _installations(request: ApiRequest, engine: EngineName) -> list[dict[str, Any]]:
    """What hosts have of an engine, each version once, the oldest first."""
    hosts = await service_of(request).reads.rows(_sql.hosts)
    found = {
        one["complete_version"]: one
        for host in hosts
        for one in host["installations"]
        if one["engine"] == engine
    }
    return sorted(
        found.values(), key=lambda one: [number_in(part) or 0 for part in one["complete_version"].split(".")]
    )


async def status_of_flavors(request: ApiRequest) -> Callable[[Flavor], dict[str, str]]:
    """What tells of a flavor in which zones it can be had: `normal` or `sellout`."""
    settings = service_of(request).settings
    memory_mb = [host["memory_mb"] for host in await service_of(request).reads.rows(_sql.hosts)]

    def status(flavor: Flavor) -> dict[str, str]:
        sold_out = is_sold_out(flavor, memory_mb, settings)
        return dict.fromkeys(settings.availability_zones, "sellout" if sold_out else "normal")

    return status


def _flavor(flavor: Flavor, versions: list[str], status: dict[str, str]) -> FlavorEntry:
    return FlavorEntry(
        id=flavor.id,
        vcpus=str(flavor.vcpus),
        ram=flavor.memory_gb,
        spec_code=flavor.spec_code,
        instance_mode=flavor.instance_mode,
        az_status=status,
        az_desc={zone: zone for zone in status},
        version_name=versions,
        group_type=flavor.group_type,
    )


HANDLERS = [list_datastores, list_small_versions, list_flavors, list_storage_types, show_quotas]
