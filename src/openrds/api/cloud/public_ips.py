"""The public addresses that a project may bind, and to which instance each is bound. Source: contract, clients.md."""

from litestar import get
from litestar.params import FromPath

from openrds.api.cloud import network_bodies as bodies
from openrds.api.cloud.network import one, select
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.network import public_addresses
from openrds.store.queries import Queries

_sql = Queries("instances")
_TAGS = ["Network"]


@get("/v1/{project_id:str}/publicips", responses=refusals(), tags=_TAGS)
async def list_public_ips(request: ApiRequest, project_id: FromPath[str]) -> bodies.PublicIpsAnswer:
    """The public addresses on offer, and those that are bound."""
    return bodies.PublicIpsAnswer(select(await _public_ips(request, project_id), request))


@get("/v1/{project_id:str}/publicips/{publicip_id:str}", responses=refusals(), tags=_TAGS)
async def show_public_ip(
    request: ApiRequest, project_id: FromPath[str], publicip_id: FromPath[str]
) -> bodies.PublicIpAnswer:
    return bodies.PublicIpAnswer(one(await _public_ips(request, project_id), publicip_id))


async def _public_ips(request: ApiRequest, project_id: str) -> list[bodies.PublicIp]:
    """All projects share the pool: what another has bound is not on offer."""
    service = service_of(request)
    bound = {row["address"]: row for row in await service.reads.rows(_sql.bound_addresses)}
    return [
        bodies.public_ip(address, binding)
        for address in public_addresses(project_id, service.settings)
        if (binding := bound.get(str(address.address))) is None or binding["project_id"] == project_id
    ]


HANDLERS = [list_public_ips, show_public_ip]
