"""The bodies of the IAM look-ups, as keystone writes them. Source: contract, auth-and-errors.md 2.1 and 4."""

from typing import Literal

import msgspec

from openrds.domain.identity import Account, Project, Token, TokenScope, format_time
from openrds.domain.lengths import Several, Text

Unset = msgspec.UnsetType


class NamedRef(msgspec.Struct):
    """A domain by id or by name."""

    id: Text | None = None
    name: Text | None = None


class ProjectRef(NamedRef):
    domain: NamedRef | None = None


class UserRef(msgspec.Struct):
    password: Text
    id: Text | None = None
    name: Text | None = None
    domain: NamedRef | None = None


class PasswordMethod(msgspec.Struct):
    user: UserRef


class TokenMethod(msgspec.Struct):
    id: Text


class Identity(msgspec.Struct):
    """What `methods` names must be there beside it."""

    methods: Several[Text]
    password: PasswordMethod | None = None
    token: TokenMethod | None = None


class ScopeRef(msgspec.Struct):
    project: ProjectRef | None = None
    domain: NamedRef | None = None


class Auth(msgspec.Struct):
    identity: Identity
    scope: ScopeRef | Literal["unscoped"] | None = None


class TokenRequest(msgspec.Struct):
    auth: Auth


class Named(msgspec.Struct):
    id: str
    name: str


class DomainMember(Named):
    """A user or project, with its domain."""

    domain: Named


class Endpoint(msgspec.Struct):
    id: str
    interface: Literal["public"]
    region: str
    region_id: str
    url: str


class Service(msgspec.Struct):
    """A catalog entry."""

    id: str
    type: str
    name: str
    endpoints: list[Endpoint]


class TokenBody(msgspec.Struct, omit_defaults=True):
    """`project` in project tokens, `domain` in domain tokens."""

    methods: list[str]
    issued_at: str
    expires_at: str
    user: DomainMember
    roles: list[Named] | Unset = msgspec.UNSET
    project: DomainMember | Unset = msgspec.UNSET
    domain: Named | Unset = msgspec.UNSET
    catalog: list[Service] | Unset = msgspec.UNSET


class TokenAnswer(msgspec.Struct):
    token: TokenBody


class SelfLink(msgspec.Struct):
    self: str


class ListLinks(SelfLink):
    next: None = None
    previous: None = None


class ProjectBody(msgspec.Struct, kw_only=True):
    id: str
    name: str
    domain_id: str
    parent_id: str
    links: SelfLink
    is_domain: bool = False
    enabled: bool = True
    description: str = ""


class ProjectsAnswer(msgspec.Struct):
    projects: list[ProjectBody]
    links: ListLinks


class DomainBody(msgspec.Struct, kw_only=True):
    id: str
    name: str
    links: SelfLink
    enabled: bool = True
    description: str = ""


class DomainsAnswer(msgspec.Struct):
    domains: list[DomainBody]
    links: ListLinks


class UserBody(msgspec.Struct, kw_only=True):
    id: str
    name: str
    domain_id: str
    links: SelfLink
    enabled: bool = True
    description: str = ""


class UsersAnswer(msgspec.Struct):
    users: list[UserBody]
    links: ListLinks


class RegionBody(msgspec.Struct, kw_only=True):
    id: str
    links: SelfLink
    type: str = "public"
    description: str = ""
    parent_region_id: str | None = None


class RegionAnswer(msgspec.Struct):
    region: RegionBody


class RegionsAnswer(msgspec.Struct):
    regions: list[RegionBody]
    links: ListLinks


class CatalogAnswer(msgspec.Struct):
    catalog: list[Service]
    links: ListLinks


class VersionLink(msgspec.Struct):
    rel: str
    href: str


class Version(msgspec.Struct, kw_only=True):
    """One API version, in the words of version discovery."""

    id: str
    status: str
    updated: str
    links: list[VersionLink]
    version: str = ""
    min_version: str = ""


class VersionAnswer(msgspec.Struct):
    version: Version


class VersionsAnswer(msgspec.Struct):
    versions: list[Version]


def token_body(token: Token, methods: list[str], catalog: list[Service] | None) -> TokenBody:
    account = token.account
    body = TokenBody(
        methods,
        format_time(token.issued_at),
        format_time(token.expires_at),
        _member(account.user_id, account),
    )
    if token.scope is TokenScope.PROJECT:
        body.project = DomainMember(account.project.id, account.project.name, domain_of(account.project))
    if token.scope is TokenScope.DOMAIN:
        body.domain = domain_of(account.project)
    if token.scope is not TokenScope.NONE:
        body.roles = [Named("rds_adm", "rds_adm")]
        body.catalog = msgspec.UNSET if catalog is None else catalog
    return body


def _member(user_id: str, account: Account) -> DomainMember:
    return DomainMember(user_id, account.user_name, domain_of(account.project))


def domain_of(project: Project) -> Named:
    return Named(project.domain_id, project.domain_name)


def catalog_of(project: Project, region: str, base: str) -> list[Service]:
    """What clients look up: contract, auth-and-errors.md 2.3 and clients.md. `base` has no `/` at its end."""
    urls = {
        "identity": f"{base}/v3",
        "rdsv3": f"{base}/v3/{project.id}",
        "network": base,
        "vpc": f"{base}/v1/{project.id}",
        "compute": f"{base}/v2.1/{project.id}",
    }
    return [
        Service(type_, type_, type_, [Endpoint(f"{type_}-public", "public", region, region, url)])
        for type_, url in urls.items()
    ]


def project_body(project: Project, base: str) -> ProjectBody:
    return ProjectBody(
        id=project.id,
        name=project.name,
        domain_id=project.domain_id,
        parent_id=project.domain_id,
        links=SelfLink(f"{base}/v3/projects/{project.id}"),
    )
