"""The parameters of an instance: what they are, and setting some. Source: reads.md 5."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Response, get, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds import parameter_bodies as bodies
from openrds.api.rds.instance_reads import find_instance
from openrds.api.rds.parameter_catalogues import catalogue_for
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.api.waiting import change_and_wait
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import find_flavor
from openrds.domain.instance_values import Instance
from openrds.domain.parameter_limits import fitting
from openrds.domain.parameters import Catalogue, changed
from openrds.domain.task import format_time
from openrds.engines.protocol import Size
from openrds.operations.intake.intake import Intake
from openrds.operations.parameters import change_parameters
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("parameters")
_TAGS = ["Parameters"]
_VALUES = (
    ErrorCode.PARAMETER_UNKNOWN,
    ErrorCode.PARAMETER_VALUE,
    ErrorCode.PARAMETER_RANGE,
    ErrorCode.DATASTORE_VERSION,
)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/configurations",
    responses=refusals(ErrorCode.DATASTORE_VERSION, instance=True),
    tags=_TAGS,
)
async def show_parameters(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> bodies.InstanceParametersAnswer:
    """What is set, also what waits for a restart, and of the rest what the servers have by themselves."""
    instance = await find_instance(request, project_id, instance_id)
    catalogue = await catalogue_for(request, instance.engine, instance.version)
    values = await _values(request, instance, catalogue)
    return bodies.InstanceParametersAnswer(
        datastore_version_name=instance.version,
        datastore_name=instance.engine.lower(),
        created=format_time(instance.created_at),
        updated=format_time(instance.updated_at),
        configuration_parameters=bodies.shown(catalogue, values),
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/configurations",
    responses=refusals(*_VALUES, ErrorCode.CONFIGURATION_FAILED, body=True, instance=True),
    tags=_TAGS,
)
async def set_parameters(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[bodies.SetValues],
) -> Response[bodies.RestartAnswer]:
    """Set some. The answer comes once the servers have what needs no restart."""
    catalogue = await _catalogue(request, project_id, instance_id)
    answer = bodies.RestartAnswer(restart_required=False)

    def submit(intake: Intake) -> Any:
        accepted = change_parameters.submit(intake, instance_id, data.values, catalogue)
        answer.restart_required = accepted.restart_required
        return accepted.task_id

    return await change_and_wait(request, submit, answer, failed=ErrorCode.CONFIGURATION_FAILED)


@put(
    "/v3.1/{project_id:str}/instances/{instance_id:str}/configurations",
    responses=refusals(*_VALUES, body=True, instance=True),
    tags=_TAGS,
)
async def set_parameters_by_task(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[bodies.SetValues],
) -> Response[bodies.RestartJobAnswer]:
    """Set some, by a task."""
    return await _by_task(request, project_id, instance_id, data.values)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/parameter/{name:str}",
    responses=refusals(ErrorCode.PARAMETER_UNKNOWN, ErrorCode.DATASTORE_VERSION, instance=True),
    tags=_TAGS,
)
async def show_parameter(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], name: FromPath[str]
) -> bodies.ShownParameter:
    """One of them."""
    instance = await find_instance(request, project_id, instance_id)
    catalogue = await catalogue_for(request, instance.engine, instance.version)
    if name not in catalogue:
        raise Refusal(ErrorCode.PARAMETER_UNKNOWN, f"There is no parameter {name[:64]!r}.")
    values = await _values(request, instance, catalogue)
    return bodies.shown({name: catalogue[name]}, values)[0]


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/parameter/{name:str}",
    responses=refusals(*_VALUES, body=True, instance=True),
    tags=_TAGS,
)
async def set_parameter(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    name: FromPath[str],
    data: JSONBody[bodies.SetValue],
) -> Response[bodies.RestartJobAnswer]:
    """Set one of them, by a task."""
    return await _by_task(request, project_id, instance_id, {name: data.value})


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/configuration-histories",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_changes(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    start_time: FromQuery[dt.datetime | None] = None,
    end_time: FromQuery[dt.datetime | None] = None,
    param_name: FromQuery[str | None] = None,
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> bodies.ParameterChangesAnswer:
    """What was changed, latest first; the last 1000 changes are kept."""
    instance = await find_instance(request, project_id, instance_id)
    rows = await service_of(request).reads.rows(
        _sql.changes,
        {
            "id": instance.id,
            "name": param_name or None,
            "begin": start_time,
            "end": end_time,
            "offset": offset,
            "limit": limit,
        },
    )
    waiting = set(changed(instance.parameters_in_force, instance.parameters))
    listed = [_listed(row, waiting, instance.parameters_in_force) for row in rows if row["id"] is not None]
    return bodies.ParameterChangesAnswer(rows[0]["total"], listed)


async def _by_task(
    request: ApiRequest, project_id: str, instance_id: str, values: Mapping[str, str]
) -> Response[bodies.RestartJobAnswer]:
    catalogue = await _catalogue(request, project_id, instance_id)

    def work(intake: Intake) -> bodies.RestartJobAnswer:
        accepted = change_parameters.submit(intake, instance_id, values, catalogue)
        return bodies.RestartJobAnswer(str(accepted.task_id), accepted.restart_required)

    return await change(request, work)


async def _catalogue(request: ApiRequest, project_id: str, instance_id: str) -> Catalogue:
    instance = await find_instance(request, project_id, instance_id)
    return await catalogue_for(request, instance.engine, instance.version)


async def _values(request: ApiRequest, instance: Instance, catalogue: Catalogue) -> dict[str, str]:
    size = await _size(request, instance)
    sight = service_of(request).sight
    engine = sight.engines.get(instance.engine) if sight else None
    derived = engine.parameters.derived(size, instance.options) if engine else {}
    fit = fitting(instance.engine, instance.parameters, size["memory_mb"])
    values: dict[str, str] = bodies.values_of(catalogue, fit, derived)
    if instance.replica_of is None or engine is None:
        return values
    primary = await find_instance(request, instance.project_id, instance.replica_of)
    theirs = await _values(request, primary, catalogue)
    least = {name: theirs[name] for name in engine.parameters.room() if name in theirs and name in values}
    return values | {name: max(values[name], value, key=int) for name, value in least.items()}


async def _size(request: ApiRequest, instance: Instance) -> Size:
    service = service_of(request)
    flavor = find_flavor(instance.engine, instance.flavor_ref)
    assert flavor is not None, "an instance was accepted with a flavor that does not exist"
    memory_mb = flavor.memory_mb
    if service.settings.flavors == "scaled":
        row = await service.reads.row(_sql.memory_of_instance, [instance.id])
        memory_mb = min(memory_mb, (row and row["memory_mb"]) or memory_mb)
    return Size(memory_mb=memory_mb, vcpus=flavor.vcpus)


def _listed(row: Row, waiting: set[str], in_force: Mapping[str, str]) -> bodies.ParameterChange:
    name, succeeded = row["name"], row["succeeded"]
    applied = succeeded and (name not in waiting or in_force.get(name) == row["new_value"])
    moment = format_time(row["changed_at"])
    return bodies.ParameterChange(
        parameter_name=name,
        old_value=row["old_value"] or "",
        new_value=row["new_value"] or "",
        update_result="SUCCESS" if succeeded else "FAILED",
        applied=applied,
        update_time=moment,
        apply_time=moment if applied else "",
    )


HANDLERS = [
    show_parameters,
    set_parameters,
    set_parameters_by_task,
    show_parameter,
    set_parameter,
    list_changes,
]
