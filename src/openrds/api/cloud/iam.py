"""IAM as far as clients of RDS use it: tokens, and look-ups of the caller's own project, domain and user.

Source: contract, auth-and-errors.md 2 and 4; clients.md, look-ups outside RDS.
"""

import functools
from typing import Annotated, TypeAlias, cast

from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import ResponseHeader, State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from openrds.api.access.authentication import Authenticator, client_address, unauthenticated
from openrds.api.access.revocations import Revocations
from openrds.api.access.sign_ins import SignIns
from openrds.api.cloud import iam_bodies as bodies
from openrds.api.refusals import refusals
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Account, Caller, Token, TokenScope, issue_token
from openrds.domain.settings import Settings

CallerRequest: TypeAlias = Request[Caller, Caller, State]
AnonymousRequest: TypeAlias = Request[None, None, State]
AnyRequest: TypeAlias = CallerRequest | AnonymousRequest

_SUBJECT_TOKEN = "X-Subject-Token"  # noqa: S105
_look_up = functools.partial(get, sync_to_thread=False, responses=refusals())
# Checked when there is no such user, so that the time does not tell.
_NO_USER = f"scrypt$16384$8$1${'00' * 16}${'00' * 32}"


def base_url(request: AnyRequest) -> str:
    """The service as this client reaches it: scheme and Host of the request, without `/` at the end."""
    return f"{request.scope['scheme']}://{request.headers.get('host', '')}"


def settings_of(request: AnyRequest) -> Settings:
    return cast("Settings", request.app.state.settings)


def _authenticator(request: AnyRequest) -> Authenticator:
    return cast("Authenticator", request.app.state.authenticator)


def _links(request: CallerRequest) -> bodies.ListLinks:
    return bodies.ListLinks(f"{base_url(request)}{request.scope['path']}")


@get(
    "/v3",
    opt={"public": True},
    sync_to_thread=False,
    operation_id="show_identity_version",
    responses=refusals(public=True),
)
def show_version(request: AnonymousRequest) -> bodies.VersionAnswer:
    """Version discovery of keystone."""
    return bodies.VersionAnswer(identity_version(base_url(request)))


def identity_version(base: str) -> bodies.Version:
    return bodies.Version(
        id="v3.14",
        status="stable",
        updated="2020-04-07T00:00:00Z",
        links=[bodies.VersionLink("self", f"{base}/v3/")],
    )


@post(
    "/v3/auth/tokens",
    opt={"public": True},
    status_code=201,
    responses=refusals(ErrorCode.UNAUTHENTICATED, ErrorCode.THROTTLED, public=True, body=True),
    response_headers=[ResponseHeader(name=_SUBJECT_TOKEN, description="The token.", documentation_only=True)],
)
async def create_token(
    data: JSONBody[bodies.TokenRequest], request: AnonymousRequest
) -> Response[bodies.TokenAnswer]:
    """Issue a token for a password or for another token. Refused with UNAUTHENTICATED or THROTTLED.

    A token that is had for another one expires with it.
    """
    candidates, earlier = await _identify(data.auth.identity, request)
    scope, account = _scoped(data.auth.scope, candidates)
    authenticator = _authenticator(request)
    value = issue_token(account, authenticator.clock(), scope, earlier)
    return _token_answer(request, authenticator.token(value), value, data.auth.identity.methods)


def _token_answer(
    request: AnyRequest, token: Token, value: str, methods: list[str]
) -> Response[bodies.TokenAnswer]:
    catalog = None
    if b"nocatalog" not in request.scope["query_string"]:
        catalog = bodies.catalog_of(token.account.project, settings_of(request).region, base_url(request))
    answer = bodies.TokenAnswer(bodies.token_body(token, methods, catalog))
    return Response(answer, headers={_SUBJECT_TOKEN: value})


async def _identify(
    identity: bodies.Identity, request: AnonymousRequest
) -> tuple[list[Account], Token | None]:
    """The accounts of the user who proved to be one, never empty; and the token that did."""
    if "password" in identity.methods and identity.password is not None:
        return await accounts_by_password(identity.password.user, request), None
    if "token" in identity.methods and identity.token is not None:
        authenticator = _authenticator(request)
        token = authenticator.token(identity.token.id)
        user_id = token.account.user_id
        return [account for account in authenticator.accounts if account.user_id == user_id], token
    raise unauthenticated(f"methods {identity.methods} are not supported or lack their object")


async def accounts_by_password(user: bodies.UserRef, request: AnonymousRequest) -> list[Account]:
    """The accounts of the user who proved to be one, never empty.

    Raises:
        Refusal: UNAUTHENTICATED or THROTTLED.
    """
    named = [account for account in _authenticator(request).accounts if _is_user(user, account)]
    hashes = {account.password_hash for account in named} or {_NO_USER}
    sign_ins = cast("SignIns", request.app.state.sign_ins)
    address = client_address(request.scope)
    genuine = await sign_ins.check(user.id or user.name or "", address, user.password, hashes)
    return [account for account in named if account.password_hash in genuine]


def _is_user(user: bodies.UserRef, account: Account) -> bool:
    if user.id is not None:
        return user.id == account.user_id
    return user.name == account.user_name and _is_domain(user.domain, account)


