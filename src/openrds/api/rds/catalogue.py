"""The catalogue: engines with their versions, flavors, storage types, quotas. Source: reads.md 2 and 7."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.engine import EngineName, is_version
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import Flavor, flavors_of, is_sold_out
from openrds.domain.network import stable_id
from openrds.domain.rules import VOLUME_TYPES
from openrds.domain.texts import number_in
from openrds.operations.intake.quotas import network_quota
from openrds.store.queries import Queries

_sql = Queries("instances")
_quotas = Queries("quotas")
_TAGS = ["Catalogue"]
_KB_PER_GB = 2**20
_MODES = ("single", "ha", "replica")


class DatastoreEntry(msgspec.Struct):
    id: str
    name: str


class DatastoresAnswer(msgspec.Struct):
    dataStores: list[DatastoreEntry]  # noqa: N815 - the contract's spelling


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
    versions = await _versions(request, name)
    return DatastoresAnswer([DatastoreEntry(stable_id(name, version), version) for version in versions])


@get("/v3/{project_id:str}/flavors/{engine:str}", responses=refusals(ErrorCode.ENGINE), tags=_TAGS)
async def list_flavors(
    request: ApiRequest,
    project_id: FromPath[str],
    engine: FromPath[str],
    version_name: FromQuery[str | None] = None,
    spec_code: FromQuery[str | None] = None,
) -> FlavorsAnswer:
    """The flavors of an engine, of those versions that a host here has."""
    name = _engine(engine)
    versions = await _versions(request, name)
    if version_name:
        versions = [version for version in versions if is_version(version, version_name)]
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
    versions = await _versions(request, _engine(engine))
    if not any(is_version(version, version_name) for version in versions):
        return StorageTypesAnswer([], [])
    status = dict.fromkeys(service_of(request).settings.availability_zones, "normal")
    return StorageTypesAnswer([StorageTypeEntry(name, status, ["normal"]) for name in VOLUME_TYPES], [])


@get("/v3/{project_id:str}/quotas", responses=refusals(), tags=_TAGS)
async def show_quotas(request: ApiRequest, project_id: FromPath[str]) -> QuotasAnswer:
    """How much the project may have of each thing, and has. All but `instance` are openrds' own."""
    service = service_of(request)
    settings, rates = service.settings, service.rates
    used = await service.reads.row(_quotas.used, {"project_id": project_id})
    networks = await service.reads.row(_quotas.networks_used, {"project_id": project_id})
    assert used is not None and networks is not None
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


async def _versions(request: ApiRequest, engine: EngineName) -> list[str]:
    hosts = await service_of(request).reads.rows(_sql.hosts)
    found = {
        entry["version"] for host in hosts for entry in host["installations"] if entry["engine"] == engine
    }
    return sorted(found, key=lambda version: [number_in(part) or 0 for part in version.split(".")])


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
        group_type="normal",
    )


HANDLERS = [list_datastores, list_flavors, list_storage_types, show_quotas]
