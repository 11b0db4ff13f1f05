"""Parameter groups, which the contract calls configurations. Source: reads.md 5."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds import parameter_bodies as bodies
from openrds.api.rds.parameter_catalogues import catalogue_for, installations, installed_version
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.task import format_time
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.parameter_groups import default_groups, find_default
from openrds.operations.parameters import groups
from openrds.store.parameters import ParameterGroup, group_of
from openrds.store.queries import Queries

_sql = Queries("parameters")
_TAGS = ["Parameters"]
_VALUES = (
    ErrorCode.PARAMETER_UNKNOWN,
    ErrorCode.PARAMETER_VALUE,
    ErrorCode.PARAMETER_RANGE,
    ErrorCode.DATASTORE_VERSION,
    ErrorCode.INSTANCE_BUSY,
)


class Done(msgspec.Struct):
    pass


@get("/v3/{project_id:str}/configurations", responses=refusals(), tags=_TAGS)
async def list_groups(
    request: ApiRequest,
    project_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 200,
) -> bodies.GroupsAnswer:
    """Those of the project, after the default groups: one for each version that there is."""
    rows = await service_of(request).reads.rows(_sql.configurations, [project_id])
    found = [*default_groups(await installations(request)), *map(group_of, rows)]
    listed = [
        bodies.ListedGroup(**bodies.of_group(group), user_defined=group.user_defined)
        for group in found[offset : offset + limit]
    ]
    return bodies.GroupsAnswer(listed, len(found))


@post(
    "/v3/{project_id:str}/configurations",
    status_code=200,
    responses=refusals(*_VALUES, ErrorCode.ENGINE, ErrorCode.CONFIGURATION_QUOTA, body=True),
    tags=_TAGS,
)
async def create(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[groups.CreateGroup]
) -> Response[bodies.CreatedGroupAnswer]:
    """Make a group for a version of an engine."""
    engine = EngineName.parse(data.datastore.type)
    if engine is None:
        raise Refusal(ErrorCode.ENGINE, f"datastore.type must be one of {', '.join(EngineName)}.")
    version = await installed_version(request, engine, data.datastore.version)
    catalogue = await catalogue_for(request, engine, version)

    def work(intake: Intake) -> bodies.CreatedGroupAnswer:
        made = groups.create(intake, data, engine, version, catalogue)
        return bodies.CreatedGroupAnswer(bodies.Group(**bodies.of_group(made)))

    return await change(request, work)


@get(
    "/v3/{project_id:str}/configurations/{configuration_id:str}",
    responses=refusals(ErrorCode.CONFIGURATION, ErrorCode.DATASTORE_VERSION, ErrorCode.INSTANCE_BUSY),
    tags=_TAGS,
)
async def show(
    request: ApiRequest, project_id: FromPath[str], configuration_id: FromPath[str]
) -> bodies.ShownGroup:
    """A group with all parameters that servers have; what it does not set is what those of the smallest class have."""
    group = await find_group(request, project_id, configuration_id)
    catalogue = await catalogue_for(request, group.engine, group.version)
    values = bodies.values_of(catalogue, group.parameters)
    return bodies.ShownGroup(
        **bodies.of_group(group), configuration_parameters=bodies.shown(catalogue, values)
    )


@put(
    "/v3/{project_id:str}/configurations/{configuration_id:str}",
    responses=refusals(*_VALUES, ErrorCode.CONFIGURATION, ErrorCode.CONFIGURATION_FIXED, body=True),
    tags=_TAGS,
)
async def update(
    request: ApiRequest,
    project_id: FromPath[str],
    configuration_id: FromPath[str],
    data: JSONBody[groups.UpdateGroup],
) -> Response[bodies.UpdatedGroupAnswer]:
    """Change a group. Instances get it when it is applied to them again."""
    group = await find_group(request, project_id, configuration_id)
    catalogue = await catalogue_for(request, group.engine, group.version) if data.values else {}

    def work(intake: Intake) -> bodies.UpdatedGroupAnswer:
        changed = groups.update(intake, configuration_id, data, catalogue)
        return bodies.UpdatedGroupAnswer(bodies.UpdatedGroup(changed.id, changed.name, []))

    return await change(request, work)


@delete(
    "/v3/{project_id:str}/configurations/{configuration_id:str}",
    status_code=200,
    responses=refusals(
        ErrorCode.CONFIGURATION, ErrorCode.CONFIGURATION_FIXED, ErrorCode.CONFIGURATION_IN_USE
    ),
    tags=_TAGS,
)
async def remove(
    request: ApiRequest, project_id: FromPath[str], configuration_id: FromPath[str]
) -> Response[Done]:
    """Delete a group that no instance has."""

    def work(intake: Intake) -> Done:
        groups.remove(intake, configuration_id)
        return Done()

    return await change(request, work)


@post(
    "/v3/{project_id:str}/configurations/{configuration_id:str}/copy",
    status_code=200,
    responses=refusals(ErrorCode.CONFIGURATION, ErrorCode.CONFIGURATION_QUOTA, body=True),
    tags=_TAGS,
)
async def copy(
    request: ApiRequest,
    project_id: FromPath[str],
    configuration_id: FromPath[str],
    data: JSONBody[groups.CopyGroup],
) -> Response[bodies.CopiedGroup]:
    """Make a group with what another has."""

    def work(intake: Intake) -> bodies.CopiedGroup:
        made = groups.copy(intake, configuration_id, data)
        return bodies.CopiedGroup(
            id=made.id,
            name=made.name,
            description=made.description,
            datastore_version_name=made.version,
            datastore_name=made.engine.lower(),
            create_time=format_time(made.created_at),
            update_time=format_time(made.updated_at),
        )

    return await change(request, work)


@put(
    "/v3/{project_id:str}/configurations/{configuration_id:str}/reset",
    responses=refusals(
        ErrorCode.CONFIGURATION,
        ErrorCode.CONFIGURATION_FIXED,
        ErrorCode.DATASTORE_VERSION,
        ErrorCode.INSTANCE_BUSY,
    ),
    tags=_TAGS,
)
async def reset(
    request: ApiRequest, project_id: FromPath[str], configuration_id: FromPath[str]
) -> Response[bodies.ResetAnswer]:
    """Have nothing set in a group any more."""
    group = await find_group(request, project_id, configuration_id)
    catalogue = await catalogue_for(request, group.engine, group.version)

    def work(intake: Intake) -> bodies.ResetAnswer:
        needs = any(name in catalogue and catalogue[name].restart for name in group.parameters)
        return bodies.ResetAnswer(groups.reset(intake, configuration_id).name, needs)

    return await change(request, work)


@put(
    "/v3/{project_id:str}/configurations/difference",
    responses=refusals(
        ErrorCode.CONFIGURATION, ErrorCode.DATASTORE_VERSION, ErrorCode.INSTANCE_BUSY, body=True
    ),
    tags=_TAGS,
)
async def compare(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[bodies.Compare]
) -> bodies.DifferenceAnswer:
    """In what two groups of one engine differ."""
    source = await find_group(request, project_id, data.source_id)
    target = await find_group(request, project_id, data.target_id)
    if source.engine is not target.engine:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"{source.name} is for {source.engine}, and {target.name} for {target.engine}: only groups of one engine "
            "can be compared.",
        )
    here, there = [
        bodies.values_of(await catalogue_for(request, group.engine, group.version), group.parameters)
        for group in (source, target)
    ]
    return bodies.DifferenceAnswer(
        source.id, target.id, source.name, target.name, list(bodies.differences(here, there))
    )


async def find_group(request: ApiRequest, project_id: str, configuration_id: str) -> ParameterGroup:
    """A group of the project, or a default group.

    Raises:
        Refusal: CONFIGURATION.
    """
    key = {"id": configuration_id, "project_id": project_id}
    row = await service_of(request).reads.row(_sql.configuration, key)
    return group_of(row) if row else find_default(await installations(request), configuration_id)


HANDLERS = [list_groups, create, show, update, remove, copy, reset, compare]
