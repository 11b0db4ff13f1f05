"""The routes of networks, and what else clients look up outside RDS before they create an instance.

Source: contract, clients.md.
"""

import functools

import msgspec
from litestar import Router, get
from litestar.params import FromPath

from openrds.api.cloud import (
    neutron,
    neutron_routers,
    neutron_security,
    public_ips,
    security_groups,
    subnets,
    vpcs,
)
from openrds.api.cloud.iam import AnonymousRequest, CallerRequest, base_url, settings_of
from openrds.api.cloud.iam_bodies import Version, VersionAnswer, VersionLink
from openrds.api.cloud.lists import one
from openrds.api.cloud.network_reads import default_of, groups_of, subnets_of, vpcs_of
from openrds.api.cloud.vpc_bodies import TagsAnswer
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.network import stable_id

_look_up = functools.partial(get, sync_to_thread=False, responses=refusals())
_public_look_up = functools.partial(
    get, sync_to_thread=False, opt={"public": True}, responses=refusals(public=True)
)


class ZoneState(msgspec.Struct):
    available: bool = True


class Zone(msgspec.Struct, rename="camel"):
    zone_name: str
    zone_state: ZoneState
    hosts: None = None


class ZonesAnswer(msgspec.Struct):
    zones: list[Zone] = msgspec.field(name="availabilityZoneInfo")


class NameServerRecord(msgspec.Struct):
    address: str
    priority: int = 1


class NameServer(msgspec.Struct, kw_only=True):
    id: str
    region: str
    ns_records: list[NameServerRecord]
    type: str = "private"


class NameServersAnswer(msgspec.Struct):
    nameservers: list[NameServer]


def network_version(base: str) -> Version:
    link = VersionLink("self", f"{base}/v2.0/")
    return Version(id="v2.0", status="CURRENT", updated="2016-01-01T00:00:00Z", links=[link])


@_public_look_up("/v2.0")
def show_network_version(request: AnonymousRequest) -> VersionAnswer:
    return VersionAnswer(network_version(base_url(request)))


@_look_up("/v2.1/{project_id:str}/os-availability-zone")
def list_zones(request: CallerRequest, project_id: FromPath[str]) -> ZonesAnswer:
    """The availability zones, as the compute service of the cloud lists them."""
    return ZonesAnswer([Zone(name, ZoneState()) for name in settings_of(request).availability_zones])


@_look_up("/v2/nameservers")
def list_name_servers(request: ApiRequest) -> NameServersAnswer:
    """What a new subnet is given where its caller names none. Nothing asks it."""
    subnet, region = default_of(request).subnet, settings_of(request).region
    server = NameServer(
        id=stable_id(subnet.project_id, "name server"),
        region=region,
        ns_records=[NameServerRecord(subnet.gateway_ip)],
    )
    return NameServersAnswer([server])


@get("/v2.0/{project_id:str}/vpcs/{vpc_id:str}/tags", responses=refusals())
async def list_vpc_tags(request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str]) -> TagsAnswer:
    """None: only instances have tags here."""
    one(await vpcs_of(request), vpc_id)
    return TagsAnswer()


@get("/v2.0/{project_id:str}/subnets/{subnet_id:str}/tags", responses=refusals())
async def list_subnet_tags(
    request: ApiRequest, project_id: FromPath[str], subnet_id: FromPath[str]
) -> TagsAnswer:
    """None: only instances have tags here."""
    one(await subnets_of(request), subnet_id)
    return TagsAnswer()


@get("/v2.0/{project_id:str}/security-groups/{security_group_id:str}/tags", responses=refusals())
async def list_security_group_tags(
    request: ApiRequest, project_id: FromPath[str], security_group_id: FromPath[str]
) -> TagsAnswer:
    """None: only instances have tags here."""
    one(await groups_of(request), security_group_id)
    return TagsAnswer()


def network_router() -> Router:
    """All routes of networks and public addresses. Needs `settings` and `service` in the state."""
    handlers = [
        show_network_version,
        list_zones,
        list_name_servers,
        *vpcs.HANDLERS,
        *subnets.HANDLERS,
        *security_groups.HANDLERS,
        *neutron.HANDLERS,
        *neutron_routers.HANDLERS,
        *neutron_security.HANDLERS,
        *public_ips.HANDLERS,
        list_vpc_tags,
        list_subnet_tags,
        list_security_group_tags,
    ]
    return Router("/", route_handlers=handlers, tags=["Network"])
