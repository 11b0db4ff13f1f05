"""Routers, which are VPCs, by Neutron v2.0. Source: contract, clients.md."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.cloud import neutron_bodies as bodies
from openrds.api.cloud.lists import one, select
from openrds.api.cloud.network_reads import subnets_of, vpcs_of
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network_rules import refuse
from openrds.operations.intake.intake import Intake
from openrds.operations.network import subnets, vpcs

_OF_ONE = (ErrorCode.NETWORK_NOT_FOUND, ErrorCode.NETWORK_IN_USE)


@get("/v2.0/routers", responses=refusals())
async def list_routers(request: ApiRequest) -> bodies.RoutersAnswer:
    return bodies.RoutersAnswer(select([bodies.router_body(vpc) for vpc in await vpcs_of(request)], request))


@get("/v2.0/routers/{router_id:str}", responses=refusals())
async def show_router(request: ApiRequest, router_id: FromPath[str]) -> bodies.RouterAnswer:
    return bodies.RouterAnswer(bodies.router_body(one(await vpcs_of(request), router_id)))


@post("/v2.0/routers", status_code=201, responses=refusals(ErrorCode.QUOTA, body=True))
async def create_router(
    request: ApiRequest, data: JSONBody[bodies.CreateRouter]
) -> Response[bodies.RouterAnswer]:
    """A VPC whose range is left open."""

    def work(intake: Intake) -> bodies.RouterAnswer:
        new = data.router
        made = vpcs.create(intake, new.name, description=new.description or "")
        return bodies.RouterAnswer(bodies.router_body(made))

    return await change(request, work, status=201)


@put("/v2.0/routers/{router_id:str}", responses=refusals(*_OF_ONE, body=True))
async def change_router(
    request: ApiRequest, router_id: FromPath[str], data: JSONBody[bodies.ChangeRouter]
) -> Response[bodies.RouterAnswer]:
    def work(intake: Intake) -> bodies.RouterAnswer:
        asked = data.router
        changed = vpcs.change(intake, router_id, name=asked.name or None, description=asked.description)
        return bodies.RouterAnswer(bodies.router_body(changed))

    return await change(request, work)


@delete("/v2.0/routers/{router_id:str}", status_code=204, responses=refusals(*_OF_ONE))
async def delete_router(request: ApiRequest, router_id: FromPath[str]) -> Response[None]:
    return await change(request, lambda intake: vpcs.delete(intake, router_id), status=204)


@put(
    "/v2.0/routers/{router_id:str}/add_router_interface",
    responses=refusals(ErrorCode.VPC, *_OF_ONE, body=True),
)
async def add_router_interface(
    request: ApiRequest, router_id: FromPath[str], data: JSONBody[bodies.InterfaceRef]
) -> Response[bodies.RouterInterface]:
    """Have a subnet be one of the VPC that the router is."""
    if not data.subnet_id:
        raise refuse("subnet_id is required.")
    subnet_id = data.subnet_id

    def work(intake: Intake) -> bodies.RouterInterface:
        return bodies.interface_body(subnets.attach(intake, router_id, subnet_id), router_id)

    return await change(request, work)


@put("/v2.0/routers/{router_id:str}/remove_router_interface", responses=refusals(*_OF_ONE, body=True))
async def remove_router_interface(
    request: ApiRequest, router_id: FromPath[str], data: JSONBody[bodies.InterfaceRef]
) -> Response[bodies.RouterInterface]:
    """By the subnet, or its port. Not while an instance is in it."""
    subnet_id = data.subnet_id or await _subnet_of_port(request, data.port_id or "")

    def work(intake: Intake) -> bodies.RouterInterface:
        return bodies.interface_body(subnets.detach(intake, router_id, subnet_id), router_id)

    return await change(request, work)


async def _subnet_of_port(request: ApiRequest, port_id: str) -> str:
    for subnet in await subnets_of(request):
        if bodies.port_id_of(subnet) == port_id:
            return subnet.neutron_subnet_id
    raise Refusal(ErrorCode.NETWORK_NOT_FOUND, f"There is no port {port_id}; name subnet_id or port_id.")


HANDLERS = [
    list_routers,
    show_router,
    create_router,
    change_router,
    delete_router,
    add_router_interface,
    remove_router_interface,
]
