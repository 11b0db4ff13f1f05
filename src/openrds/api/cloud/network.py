"""Look-ups outside RDS that clients make before they create an instance. Read-only.

Source: contract, clients.md. Lists filter by any attribute of theirs that the query names, and page by
`limit` with `marker` (the last id seen) or `offset`; parameters that name nothing are ignored.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from openrds.api.cloud import network_bodies as bodies
from openrds.api.cloud.iam import AnonymousRequest, CallerRequest, base_url, settings_of
from openrds.api.cloud.iam_bodies import Version, VersionAnswer, VersionLink
from openrds.api.errors import request_id
from openrds.api.refusals import refusals
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network import DefaultNetwork, default_network
from openrds.domain.texts import number_in

Item = TypeVar("Item", bound=msgspec.Struct)

_look_up = functools.partial(get, sync_to_thread=False, responses=refusals())
#: A number of more digits than this is longer than any list, and in the end longer than Python reads.
_public_look_up = functools.partial(
    get, sync_to_thread=False, opt={"public": True}, responses=refusals(public=True)
)


def network_version(base: str) -> Version:
    link = VersionLink("self", f"{base}/v2.0/")
    return Version(id="v2.0", status="CURRENT", updated="2016-01-01T00:00:00Z", links=[link])


@_public_look_up("/v2.0")
def show_network_version(request: AnonymousRequest) -> VersionAnswer:
    return VersionAnswer(network_version(base_url(request)))


def select(items: Sequence[Item], request: CallerRequest) -> list[Item]:
    """The items that the query asks for.

    Raises:
        Refusal: PARAMETER, `limit` or `offset` is not a number.
    """
    query = request.query_params
    found = [item for item in items if _matches(item, query)]
    if marker := query.get("marker"):
        ids = [_attribute(item, "id") for item in found]
        found = found[ids.index(marker) + 1 :] if marker in ids else []
    start = _number(query, "offset", 0)
    return found[start : start + _number(query, "limit", len(found))]


def _matches(item: msgspec.Struct, query: Any) -> bool:
    """`query` is a multi dict; of several values of a key one must match."""
    return all(
        str(_attribute(item, key)).lower() in {value.lower() for value in query.getall(key)}
        for key in set(query)
        if isinstance(_attribute(item, key), (str, int))
    )


def _attribute(item: msgspec.Struct, key: str) -> object:
    """By the name that the attribute has in JSON, such as `router:external`."""
    fields = item.__struct_encode_fields__
    return getattr(item, item.__struct_fields__[fields.index(key)]) if key in fields else None


def _number(query: Any, key: str, default: int) -> int:
    value = query.get(key, "")
    number = number_in(value) if value else default
    if number is None:
        raise Refusal(ErrorCode.PARAMETER, f"{key}: expected a number that is not negative.")
    return number


def one(items: Sequence[Item], id: str) -> Item:
    """The item with this id; lists are searched by name, so a name is not found here.

    Raises:
        NotFoundException: clients then search the list.
    """
    for item in items:
        if _attribute(item, "id") == id:
            return item
    raise NotFoundException(f"{id} does not exist.")


def _own(request: CallerRequest, body: Callable[[DefaultNetwork], Item]) -> list[Item]:
    """The project's default network in the words of `body`."""
    return [body(default_network(request.user.project.id, settings_of(request)))]


@_look_up("/v2.0/networks")
def list_networks(request: CallerRequest) -> bodies.NeutronNetworksAnswer:
    return bodies.NeutronNetworksAnswer(select(_own(request, bodies.neutron_network), request))


@_look_up("/v2.0/networks/{network_id:str}")
def show_network(request: CallerRequest, network_id: FromPath[str]) -> bodies.NeutronNetworkAnswer:
    return bodies.NeutronNetworkAnswer(one(_own(request, bodies.neutron_network), network_id))