def _is_domain(domain: bodies.NamedRef | None, account: Account) -> bool:
    """True also when no domain is named: ids and names of users and projects are told apart without."""
    if domain is None:
        return True
    if domain.id is not None:
        return domain.id == account.project.domain_id
    return domain.name == account.project.domain_name


def _scoped(scope: bodies.ScopeRef | str | None, accounts: list[Account]) -> tuple[TokenScope, Account]:
    """The account that may have the scope."""
    if not isinstance(scope, bodies.ScopeRef):
        return TokenScope.NONE, accounts[0]
    for account in accounts:
        if scope.project is not None and _is_project(scope.project, account):
            return TokenScope.PROJECT, account
        if scope.project is None and scope.domain is not None and _is_domain(scope.domain, account):
            return TokenScope.DOMAIN, account
    raise unauthenticated("The user has no role in the scope that is asked for.")


def _is_project(project: bodies.ProjectRef, account: Account) -> bool:
    if project.id is not None:
        return project.id == account.project.id
    return project.name == account.project.name and _is_domain(project.domain, account)


@_look_up("/v3/auth/tokens")
def validate_token(
    request: CallerRequest, subject_token: Annotated[str, HeaderParameter(name=_SUBJECT_TOKEN)]
) -> Response[bodies.TokenAnswer]:
    """What a token of the caller's user says. Refused with UNAUTHENTICATED or FORBIDDEN."""
    token = _own_token(request, subject_token)
    return _token_answer(request, token, subject_token, ["password"])


@delete("/v3/auth/tokens", status_code=204, responses=refusals(ErrorCode.THROTTLED))
async def revoke_token(
    request: CallerRequest, subject_token: Annotated[str, HeaderParameter(name=_SUBJECT_TOKEN)]
) -> None:
    """End a token of the caller's user, with all tokens of its session. Refused as `validate_token` is."""
    token = _own_token(request, subject_token)
    revocations = cast("Revocations", request.app.state.revocations)
    await revocations.revoke(token, _authenticator(request).clock())


def _own_token(request: CallerRequest, value: str) -> Token:
    token = _authenticator(request).token(value)
    if token.account.user_id != request.user.account.user_id:
        raise Refusal(ErrorCode.FORBIDDEN)
    return token


@_look_up("/v3/projects")
def list_projects(request: CallerRequest, name: FromQuery[str | None] = None) -> bodies.ProjectsAnswer:
    """The caller's project, or none if another name is asked for; SDKs want exactly one."""
    project = request.user.project
    found = [bodies.project_body(project, base_url(request))] if name in {None, project.name} else []
    return bodies.ProjectsAnswer(found, _links(request))


@_look_up("/v3/auth/projects")
def list_own_projects(request: CallerRequest) -> bodies.ProjectsAnswer:
    """Every project that the caller's user has an account in."""
    user_id = request.user.account.user_id
    own = [account.project for account in _authenticator(request).accounts if account.user_id == user_id]
    return bodies.ProjectsAnswer(
        [bodies.project_body(project, base_url(request)) for project in own], _links(request)
    )


@_look_up("/v3/auth/domains")
def list_own_domains(request: CallerRequest) -> bodies.DomainsAnswer:
    project = request.user.project
    link = bodies.SelfLink(f"{base_url(request)}/v3/domains/{project.domain_id}")
    domain = bodies.DomainBody(id=project.domain_id, name=project.domain_name, links=link)
    return bodies.DomainsAnswer([domain], _links(request))


@_look_up("/v3/auth/catalog")
def show_catalog(request: CallerRequest) -> bodies.CatalogAnswer:
    catalog = bodies.catalog_of(request.user.project, settings_of(request).region, base_url(request))
    return bodies.CatalogAnswer(catalog, _links(request))


@_look_up("/v3/users")
def list_users(request: CallerRequest, name: FromQuery[str | None] = None) -> bodies.UsersAnswer:
    """The caller's user, or none if another name is asked for."""
    account = request.user.account
    user = bodies.UserBody(
        id=account.user_id,
        name=account.user_name,
        domain_id=account.project.domain_id,
        links=bodies.SelfLink(f"{base_url(request)}/v3/users/{account.user_id}"),
    )
    return bodies.UsersAnswer([user] if name in {None, user.name} else [], _links(request))


@_look_up("/v3/regions")
def list_regions(request: CallerRequest) -> bodies.RegionsAnswer:
    return bodies.RegionsAnswer([_region(request)], _links(request))


@_look_up("/v3/regions/{region_id:str}")
def show_region(request: CallerRequest, region_id: FromPath[str]) -> bodies.RegionAnswer:
    region = _region(request)
    if region_id != region.id:
        raise NotFoundException(f"The region {region_id} does not exist.")
    return bodies.RegionAnswer(region)


def _region(request: CallerRequest) -> bodies.RegionBody:
    region = settings_of(request).region
    return bodies.RegionBody(id=region, links=bodies.SelfLink(f"{base_url(request)}/v3/regions/{region}"))


def iam_router() -> Router:
    """All routes of this module. Needs `settings`, `authenticator`, `sign_ins` and `revocations` in the state."""
    handlers = [
        show_version,
        create_token,
        validate_token,
        revoke_token,
        list_projects,
        list_own_projects,
        list_own_domains,
        show_catalog,
        list_users,
        list_regions,
        show_region,
    ]
    return Router("/", route_handlers=handlers, opt={"keystone": True}, tags=["Identity"])
