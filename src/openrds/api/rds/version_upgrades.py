"""Newer versions of an instance's servers. Source: operations.md 16, and the models of the Huawei SDK."""

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.rds.instance_reads import find_instance
from openrds.api.rds.parameter_catalogues import catalogue_for
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.domain.parameters import Catalogue
from openrds.domain.rules import check_one_of
from openrds.domain.task import format_time
from openrds.operations.intake.intake import Intake
from openrds.operations.upgrades import inspect_upgrade, upgrade_major, upgrade_minor
from openrds.operations.upgrades.planning import newer_of
from openrds.operations.upgrades.upgrade_minor import UpgradeMinor
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("upgrades")

_TAGS = ["Versions"]
_PATH = "/v3/{project_id:str}/instances/{instance_id:str}"
_ORDERS = ("ASC", "DESC")
#: How long a report is good for.
_GOOD_FOR = dt.timedelta(days=1)
_STATISTICS = ("before_change_private_ip", "after_change_private_ip")


class UpgradeDatabase(msgspec.Struct):
    delay: bool = False


class Inspect(msgspec.Struct):
    target_version: Text


class UpgradeMajor(msgspec.Struct):
    """It keeps its addresses: so `is_change_private_ip` can only be true. Statistics are gathered once it serves."""

    target_version: Text
    is_change_private_ip: bool = True
    statistics_collection_mode: Text = ""


class AvailableVersions(msgspec.Struct):
    available_versions: list[str]


class InspectionBegun(msgspec.Struct):
    report_id: str


class InspectionReport(msgspec.Struct):
    id: str
    check_time: str
    expiration_time: str
    target_version: str
    result: str
    detail: str


class InspectionReports(msgspec.Struct):
    total_count: int
    inspection_reports: list[InspectionReport]


class UpgradeReport(msgspec.Struct):
    """Source and target are the same instance, with the same address."""

    id: str
    start_time: str
    end_time: str
    src_instance_id: str
    src_database_version: str
    dst_instance_id: str
    dst_database_version: str
    result: str
    is_private_ip_changed: bool
    private_ip_change_time: str
    statistics_collection_mode: str
    detail: str


class UpgradeReports(msgspec.Struct):
    total_count: int
    upgrade_reports: list[UpgradeReport]


class UpgradeStatus(msgspec.Struct, omit_defaults=True):
    """`check_expiration_time` is of a check that found nothing."""

    status: str
    target_version: str
    start_time: str
    detail: str
    check_expiration_time: str = ""


Offset = Annotated[int, QueryParameter(ge=0, le=2**62)]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


@post(
    f"{_PATH}/db-upgrade",
    status_code=202,
    responses=refusals(ErrorCode.DATASTORE_VERSION, body=True, instance=True),
    tags=_TAGS,
)
async def upgrade_minor_version(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[UpgradeMinor]
) -> Response[JobIdAnswer]:
    """To the newest minor version of the host; with `is_delayed` in the maintenance window."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(upgrade_minor.submit(intake, instance_id, data)))

    return await change(request, work, status=202)


@post(
    f"{_PATH}/action/db-upgrade",
    status_code=202,
    responses=refusals(ErrorCode.DATASTORE_VERSION, body=True, instance=True),
    tags=_TAGS,
)
async def upgrade_database(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[UpgradeDatabase],
) -> Response[JobIdAnswer]:
    """The same, with `delay`."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(upgrade_minor.submit(intake, instance_id, UpgradeMinor(data.delay))))

    return await change(request, work, status=202)


