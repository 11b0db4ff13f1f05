"""What the accounts of an instance may do: privileges on databases and schemas, and roles. Source: reads.md 4."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.rds.account_reads import PageLimit, PageNumber, asked, page_of
from openrds.api.rds.database_users import RightEntry
from openrds.api.rds.instance_changes import Done, Successful
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.api.waiting import change_and_wait
from openrds.domain.errors import ErrorCode
from openrds.operations.accounts import privileges
from openrds.operations.accounts.databases import check_has_none, check_has_schemas

_TAGS = ["Privileges"]
_CHANGE = refusals(
    ErrorCode.DATABASE_NOT_FOUND,
    ErrorCode.ACCOUNT_NOT_FOUND,
    ErrorCode.BUILT_IN_ACCOUNT,
    ErrorCode.REPLICA_PRIVILEGE,
    ErrorCode.STATUS_FORBIDS_ACCOUNTS,
    ErrorCode.INSTANCE_TYPE,
    body=True,
    instance=True,
)
_READ = refusals(
    ErrorCode.DATABASE_NOT_FOUND,
    ErrorCode.ACCOUNT_NOT_FOUND,
    ErrorCode.STATUS_FORBIDS_ACCOUNTS,
    ErrorCode.INSTANCE_TYPE,
    instance=True,
)


class DatabasesOfUserAnswer(msgspec.Struct):
    databases: list[RightEntry]
    total_count: int


class UsersOfDatabaseAnswer(msgspec.Struct):
    users: list[RightEntry]
    total_count: int


class RolesAnswer(msgspec.Struct):
    roles: list[str]


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/db_privilege",
    status_code=200,
    responses=_CHANGE,
    tags=_TAGS,
)
async def grant_privileges(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[privileges.Grant],
) -> Response[Successful]:
    """Let accounts read a database, or a schema of PostgreSQL, or write there too: exactly this from now on."""
    return await change_and_wait(
        request,
        lambda intake: privileges.grant(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}/db_privilege",
    status_code=200,
    responses=_CHANGE,
    tags=_TAGS,
)
async def revoke_privileges(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[privileges.Revocation],
) -> Response[Successful]:
    """Take all privileges of accounts on a database, or on a schema of PostgreSQL."""
    return await change_and_wait(
        request,
        lambda intake: privileges.revoke(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/db_user/database",
    responses=_READ,
    tags=_TAGS,
)
async def list_databases_of_user(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    page: PageNumber,
    limit: PageLimit,
    user_name: Annotated[str, QueryParameter(name="user-name", min_length=1)],
) -> DatabasesOfUserAnswer:
    """The databases of MySQL or MariaDB that an account may use, by name."""
    found, total = await asked(
        request,
        project_id,
        instance_id,
        lambda accounts, node: accounts.rights_of(node, user_name, page_of(page, limit)),
        check=check_has_none,
    )
    return DatabasesOfUserAnswer([RightEntry(one.database, one.read_only) for one in found], total)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/database/db_user",
    responses=_READ,
    tags=_TAGS,
)
async def list_users_of_database(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    page: PageNumber,
    limit: PageLimit,
    db_name: Annotated[str, QueryParameter(name="db-name", min_length=1)],
) -> UsersOfDatabaseAnswer:
    """The accounts that may use a database of MySQL or MariaDB, by name."""
    found, total = await asked(
        request,
        project_id,
        instance_id,
        lambda accounts, node: accounts.rights_in(node, db_name, page_of(page, limit)),
        check=check_has_none,
    )
    return UsersOfDatabaseAnswer([RightEntry(name, read_only) for name, read_only in found], total)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/db-user-role",
    status_code=200,
    responses=_CHANGE,
    tags=_TAGS,
)
async def grant_roles(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[privileges.RolesOfUser],
) -> Response[Successful]:
    """Make an account of PostgreSQL a member of roles."""
    return await change_and_wait(
        request,
        lambda intake: privileges.grant_roles(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}/db-user-role",
    status_code=200,
    responses=_CHANGE,
    tags=_TAGS,
)
async def revoke_roles(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[privileges.RolesOfUser],
) -> Response[Successful]:
    """End the membership of an account of PostgreSQL in roles."""
    return await change_and_wait(
        request,
        lambda intake: privileges.revoke_roles(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/db-user-privilege",
    status_code=200,
    responses=_CHANGE,
    tags=_TAGS,
)
async def set_user_privileges(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[privileges.UserPrivileges],
) -> Response[Done]:
    """Give an account of PostgreSQL attributes such as CREATEDB, or roles of the system, or take them."""
    return await change_and_wait(
        request,
        lambda intake: privileges.set_privileges(intake, instance_id, data),
        Done(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@get("/v3/{project_id:str}/instances/{instance_id:str}/roles", responses=_READ, tags=_TAGS)
async def list_roles(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    user_name: Annotated[
        str | None, QueryParameter(description="Those that this account may be given.")
    ] = None,
) -> RolesAnswer:
    """The roles of PostgreSQL of which accounts may be made members, by name."""
    found = await asked(
        request,
        project_id,
        instance_id,
        lambda accounts, node: accounts.roles(node, user_name or ""),
        check=check_has_schemas,
    )
    return RolesAnswer(found)


HANDLERS = [
    grant_privileges,
    revoke_privileges,
    list_databases_of_user,
    list_users_of_database,
    grant_roles,
    revoke_roles,
    set_user_privileges,
    list_roles,
]
