"""The public addresses that a project may bind, and to which instance each is bound. Source: contract, clients.md."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import get
from litestar.params import FromPath
from msgspec import UNSET, UnsetType

from openrds.api.cloud.lists import one, select
from openrds.api.cloud.vpc_bodies import TagsAnswer
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.network import PublicAddress, public_addresses, stable_id
from openrds.store.queries import Queries

_sql = Queries("instances")


class PublicIp(msgspec.Struct, kw_only=True):
    """DOWN is the cloud's word for "not bound". A bound address is ACTIVE, and says to what."""

    id: str
    public_ip_address: str
    tenant_id: str
    bandwidth_id: str
    status: str = "DOWN"
    type: str = "5_bgp"
    ip_version: int = 4
    bandwidth_name: str = "default"
    bandwidth_size: int = 0
    bandwidth_share_type: str = "PER"
    enterprise_project_id: str = "0"
    private_ip_address: str | UnsetType = UNSET
    associate_instance_type: str | UnsetType = UNSET
    associate_instance_id: str | UnsetType = UNSET


class PublicIpAnswer(msgspec.Struct):
    publicip: PublicIp


class PublicIpsAnswer(msgspec.Struct):
    publicips: list[PublicIp]


@get("/v1/{project_id:str}/publicips", responses=refusals())
async def list_public_ips(request: ApiRequest, project_id: FromPath[str]) -> PublicIpsAnswer:
    """The public addresses on offer, and those that are bound."""
    return PublicIpsAnswer(select(await _public_ips(request, project_id), request))


@get("/v1/{project_id:str}/publicips/{publicip_id:str}", responses=refusals())
async def show_public_ip(
    request: ApiRequest, project_id: FromPath[str], publicip_id: FromPath[str]
) -> PublicIpAnswer:
    return PublicIpAnswer(one(await _public_ips(request, project_id), publicip_id))


@get("/v2.0/{project_id:str}/publicips/{publicip_id:str}/tags", responses=refusals())
async def list_public_ip_tags(
    request: ApiRequest, project_id: FromPath[str], publicip_id: FromPath[str]
) -> TagsAnswer:
    """None: only instances have tags here."""
    one(await _public_ips(request, project_id), publicip_id)
    return TagsAnswer()


async def _public_ips(request: ApiRequest, project_id: str) -> list[PublicIp]:
    """All projects share the pool: what another has bound is not on offer."""
    service = service_of(request)
    bound = {row["address"]: row for row in await service.reads.rows(_sql.bound_addresses)}
    return [
        _body(address, binding)
        for address in public_addresses(project_id, service.settings)
        if (binding := bound.get(str(address.address))) is None or binding["project_id"] == project_id
    ]


def _body(address: PublicAddress, binding: Mapping[str, Any] | None) -> PublicIp:
    """`binding` has `instance_id` and `endpoint` of the instance that it is bound to."""
    bound: dict[str, Any] = {}
    if binding is not None:
        bound = {
            "status": "ACTIVE",
            "private_ip_address": binding["endpoint"],
            "associate_instance_type": "RDS",
            "associate_instance_id": binding["instance_id"],
        }
    return PublicIp(
        **bound,
        id=address.id,
        public_ip_address=str(address.address),
        tenant_id=address.project_id,
        bandwidth_id=stable_id(address.project_id, f"bandwidth {address.address}"),
    )


HANDLERS = [list_public_ips, show_public_ip, list_public_ip_tags]
