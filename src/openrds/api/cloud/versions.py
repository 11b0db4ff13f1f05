"""Which versions of which API are served; anybody may ask. Source: reads.md 7, SDK `list_api_version`."""

import functools

import msgspec
from litestar import Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from openrds.api.cloud.iam import AnonymousRequest, base_url, identity_version
from openrds.api.cloud.iam_bodies import Version, VersionLink, VersionsAnswer
from openrds.api.cloud.network import network_version
from openrds.api.refusals import refusals

_public_look_up = functools.partial(
    get, sync_to_thread=False, opt={"public": True}, responses=refusals(public=True)
)


class RdsVersion(msgspec.Struct):
    """`links` is empty, as the cloud has it for v3."""

    id: str
    links: list[VersionLink]
    status: str
    updated: str


class RdsVersionsAnswer(msgspec.Struct):
    versions: list[RdsVersion]


class RdsVersionAnswer(msgspec.Struct):
    """The same twice: clients differ in where they look."""

    versions: RdsVersion
    version: RdsVersion


_RDS = RdsVersion("v3", [], "CURRENT", "2019-01-15T12:00:00Z")


@_public_look_up("/")
def list_versions(request: AnonymousRequest) -> VersionsAnswer:
    """All versions on this host: v3 of RDS, v3 of identity, v2.0 of the network look-ups."""
    base = base_url(request)
    rds = Version(id=_RDS.id, status=_RDS.status, updated=_RDS.updated, links=_RDS.links)
    return VersionsAnswer([identity_version(base), network_version(base), rds])


@_public_look_up("/rds")
def list_rds_versions(request: AnonymousRequest) -> RdsVersionsAnswer:
    """The versions of the RDS API: v3 alone."""
    return RdsVersionsAnswer([_RDS])


@_public_look_up("/rds/{version:str}")
def show_rds_version(request: AnonymousRequest, version: FromPath[str]) -> RdsVersionAnswer:
    """One version of the RDS API."""
    if version != _RDS.id:
        raise NotFoundException(f"There is no version {version}; there is {_RDS.id}.")
    return RdsVersionAnswer(_RDS, _RDS)


def versions_router() -> Router:
    return Router("/", route_handlers=[list_versions, list_rds_versions, show_rds_version], tags=["Network"])
