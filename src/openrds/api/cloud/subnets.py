"""Subnets by VPC v1. Source: contract, clients.md."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.cloud import vpc_bodies as bodies
from openrds.api.cloud.lists import one, select
from openrds.api.cloud.network_reads import subnets_of
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode
from openrds.operations.intake.intake import Intake
from openrds.operations.network import subnets

_OF_ONE = (ErrorCode.NETWORK_NOT_FOUND, ErrorCode.NETWORK_IN_USE)


@get("/v1/{project_id:str}/subnets", responses=refusals())
async def list_subnets(request: ApiRequest, project_id: FromPath[str]) -> bodies.SubnetsAnswer:
    found = [bodies.subnet_body(subnet) for subnet in await subnets_of(request)]
    return bodies.SubnetsAnswer(select(found, request))


@get("/v1/{project_id:str}/subnets/{subnet_id:str}", responses=refusals())
async def show_subnet(
    request: ApiRequest, project_id: FromPath[str], subnet_id: FromPath[str]
) -> bodies.SubnetAnswer:
    return bodies.SubnetAnswer(bodies.subnet_body(one(await subnets_of(request), subnet_id)))


@post(
    "/v1/{project_id:str}/subnets",
    status_code=200,
    responses=refusals(ErrorCode.VPC, ErrorCode.AVAILABILITY_ZONE, ErrorCode.QUOTA, body=True),
)
async def create_subnet(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.CreateSubnet]
) -> Response[bodies.SubnetAnswer]:
    return await change(request, lambda intake: bodies.SubnetAnswer(_create(intake, data.subnet)))


@put(
    "/v1/{project_id:str}/vpcs/{vpc_id:str}/subnets/{subnet_id:str}",
    responses=refusals(*_OF_ONE, body=True),
)
async def change_subnet(
    request: ApiRequest,
    project_id: FromPath[str],
    vpc_id: FromPath[str],
    subnet_id: FromPath[str],
    data: JSONBody[bodies.ChangeSubnet],
) -> Response[bodies.SubnetAnswer]:
    def work(intake: Intake) -> bodies.SubnetAnswer:
        asked = data.subnet
        asked.check_offered()
        changed = subnets.change(
            intake,
            subnet_id,
            name=asked.name or None,
            description=asked.description,
            dhcp_enable=asked.dhcp_enable,
            dns_list=asked.name_servers(),
            vpc_id=vpc_id,
        )
        return bodies.SubnetAnswer(bodies.subnet_body(changed))

    return await change(request, work)


@delete(
    "/v1/{project_id:str}/vpcs/{vpc_id:str}/subnets/{subnet_id:str}",
    status_code=204,
    responses=refusals(*_OF_ONE),
)
async def delete_subnet(
    request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str], subnet_id: FromPath[str]
) -> Response[None]:
    return await change(request, lambda intake: subnets.delete(intake, subnet_id, vpc_id=vpc_id), status=204)


def _create(intake: Intake, new: bodies.NewSubnet) -> bodies.SubnetBody:
    new.check_offered()
    bodies.check_no_tags(new.tags)
    addresses = subnets.AddressRange(
        cidr=new.cidr,
        gateway_ip=new.gateway_ip,
        dhcp_enable=new.dhcp_enable is not False,
        dns_list=new.name_servers() or (),
    )
    made = subnets.create(
        intake,
        new.vpc_id,
        new.name,
        addresses,
        description=new.description or "",
        availability_zone=new.availability_zone,
    )
    return bodies.subnet_body(made)


HANDLERS = [list_subnets, show_subnet, create_subnet, change_subnet, delete_subnet]
