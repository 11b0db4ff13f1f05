"""Accounts of an instance, which the API calls users. Source: reads.md 4."""

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from openrds.api.rds.account_reads import PageLimit, PageNumber, asked, page_of
from openrds.api.rds.instance_changes import Successful
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.api.waiting import change_and_wait
from openrds.domain.accounts import Account
from openrds.domain.errors import ErrorCode
from openrds.operations.accounts import users

_TAGS = ["Accounts"]
_CHANGE = (
    ErrorCode.ACCOUNT_NOT_FOUND,
    ErrorCode.BUILT_IN_ACCOUNT,
    ErrorCode.REPLICA_ACCOUNT,
    ErrorCode.STATUS_FORBIDS_ACCOUNTS,
)


class RightEntry(msgspec.Struct):
    name: str
    readonly: bool


class AttributesEntry(msgspec.Struct):
    rolsuper: bool
    rolinherit: bool
    rolcreaterole: bool
    rolcreatedb: bool
    rolcanlogin: bool
    rolconnlimit: int
    rolreplication: bool
    rolbypassrls: bool


class UserEntry(msgspec.Struct):
    """`databases` and `hosts` are those of MySQL and MariaDB, `attributes` and `memberof` PostgreSQL's."""

    name: str
    comment: str
    databases: list[RightEntry] | UnsetType = UNSET
    hosts: list[str] | UnsetType = UNSET
    attributes: AttributesEntry | UnsetType = UNSET
    memberof: list[str] | UnsetType = UNSET


class UsersAnswer(msgspec.Struct):
    users: list[UserEntry]
    total_count: int


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/db_user",
    status_code=200,
    responses=refusals(
        *_CHANGE,
        ErrorCode.ACCOUNT_EXISTS,
        ErrorCode.DATABASE_NOT_FOUND,
        ErrorCode.NOT_CREATED,
        ErrorCode.PASSWORD,
        ErrorCode.INSTANCE_TYPE,
        body=True,
        instance=True,
    ),
    tags=_TAGS,
)
async def create_user(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[users.NewUser],
) -> Response[Successful]:
    """Create an account, which may log in and has no rights but those that it is given."""
    return await change_and_wait(
        request,
        lambda intake: users.create(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.NOT_CREATED,
    )


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/db_user/detail",
    responses=refusals(ErrorCode.STATUS_FORBIDS_ACCOUNTS, instance=True),
    tags=_TAGS,
)
async def list_users(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    page: PageNumber,
    limit: PageLimit,
) -> UsersAnswer:
    """All accounts but the administrator and those of the system, by name."""
    found, total = await asked(
        request, project_id, instance_id, lambda accounts, node: accounts.accounts(node, page_of(page, limit))
    )
    return UsersAnswer([_entry(one) for one in found], total)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/db_user/resetpwd",
    status_code=200,
    responses=refusals(*_CHANGE, ErrorCode.PASSWORD, body=True, instance=True),
    tags=_TAGS,
)
async def set_user_password(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[users.UserPassword],
) -> Response[Successful]:
    """Give an account another password."""
    return await change_and_wait(
        request,
        lambda intake: users.set_password(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/db-users/{user_name:str}/comment",
    responses=refusals(*_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def describe_user(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    user_name: FromPath[str],
    data: JSONBody[users.UserComment],
) -> Response[Successful]:
    """Give an account another comment, or none."""
    return await change_and_wait(
        request,
        lambda intake: users.describe(intake, instance_id, user_name, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}/db_user/{user_name:str}",
    status_code=200,
    responses=refusals(*_CHANGE, instance=True),
    tags=_TAGS,
)
async def drop_user(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], user_name: FromPath[str]
) -> Response[Successful]:
    """Drop an account with its rights; its sessions are ended. One of PostgreSQL that owns something stays."""
    return await change_and_wait(
        request,
        lambda intake: users.drop(intake, instance_id, user_name),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/host-privilege",
    responses=refusals(*_CHANGE, ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def set_user_hosts(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[users.UserHosts],
) -> Response[Successful]:
    """Say from which hosts an account of MySQL or MariaDB may log in; from others it may not any more."""
    return await change_and_wait(
        request,
        lambda intake: users.set_hosts(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


def _entry(account: Account) -> UserEntry:
    entry = UserEntry(account.name, account.comment)
    if account.attributes:
        entry.attributes = msgspec.convert(account.attributes, AttributesEntry)
        entry.memberof = list(account.member_of)
    else:
        entry.databases = [RightEntry(right.database, right.read_only) for right in account.rights]
        entry.hosts = list(account.hosts)
    return entry


HANDLERS = [
    create_user,
    list_users,
    set_user_password,
    describe_user,
    drop_user,
    set_user_hosts,
]