@_look_up("/v2.0/subnets")
def list_neutron_subnets(request: CallerRequest) -> bodies.NeutronSubnetsAnswer:
    return bodies.NeutronSubnetsAnswer(select(_own(request, bodies.neutron_subnet), request))


@_look_up("/v2.0/subnets/{subnet_id:str}")
def show_neutron_subnet(request: CallerRequest, subnet_id: FromPath[str]) -> bodies.NeutronSubnetAnswer:
    return bodies.NeutronSubnetAnswer(one(_own(request, bodies.neutron_subnet), subnet_id))


@_look_up("/v2.0/routers")
def list_routers(request: CallerRequest) -> bodies.NeutronRoutersAnswer:
    return bodies.NeutronRoutersAnswer(select(_own(request, bodies.neutron_router), request))


@_look_up("/v2.0/routers/{router_id:str}")
def show_router(request: CallerRequest, router_id: FromPath[str]) -> bodies.NeutronRouterAnswer:
    return bodies.NeutronRouterAnswer(one(_own(request, bodies.neutron_router), router_id))


@_look_up("/v2.0/security-groups")
def list_neutron_security_groups(request: CallerRequest) -> bodies.SecurityGroupsAnswer:
    return bodies.SecurityGroupsAnswer(select(_own(request, bodies.security_group), request))


@_look_up("/v2.0/security-groups/{security_group_id:str}")
def show_neutron_security_group(
    request: CallerRequest, security_group_id: FromPath[str]
) -> bodies.SecurityGroupAnswer:
    return bodies.SecurityGroupAnswer(one(_own(request, bodies.security_group), security_group_id))


@_look_up("/v2.0/ports")
def list_ports() -> bodies.PortsAnswer:
    return bodies.PortsAnswer()


@_look_up("/v1/{project_id:str}/vpcs")
def list_vpcs(request: CallerRequest) -> bodies.VpcsAnswer:
    return bodies.VpcsAnswer(select(_own(request, bodies.vpc), request))


@_look_up("/v1/{project_id:str}/vpcs/{vpc_id:str}")
def show_vpc(request: CallerRequest, vpc_id: FromPath[str]) -> bodies.VpcAnswer:
    return bodies.VpcAnswer(one(_own(request, bodies.vpc), vpc_id))


@_look_up("/v1/{project_id:str}/subnets")
def list_subnets(request: CallerRequest) -> bodies.SubnetsAnswer:
    return bodies.SubnetsAnswer(select(_own(request, bodies.subnet), request))


@_look_up("/v1/{project_id:str}/subnets/{subnet_id:str}")
def show_subnet(request: CallerRequest, subnet_id: FromPath[str]) -> bodies.SubnetAnswer:
    return bodies.SubnetAnswer(one(_own(request, bodies.subnet), subnet_id))


@_look_up("/v3/{project_id:str}/vpc/security-groups")
def list_security_groups(request: CallerRequest) -> bodies.PagedSecurityGroupsAnswer:
    found = select(_own(request, bodies.security_group), request)
    return bodies.PagedSecurityGroupsAnswer(found, bodies.PageInfo(len(found)), request_id(request.scope))


@_look_up("/v3/{project_id:str}/vpc/security-groups/{security_group_id:str}")
def show_security_group(
    request: CallerRequest, security_group_id: FromPath[str]
) -> bodies.SecurityGroupAnswer:
    return bodies.SecurityGroupAnswer(one(_own(request, bodies.security_group), security_group_id))


def network_router() -> Router:
    """All routes of this module. Needs `state.settings`."""
    handlers = [
        show_network_version,
        list_networks,
        show_network,
        list_neutron_subnets,
        show_neutron_subnet,
        list_routers,
        show_router,
        list_neutron_security_groups,
        show_neutron_security_group,
        list_ports,
        list_vpcs,
        show_vpc,
        list_subnets,
        show_subnet,
        list_security_groups,
        show_security_group,
    ]
    return Router("/", route_handlers=handlers, tags=["Network"])
