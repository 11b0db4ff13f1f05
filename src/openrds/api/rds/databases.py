"""Databases and schemas of an instance. Source: reads.md 4."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from openrds.api.rds.account_reads import PageLimit, PageNumber, asked, page_of
from openrds.api.rds.instance_changes import Successful
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.api.waiting import change_and_wait
from openrds.domain.accounts import Database
from openrds.domain.errors import ErrorCode
from openrds.operations.accounts import databases

_TAGS = ["Databases"]
_CHANGE = (
    ErrorCode.DATABASE_NOT_FOUND,
    ErrorCode.ACCOUNT_NOT_FOUND,
    ErrorCode.REPLICA_DATABASE,
    ErrorCode.STATUS_FORBIDS_ACCOUNTS,
    ErrorCode.INSTANCE_TYPE,
)


class DatabaseEntry(msgspec.Struct):
    """`owner`, `collate_set` and `size`, in bytes, are PostgreSQL's."""

    name: str
    character_set: str
    comment: str
    owner: str | UnsetType = UNSET
    collate_set: str | UnsetType = UNSET
    size: int | UnsetType = UNSET


class DatabasesAnswer(msgspec.Struct):
    databases: list[DatabaseEntry]
    total_count: int


class SchemaEntry(msgspec.Struct):
    schema_name: str
    owner: str


class SchemasAnswer(msgspec.Struct):
    database_schemas: list[SchemaEntry]
    total_count: int


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/database",
    status_code=200,
    responses=refusals(
        *_CHANGE,
        ErrorCode.DATABASE_EXISTS,
        ErrorCode.NOT_CREATED,
        ErrorCode.BUILT_IN_ACCOUNT,
        body=True,
        instance=True,
    ),
    tags=_TAGS,
)
async def create_database(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[databases.NewDatabase],
) -> Response[Successful]:
    """Create a database. The answer comes once it is there, as with all changes of databases and accounts."""
    return await change_and_wait(
        request,
        lambda intake: databases.create(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.NOT_CREATED,
    )


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/database/detail",
    responses=refusals(ErrorCode.STATUS_FORBIDS_ACCOUNTS, instance=True),
    tags=_TAGS,
)
async def list_databases(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    page: PageNumber,
    limit: PageLimit,
    db: Annotated[str | None, QueryParameter(description="Only the one of this name.")] = None,
) -> DatabasesAnswer:
    """All databases but the server's own, by name."""
    found, total = await asked(
        request,
        project_id,
        instance_id,
        lambda accounts, node: accounts.databases(node, page_of(page, limit), db or ""),
    )
    return DatabasesAnswer([_entry(one) for one in found], total)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/database/update",
    status_code=200,
    responses=refusals(*_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def describe_database(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[databases.DescribedDatabase],
) -> Response[Successful]:
    """Give a database another comment, or none."""
    return await change_and_wait(
        request,
        lambda intake: databases.describe(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/database/owner",
    status_code=200,
    responses=refusals(*_CHANGE, ErrorCode.BUILT_IN_ACCOUNT, body=True, instance=True),
    tags=_TAGS,
)
async def give_database(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[databases.OwnedDatabase],
) -> Response[Successful]:
    """Give a database of PostgreSQL another owner."""
    return await change_and_wait(
        request,
        lambda intake: databases.give(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}/database/{db_name:str}",
    status_code=200,
    responses=refusals(*_CHANGE, instance=True),
    tags=_TAGS,
)
async def drop_database(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], db_name: FromPath[str]
) -> Response[Successful]:
    """Drop a database with all that is in it; sessions in it are ended."""
    return await change_and_wait(
        request,
        lambda intake: databases.drop(intake, instance_id, db_name),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/schema",
    status_code=200,
    responses=refusals(*_CHANGE, ErrorCode.NOT_CREATED, ErrorCode.BUILT_IN_ACCOUNT, body=True, instance=True),
    tags=_TAGS,
)
async def create_schemas(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[databases.SchemasOfDatabase],
) -> Response[Successful]:
    """Create schemas in a database of PostgreSQL: all of them, or none."""
    return await change_and_wait(
        request,
        lambda intake: databases.create_schemas(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.NOT_CREATED,
    )


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/schema/detail",
    responses=refusals(
        ErrorCode.STATUS_FORBIDS_ACCOUNTS,
        ErrorCode.DATABASE_NOT_FOUND,
        ErrorCode.INSTANCE_TYPE,
        instance=True,
    ),
    tags=_TAGS,
)
async def list_schemas(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    page: PageNumber,
    limit: PageLimit,
    db_name: Annotated[str, QueryParameter(min_length=1)],
) -> SchemasAnswer:
    """The schemas of a database of PostgreSQL, by name."""
    found, total = await asked(
        request,
        project_id,
        instance_id,
        lambda accounts, node: accounts.schemas(node, db_name, page_of(page, limit)),
        check=databases.check_has_schemas,
    )
    return SchemasAnswer([SchemaEntry(one.name, one.owner) for one in found], total)


def _entry(database: Database) -> DatabaseEntry:
    """What an engine does not have is left out."""
    entry = DatabaseEntry(database.name, database.character_set, database.comment)
    if database.size is None:
        return entry
    return msgspec.structs.replace(
        entry, owner=database.owner, collate_set=database.collation, size=database.size
    )


HANDLERS = [
    create_database,
    list_databases,
    describe_database,
    give_database,
    drop_database,
    create_schemas,
    list_schemas,
]
