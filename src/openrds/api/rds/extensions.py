"""Extensions of the databases of PostgreSQL. Source: reads.md, appendix, and the cloud's SDK."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.rds.account_reads import asked
from openrds.api.rds.instance_changes import Successful
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.api.waiting import change_and_wait
from openrds.domain.accounts import Extension, Page
from openrds.domain.errors import ErrorCode
from openrds.operations.accounts import extensions
from openrds.operations.accounts.databases import check_has_schemas

_TAGS = ["Databases"]
_CHANGE = (
    ErrorCode.DATABASE_NOT_FOUND,
    ErrorCode.REPLICA_DATABASE,
    ErrorCode.STATUS_FORBIDS_ACCOUNTS,
    ErrorCode.INSTANCE_TYPE,
)


class ExtensionEntry(msgspec.Struct):
    """`version_update` is what it can be updated to, or empty. `shared_preload_libraries` names the library that must
    be in the parameter of that name before it is created, or is empty.
    """

    name: str
    database_name: str
    version: str
    version_update: str
    shared_preload_libraries: str
    created: bool
    description: str


class ExtensionsAnswer(msgspec.Struct):
    extensions: list[ExtensionEntry]
    total_count: int


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/extensions",
    responses=refusals(
        ErrorCode.STATUS_FORBIDS_ACCOUNTS,
        ErrorCode.DATABASE_NOT_FOUND,
        ErrorCode.INSTANCE_TYPE,
        instance=True,
    ),
    tags=_TAGS,
)
async def list_extensions(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    database_name: Annotated[str, QueryParameter(min_length=1)],
    offset: Annotated[int, QueryParameter(ge=0, le=2**31)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> ExtensionsAnswer:
    """What a database of PostgreSQL has, or may be given, by name."""
    found, total = await asked(
        request,
        project_id,
        instance_id,
        lambda accounts, node: accounts.extensions(node, database_name, Page(offset, limit)),
        check=check_has_schemas,
    )
    return ExtensionsAnswer([_entry(database_name, one) for one in found], total)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/extensions",
    status_code=200,
    responses=refusals(*_CHANGE, ErrorCode.NOT_CREATED, body=True, instance=True),
    tags=_TAGS,
)
async def create_extension(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[extensions.ExtensionOfDatabase],
) -> Response[Successful]:
    """Create an extension in a database of PostgreSQL, in its schema public."""
    return await change_and_wait(
        request,
        lambda intake: extensions.create(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.NOT_CREATED,
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/extensions",
    responses=refusals(*_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def update_extension(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[extensions.ExtensionOfDatabase],
) -> Response[Successful]:
    """Bring an extension of a database to the newest version that the server has."""
    return await change_and_wait(
        request,
        lambda intake: extensions.update(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


@delete(
    "/v3/{project_id:str}/instances/{instance_id:str}/extensions",
    status_code=200,
    responses=refusals(*_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def drop_extension(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[extensions.ExtensionOfDatabase],
) -> Response[Successful]:
    """Drop an extension of a database, unless something else in it needs it."""
    return await change_and_wait(
        request,
        lambda intake: extensions.drop(intake, instance_id, data),
        Successful(),
        failed=ErrorCode.INSTANCE_BUSY,
    )


def _entry(database: str, extension: Extension) -> ExtensionEntry:
    return ExtensionEntry(
        name=extension.name,
        database_name=database,
        version=extension.version,
        version_update=extension.newest,
        shared_preload_libraries=extension.preloaded_as,
        created=extension.is_created,
        description=extension.description,
    )


HANDLERS = [list_extensions, create_extension, update_extension, drop_extension]
