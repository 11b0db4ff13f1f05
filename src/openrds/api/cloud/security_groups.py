"""Security groups and their rules, by VPC v1 and v3. Source: contract, clients.md."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.cloud import security_bodies as bodies
from openrds.api.cloud.lists import one, select
from openrds.api.cloud.network_reads import groups_of
from openrds.api.cloud.vpc_bodies import PageInfo
from openrds.api.errors import request_id
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode
from openrds.operations.intake.intake import Intake
from openrds.operations.network import security_groups

_OF_ONE = (ErrorCode.NETWORK_NOT_FOUND, ErrorCode.NETWORK_IN_USE)
_NEW_RULE = (ErrorCode.NETWORK_NOT_FOUND, ErrorCode.QUOTA)


async def all_groups(request: ApiRequest) -> list[bodies.GroupBody]:
    return [bodies.group_body(group) for group in await groups_of(request)]


async def all_rules(request: ApiRequest) -> list[bodies.RuleBody]:
    return [rule for group in await all_groups(request) for rule in group.security_group_rules]


def create_group(intake: Intake, data: bodies.CreateGroup) -> bodies.GroupBody:
    new = data.security_group
    new.check_offered()
    made = security_groups.create(
        intake,
        new.name,
        description=new.description or "",
        enterprise_project_id=new.enterprise_project_id,
    )
    return bodies.group_body(made)


def change_group(intake: Intake, group_id: str, data: bodies.ChangeGroup) -> bodies.GroupBody:
    asked = data.security_group
    changed = security_groups.change(intake, group_id, name=asked.name or None, description=asked.description)
    return bodies.group_body(changed)


def create_rule(intake: Intake, data: bodies.CreateRule) -> bodies.RuleBody:
    return bodies.rule_body(security_groups.create_rule(intake, data.security_group_rule.meant()))


@get("/v1/{project_id:str}/security-groups", responses=refusals())
async def list_security_groups(request: ApiRequest, project_id: FromPath[str]) -> bodies.GroupsAnswer:
    found = select(await all_groups(request), request)
    return bodies.GroupsAnswer(found)


@get("/v1/{project_id:str}/security-groups/{security_group_id:str}", responses=refusals())
async def show_security_group(
    request: ApiRequest, project_id: FromPath[str], security_group_id: FromPath[str]
) -> bodies.GroupAnswer:
    return bodies.GroupAnswer(one(await all_groups(request), security_group_id))


@get("/v1/{project_id:str}/security-group-rules", responses=refusals())
async def list_security_group_rules(request: ApiRequest, project_id: FromPath[str]) -> bodies.RulesAnswer:
    found = select(await all_rules(request), request)
    return bodies.RulesAnswer(found)


@get("/v1/{project_id:str}/security-group-rules/{rule_id:str}", responses=refusals())
async def show_security_group_rule(
    request: ApiRequest, project_id: FromPath[str], rule_id: FromPath[str]
) -> bodies.RuleAnswer:
    return bodies.RuleAnswer(one(await all_rules(request), rule_id))


@post("/v1/{project_id:str}/security-groups", status_code=200, responses=refusals(ErrorCode.QUOTA, body=True))
async def create_security_group(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.CreateGroup]
) -> Response[bodies.GroupAnswer]:
    def work(intake: Intake) -> bodies.GroupAnswer:
        return bodies.GroupAnswer(create_group(intake, data))

    return await change(request, work, status=200)


@delete(
    "/v1/{project_id:str}/security-groups/{security_group_id:str}",
    status_code=204,
    responses=refusals(*_OF_ONE),
)
async def delete_security_group(
    request: ApiRequest, project_id: FromPath[str], security_group_id: FromPath[str]
) -> Response[None]:
    return await change(request, lambda intake: security_groups.delete(intake, security_group_id), status=204)


@post("/v1/{project_id:str}/security-group-rules", status_code=200, responses=refusals(*_NEW_RULE, body=True))
async def create_security_group_rule(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.CreateRule]
) -> Response[bodies.RuleAnswer]:
    def work(intake: Intake) -> bodies.RuleAnswer:
        return bodies.RuleAnswer(create_rule(intake, data))

    return await change(request, work, status=200)


@delete(
    "/v1/{project_id:str}/security-group-rules/{rule_id:str}", status_code=204, responses=refusals(*_OF_ONE)
)
async def delete_security_group_rule(
    request: ApiRequest, project_id: FromPath[str], rule_id: FromPath[str]
) -> Response[None]:
    return await change(request, lambda intake: security_groups.delete_rule(intake, rule_id), status=204)


@get("/v3/{project_id:str}/vpc/security-groups", responses=refusals())
async def list_security_groups_v3(request: ApiRequest, project_id: FromPath[str]) -> bodies.PagedGroupsAnswer:
    found = select(await all_groups(request), request)
    return bodies.PagedGroupsAnswer(found, PageInfo(len(found)), request_id(request.scope))


@get("/v3/{project_id:str}/vpc/security-groups/{security_group_id:str}", responses=refusals())
async def show_security_group_v3(
    request: ApiRequest, project_id: FromPath[str], security_group_id: FromPath[str]
) -> bodies.GroupAnswerV3:
    return bodies.GroupAnswerV3(one(await all_groups(request), security_group_id), request_id(request.scope))


@get("/v3/{project_id:str}/vpc/security-group-rules", responses=refusals())
async def list_security_group_rules_v3(
    request: ApiRequest, project_id: FromPath[str]
) -> bodies.PagedRulesAnswer:
    found = select(await all_rules(request), request)
    return bodies.PagedRulesAnswer(found, PageInfo(len(found)), request_id(request.scope))


@get("/v3/{project_id:str}/vpc/security-group-rules/{rule_id:str}", responses=refusals())
async def show_security_group_rule_v3(
    request: ApiRequest, project_id: FromPath[str], rule_id: FromPath[str]
) -> bodies.RuleAnswerV3:
    return bodies.RuleAnswerV3(one(await all_rules(request), rule_id), request_id(request.scope))


@post(
    "/v3/{project_id:str}/vpc/security-groups",
    status_code=201,
    responses=refusals(ErrorCode.QUOTA, body=True),
)
async def create_security_group_v3(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.CreateGroup]
) -> Response[bodies.GroupAnswerV3]:
    def work(intake: Intake) -> bodies.GroupAnswerV3:
        return bodies.GroupAnswerV3(create_group(intake, data), request_id(request.scope))

    return await change(request, work, status=201)


@put(
    "/v3/{project_id:str}/vpc/security-groups/{security_group_id:str}",
    responses=refusals(*_OF_ONE, body=True),
)
async def change_security_group_v3(
    request: ApiRequest,
    project_id: FromPath[str],
    security_group_id: FromPath[str],
    data: JSONBody[bodies.ChangeGroup],
) -> Response[bodies.GroupAnswerV3]:
    def work(intake: Intake) -> bodies.GroupAnswerV3:
        return bodies.GroupAnswerV3(change_group(intake, security_group_id, data), request_id(request.scope))

    return await change(request, work)


@delete(
    "/v3/{project_id:str}/vpc/security-groups/{security_group_id:str}",
    status_code=204,
    responses=refusals(*_OF_ONE),
)
async def delete_security_group_v3(
    request: ApiRequest, project_id: FromPath[str], security_group_id: FromPath[str]
) -> Response[None]:
    return await change(request, lambda intake: security_groups.delete(intake, security_group_id), status=204)


@post(
    "/v3/{project_id:str}/vpc/security-group-rules",
    status_code=201,
    responses=refusals(*_NEW_RULE, body=True),
)
async def create_security_group_rule_v3(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.CreateRule]
) -> Response[bodies.RuleAnswerV3]:
    def work(intake: Intake) -> bodies.RuleAnswerV3:
        return bodies.RuleAnswerV3(create_rule(intake, data), request_id(request.scope))

    return await change(request, work, status=201)


@delete(
    "/v3/{project_id:str}/vpc/security-group-rules/{rule_id:str}",
    status_code=204,
    responses=refusals(*_OF_ONE),
)
async def delete_security_group_rule_v3(
    request: ApiRequest, project_id: FromPath[str], rule_id: FromPath[str]
) -> Response[None]:
    return await change(request, lambda intake: security_groups.delete_rule(intake, rule_id), status=204)


HANDLERS = [
    list_security_groups,
    show_security_group,
    list_security_group_rules,
    show_security_group_rule,
    create_security_group,
    delete_security_group,
    create_security_group_rule,
    delete_security_group_rule,
    list_security_groups_v3,
    show_security_group_v3,
    list_security_group_rules_v3,
    show_security_group_rule_v3,
    create_security_group_v3,
    change_security_group_v3,
    delete_security_group_v3,
    create_security_group_rule_v3,
    delete_security_group_rule_v3,
]