@get(f"{_PATH}/major-version/available-version", responses=refusals(instance=True), tags=_TAGS)
async def list_available_versions(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> AvailableVersions:
    """Which newer major versions its host has, oldest first."""
    instance = await find_instance(request, project_id, instance_id)
    rows = await service_of(request).reads.rows(_sql.versions_at, [instance_id])
    return AvailableVersions(list(newer_of(instance, rows)))


@post(
    f"{_PATH}/major-version/inspection",
    responses=refusals(ErrorCode.DATASTORE_VERSION, ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    status_code=200,
    tags=_TAGS,
)
async def inspect_major_version(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[Inspect]
) -> Response[InspectionBegun]:
    """Look what hinders an upgrade, while the instance serves. The id is that of the report, and of the task."""

    def work(intake: Intake) -> InspectionBegun:
        return InspectionBegun(str(inspect_upgrade.submit(intake, instance_id, data.target_version)))

    return await change(request, work)


@get(f"{_PATH}/major-version/inspection-histories", responses=refusals(instance=True), tags=_TAGS)
async def list_inspections(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    offset: Offset = 0,
    limit: Limit = 10,
    order: FromQuery[str] = "DESC",
    sort_field: FromQuery[str] = "check_time",
    target_version: FromQuery[str | None] = None,
    is_available: FromQuery[bool | None] = None,
) -> InspectionReports:
    """What was found, newest first. A report that found nothing is available for a day."""
    check_one_of("sort_field", sort_field, ("check_time", "expiration_time"))
    await find_instance(request, project_id, instance_id)
    total, rows = await _reports(
        request,
        instance_id,
        "check",
        order,
        offset=offset,
        limit=limit,
        new_version=target_version or None,
        is_available=is_available,
    )
    return InspectionReports(total, [_inspection(row) for row in rows])


@get(f"{_PATH}/major-version/status", responses=refusals(instance=True), tags=_TAGS)
async def show_major_version_status(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    action: FromQuery[Literal["check", "upgrade"]],
) -> UpgradeStatus:
    """What became of the last check, or upgrade; empty where there was none."""
    await find_instance(request, project_id, instance_id)
    _, rows = await _reports(request, instance_id, action, "DESC", offset=0, limit=1)
    if not rows:
        return UpgradeStatus("", "", "", "")
    (row,) = rows
    expires = _expires(row) if action == "check" and row["result"] == "success" else ""
    return UpgradeStatus(
        row["result"], row["new_version"], format_time(row["begun_at"]), row["told"], expires
    )


@post(
    f"{_PATH}/major-version/upgrade",
    status_code=202,
    responses=refusals(
        ErrorCode.DATASTORE_VERSION, ErrorCode.INSTANCE_TYPE, ErrorCode.NOT_OFFERED, body=True, instance=True
    ),
    tags=_TAGS,
)
async def upgrade_major_version(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[UpgradeMajor]
) -> Response[JobIdAnswer]:
    """Give it a newer major version. Should that fail, it serves with the old one again."""
    if data.statistics_collection_mode:
        check_one_of("statistics_collection_mode", data.statistics_collection_mode, _STATISTICS)
    if not data.is_change_private_ip:
        raise Refusal(
            ErrorCode.NOT_OFFERED,
            "The instance itself is upgraded, and keeps its address: is_change_private_ip must be true.",
        )
    catalogue = await _catalogue(request, project_id, instance_id, data.target_version)

    def work(intake: Intake) -> JobIdAnswer:
        mode = data.statistics_collection_mode
        return JobIdAnswer(
            str(upgrade_major.submit(intake, instance_id, data.target_version, catalogue, mode))
        )

    return await change(request, work, status=202)


@get(f"{_PATH}/major-version/upgrade-histories", responses=refusals(instance=True), tags=_TAGS)
async def list_upgrades(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    offset: Offset = 0,
    limit: Limit = 10,
    order: FromQuery[str] = "DESC",
    sort_field: FromQuery[str] = "start_time",
) -> UpgradeReports:
    """Its major upgrades, newest first."""
    check_one_of("sort_field", sort_field, ("start_time", "end_time"))
    await find_instance(request, project_id, instance_id)
    total, rows = await _reports(request, instance_id, "upgrade", order, offset=offset, limit=limit)
    return UpgradeReports(total, [_upgrade(row) for row in rows])


async def _catalogue(request: ApiRequest, project_id: str, instance_id: str, target: str) -> Catalogue:
    """That of the new version; one that there is not is refused later."""
    instance = await find_instance(request, project_id, instance_id)
    rows = await service_of(request).reads.rows(_sql.versions_at, [instance_id])
    found = [
        row["version"]
        for row in rows
        if row["engine"] == instance.engine and target in (row["version"], row["complete_version"])
    ]
    return await catalogue_for(request, instance.engine, found[0]) if found else {}


async def _reports(
    request: ApiRequest, instance_id: str, kind: str, order: str, **filters: Any
) -> tuple[int, list[Row]]:
    """How many there are, and a page of them."""
    check_one_of("order", order, _ORDERS)
    columns = {"new_version": None, "is_available": None, **filters}
    rows = await service_of(request).reads.rows(
        _sql.reports, {"instance_id": instance_id, "kind": kind, "ascending": order == "ASC", **columns}
    )
    return rows[0]["total"], [row for row in rows if row["id"] is not None]


def _expires(row: Row) -> str:
    return format_time(row["begun_at"] + _GOOD_FOR)


def _inspection(row: Row) -> InspectionReport:
    return InspectionReport(
        str(row["id"]),
        format_time(row["begun_at"]),
        _expires(row),
        row["new_version"],
        row["result"],
        row["told"],
    )


def _upgrade(row: Row) -> UpgradeReport:
    return UpgradeReport(
        id=str(row["id"]),
        start_time=format_time(row["begun_at"]),
        end_time=format_time(row["ended_at"]) if row["ended_at"] else "",
        src_instance_id=row["instance_id"],
        src_database_version=row["old_version"],
        dst_instance_id=row["instance_id"],
        dst_database_version=row["new_version"],
        result=row["result"],
        is_private_ip_changed=False,
        private_ip_change_time="",
        statistics_collection_mode=row["statistics"],
        detail=row["told"],
    )


HANDLERS = [
    upgrade_minor_version,
    upgrade_database,
    list_available_versions,
    inspect_major_version,
    list_inspections,
    show_major_version_status,
    upgrade_major_version,
    list_upgrades,
]
