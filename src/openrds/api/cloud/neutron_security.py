"""Security groups and their rules, by Neutron v2.0. Source: contract, clients.md."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.cloud import security_bodies as bodies
from openrds.api.cloud.lists import one, select
from openrds.api.cloud.security_groups import (
    all_groups,
    all_rules,
    change_group,
    create_group,
    create_rule,
)
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode
from openrds.operations.network import security_groups

_OF_ONE = (ErrorCode.NETWORK_NOT_FOUND, ErrorCode.NETWORK_IN_USE)


@get("/v2.0/security-groups", responses=refusals())
async def list_neutron_security_groups(request: ApiRequest) -> bodies.GroupsAnswer:
    return bodies.GroupsAnswer(select(await all_groups(request), request))


@get("/v2.0/security-groups/{security_group_id:str}", responses=refusals())
async def show_neutron_security_group(
    request: ApiRequest, security_group_id: FromPath[str]
) -> bodies.GroupAnswer:
    return bodies.GroupAnswer(one(await all_groups(request), security_group_id))


@post("/v2.0/security-groups", status_code=201, responses=refusals(ErrorCode.QUOTA, body=True))
async def create_neutron_security_group(
    request: ApiRequest, data: JSONBody[bodies.CreateGroup]
) -> Response[bodies.GroupAnswer]:
    return await change(request, lambda intake: bodies.GroupAnswer(create_group(intake, data)), status=201)


@put("/v2.0/security-groups/{security_group_id:str}", responses=refusals(*_OF_ONE, body=True))
async def change_neutron_security_group(
    request: ApiRequest, security_group_id: FromPath[str], data: JSONBody[bodies.ChangeGroup]
) -> Response[bodies.GroupAnswer]:
    return await change(
        request, lambda intake: bodies.GroupAnswer(change_group(intake, security_group_id, data))
    )


@delete("/v2.0/security-groups/{security_group_id:str}", status_code=204, responses=refusals(*_OF_ONE))
async def delete_neutron_security_group(
    request: ApiRequest, security_group_id: FromPath[str]
) -> Response[None]:
    return await change(request, lambda intake: security_groups.delete(intake, security_group_id), status=204)


@get("/v2.0/security-group-rules", responses=refusals())
async def list_neutron_rules(request: ApiRequest) -> bodies.RulesAnswer:
    return bodies.RulesAnswer(select(await all_rules(request), request))


@get("/v2.0/security-group-rules/{rule_id:str}", responses=refusals())
async def show_neutron_rule(request: ApiRequest, rule_id: FromPath[str]) -> bodies.RuleAnswer:
    return bodies.RuleAnswer(one(await all_rules(request), rule_id))


@post(
    "/v2.0/security-group-rules",
    status_code=201,
    responses=refusals(ErrorCode.NETWORK_NOT_FOUND, ErrorCode.QUOTA, body=True),
)
async def create_neutron_rule(
    request: ApiRequest, data: JSONBody[bodies.CreateRule]
) -> Response[bodies.RuleAnswer]:
    return await change(request, lambda intake: bodies.RuleAnswer(create_rule(intake, data)), status=201)


@delete("/v2.0/security-group-rules/{rule_id:str}", status_code=204, responses=refusals(*_OF_ONE))
async def delete_neutron_rule(request: ApiRequest, rule_id: FromPath[str]) -> Response[None]:
    return await change(request, lambda intake: security_groups.delete_rule(intake, rule_id), status=204)


HANDLERS = [
    list_neutron_security_groups,
    show_neutron_security_group,
    create_neutron_security_group,
    change_neutron_security_group,
    delete_neutron_security_group,
    list_neutron_rules,
    show_neutron_rule,
    create_neutron_rule,
    delete_neutron_rule,
]
