"""Applying parameter groups to instances, and to which they were applied. Source: reads.md 5."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds import parameter_bodies as bodies
from openrds.api.rds.configurations import find_group
from openrds.api.rds.parameter_catalogues import catalogue_for
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, project_of, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.parameters import Catalogue
from openrds.domain.task import TaskStatus, format_time
from openrds.operations.intake.intake import Intake
from openrds.operations.parameters import change_parameters
from openrds.store.parameters import ParameterGroup
from openrds.store.queries import Queries

_sql = Queries("parameters")
_TAGS = ["Parameters"]
_MOST_AT_ONCE = 50
#: Seconds that a caller waits for all of them.
_PATIENCE = 20.0
_REFUSALS = (
    ErrorCode.CONFIGURATION,
    ErrorCode.DATASTORE_VERSION,
    ErrorCode.PARAMETER_RANGE,
    ErrorCode.PARAMETER_VALUE,
)


@put(
    "/v3/{project_id:str}/configurations/{configuration_id:str}/apply",
    responses=refusals(*_REFUSALS, body=True, instance=True),
    tags=_TAGS,
)
async def apply(
    request: ApiRequest,
    project_id: FromPath[str],
    configuration_id: FromPath[str],
    data: JSONBody[bodies.ApplyGroup],
) -> Response[bodies.ApplyAnswer]:
    """Have instances have the parameters of a group, and no others be set.

    The answer comes once their servers have what needs no restart, and says of each whether that went well.
    """
    use = await _use(request, project_id, configuration_id, data)
    response = await change(request, use.accept)
    if use.answer is None:  # the call came again, and gets the answer of the first
        return response
    for result, task_id in zip(use.answer.apply_results, use.tasks, strict=True):
        result.job_id = msgspec.UNSET
        if task_id is not None:
            tasks = service_of(request).running_tasks
            task = await tasks.wait(project_of(request).id, task_id, _PATIENCE)
            result.success = task is not None and task["status"] == TaskStatus.COMPLETED
    return Response(use.answer.summed_up())


@put(
    "/v3.1/{project_id:str}/configurations/{configuration_id:str}/apply",
    responses=refusals(*_REFUSALS, body=True, instance=True),
    tags=_TAGS,
)
async def apply_by_task(
    request: ApiRequest,
    project_id: FromPath[str],
    configuration_id: FromPath[str],
    data: JSONBody[bodies.ApplyGroup],
) -> Response[bodies.ApplyAnswer]:
    """The same by a task for each of them; those that cannot have it now are told with `success` false."""
    use = await _use(request, project_id, configuration_id, data)
    return await change(request, use.accept)


@dataclass
class _Use:
    """A group on its way to instances; `tasks` are those of the results, in their order."""

    group: ParameterGroup
    catalogue: Catalogue
    instance_ids: list[str]
    answer: bodies.ApplyAnswer | None
    tasks: list[UUID | None]

    def accept(self, intake: Intake) -> bodies.ApplyAnswer:
        """One that is refused keeps no other from being done; where there is only one, the call is refused."""
        results = [self._accept_one(intake, instance_id) for instance_id in self.instance_ids]
        self.answer = bodies.ApplyAnswer(
            self.group.id, self.group.name, success=True, apply_results=results
        ).summed_up()
        return self.answer

    def _accept_one(self, intake: Intake, instance_id: str) -> bodies.ApplyResult:
        instance = intake.instance(instance_id)
        result = bodies.ApplyResult(instance.id, instance.name, restart_required=False, success=False)
        try:
            with intake.connection.transaction():
                accepted = change_parameters.submit_group(intake, instance_id, self.group.id, self.catalogue)
        except Refusal:
            if len(self.instance_ids) == 1:
                raise
            self.tasks.append(None)
            return result
        self.tasks.append(accepted.task_id)
        result.restart_required, result.success = accepted.restart_required, True
        result.job_id = str(accepted.task_id)
        return result


async def _use(request: ApiRequest, project_id: str, configuration_id: str, data: bodies.ApplyGroup) -> _Use:
    wanted = list(dict.fromkeys(data.instance_ids))
    if not 1 <= len(wanted) <= _MOST_AT_ONCE:
        raise Refusal(ErrorCode.PARAMETER, f"instance_ids must have 1 to {_MOST_AT_ONCE} ids.")
    group = await find_group(request, project_id, configuration_id)
    catalogue = await catalogue_for(request, group.engine, group.version)
    return _Use(group, catalogue, wanted, None, [])


@get(
    "/v3/{project_id:str}/configurations/{configuration_id:str}/apply-histories",
    responses=refusals(ErrorCode.CONFIGURATION),
    tags=_TAGS,
)
async def list_applications(
    request: ApiRequest,
    project_id: FromPath[str],
    configuration_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> bodies.ApplicationsAnswer:
    """To which instances it was applied, latest first; the last 1000 times are kept."""
    group = await find_group(request, project_id, configuration_id)
    key = {"project_id": project_id, "configuration_id": group.id, "offset": offset, "limit": limit}
    rows = await service_of(request).reads.rows(_sql.applications, key)
    listed = [
        bodies.Application(
            instance_id=row["instance_id"],
            instance_name=row["instance_name"],
            apply_result="SUCCESS" if row["succeeded"] else "FAILED",
            apply_time=format_time(row["applied_at"]),
            error_code="" if row["succeeded"] else ErrorCode.CONFIGURATION_FAILED.code,
        )
        for row in rows
        if row["id"] is not None
    ]
    return bodies.ApplicationsAnswer(rows[0]["total"], listed)


@get(
    "/v3/{project_id:str}/configurations/{configuration_id:str}/query-instances",
    responses=refusals(ErrorCode.CONFIGURATION),
    tags=_TAGS,
)
async def list_candidates(
    request: ApiRequest,
    project_id: FromPath[str],
    configuration_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> bodies.CandidatesAnswer:
    """To which instances it could be applied."""
    group = await find_group(request, project_id, configuration_id)
    key = {"project_id": project_id, "engine": group.engine, "version": group.version}
    rows = await service_of(request).reads.rows(_sql.candidates, {**key, "offset": offset, "limit": limit})
    entities = [bodies.Candidate(row["id"], row["name"]) for row in rows if row["id"] is not None]
    return bodies.CandidatesAnswer(entities, _MOST_AT_ONCE, rows[0]["total"])


HANDLERS = [apply, apply_by_task, list_applications, list_candidates]
