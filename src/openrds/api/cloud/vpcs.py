"""VPCs, by VPC v1 and v3. Source: contract, clients.md."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.cloud import vpc_bodies as bodies
from openrds.api.cloud.lists import one, select
from openrds.api.cloud.network_reads import vpcs_of
from openrds.api.errors import request_id
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode
from openrds.operations.intake.intake import Intake
from openrds.operations.network import vpcs

_OF_ONE = (ErrorCode.NETWORK_NOT_FOUND, ErrorCode.NETWORK_IN_USE)
_V3 = "ACTIVE"


@get("/v1/{project_id:str}/vpcs", responses=refusals())
async def list_vpcs(request: ApiRequest, project_id: FromPath[str]) -> bodies.VpcsAnswer:
    return bodies.VpcsAnswer(select([bodies.vpc_body(vpc) for vpc in await vpcs_of(request)], request))


@get("/v1/{project_id:str}/vpcs/{vpc_id:str}", responses=refusals())
async def show_vpc(request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str]) -> bodies.VpcAnswer:
    return bodies.VpcAnswer(bodies.vpc_body(one(await vpcs_of(request), vpc_id)))


@post("/v1/{project_id:str}/vpcs", status_code=200, responses=refusals(ErrorCode.QUOTA, body=True))
async def create_vpc(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.CreateVpc]
) -> Response[bodies.VpcAnswer]:
    return await change(request, lambda intake: bodies.VpcAnswer(_create(intake, data)))


@put("/v1/{project_id:str}/vpcs/{vpc_id:str}", responses=refusals(*_OF_ONE, body=True))
async def change_vpc(
    request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str], data: JSONBody[bodies.ChangeVpc]
) -> Response[bodies.VpcAnswer]:
    return await change(request, lambda intake: bodies.VpcAnswer(_change(intake, vpc_id, data)))


@delete("/v1/{project_id:str}/vpcs/{vpc_id:str}", status_code=204, responses=refusals(*_OF_ONE))
async def delete_vpc(request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str]) -> Response[None]:
    return await change(request, lambda intake: vpcs.delete(intake, vpc_id), status=204)


@get("/v3/{project_id:str}/vpc/vpcs", responses=refusals())
async def list_vpcs_v3(request: ApiRequest, project_id: FromPath[str]) -> bodies.PagedVpcsAnswer:
    found = select([bodies.vpc_body(vpc, status=_V3) for vpc in await vpcs_of(request)], request)
    return bodies.PagedVpcsAnswer(found, bodies.PageInfo(len(found)), request_id(request.scope))


@get("/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}", responses=refusals())
async def show_vpc_v3(
    request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str]
) -> bodies.VpcAnswerV3:
    found = bodies.vpc_body(one(await vpcs_of(request), vpc_id), status=_V3)
    return bodies.VpcAnswerV3(found, request_id(request.scope))


@post("/v3/{project_id:str}/vpc/vpcs", status_code=201, responses=refusals(ErrorCode.QUOTA, body=True))
async def create_vpc_v3(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.CreateVpc]
) -> Response[bodies.VpcAnswerV3]:
    def work(intake: Intake) -> bodies.VpcAnswerV3:
        return bodies.VpcAnswerV3(_create(intake, data, status=_V3), request_id(request.scope))

    return await change(request, work, status=201)


@put("/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}", responses=refusals(*_OF_ONE, body=True))
async def change_vpc_v3(
    request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str], data: JSONBody[bodies.ChangeVpc]
) -> Response[bodies.VpcAnswerV3]:
    def work(intake: Intake) -> bodies.VpcAnswerV3:
        return bodies.VpcAnswerV3(_change(intake, vpc_id, data, status=_V3), request_id(request.scope))

    return await change(request, work)


@delete("/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}", status_code=204, responses=refusals(*_OF_ONE))
async def delete_vpc_v3(
    request: ApiRequest, project_id: FromPath[str], vpc_id: FromPath[str]
) -> Response[None]:
    return await change(request, lambda intake: vpcs.delete(intake, vpc_id), status=204)


def _create(intake: Intake, data: bodies.CreateVpc, *, status: str = "OK") -> bodies.VpcBody:
    new = data.vpc
    bodies.check_no_tags(new.tags)
    bodies.check_no_more_ranges(new.extend_cidrs)
    made = vpcs.create(
        intake,
        new.name,
        description=new.description,
        cidr=new.cidr,
        enterprise_project_id=new.enterprise_project_id,
    )
    return bodies.vpc_body(made, status=status)


def _change(intake: Intake, vpc_id: str, data: bodies.ChangeVpc, *, status: str = "OK") -> bodies.VpcBody:
    asked = data.vpc
    # Clients send what they leave as it is as an empty text too.
    changed = vpcs.change(
        intake, vpc_id, name=asked.name or None, description=asked.description, cidr=asked.cidr or None
    )
    return bodies.vpc_body(changed, status=status)


HANDLERS = [
    list_vpcs,
    show_vpc,
    create_vpc,
    change_vpc,
    delete_vpc,
    list_vpcs_v3,
    show_vpc_v3,
    create_vpc_v3,
    change_vpc_v3,
    delete_vpc_v3,
]
