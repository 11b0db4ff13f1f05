"""What is asked of several instances at once: each gets a task of its own. Source: operations.md 4 and 13."""

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Several, Text
from openrds.operations.instances import delete_instance, resize_flavor, stop_instance
from openrds.operations.intake.intake import Intake

_TAGS = ["Instances"]
_MOST_AT_ONCE = 50


class SeveralInstances(msgspec.Struct):
    instance_ids: Several[Text]


class Record(msgspec.Struct):
    instance_id: str
    job_id: str


class RecordsAnswer(msgspec.Struct):
    """Instances of which it could not be asked now are left out."""

    records: list[Record]


@post(
    "/v3/{project_id:str}/instances/batch/action/shutdown",
    status_code=200,
    responses=refusals(body=True),
    tags=_TAGS,
)
async def stop_several(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[SeveralInstances]
) -> Response[RecordsAnswer]:
    """Stop several instances. Those that cannot be stopped now are left out of the answer."""
    return await change(request, lambda intake: _each(intake, data.instance_ids, stop_instance.submit))


@post(
    "/v3/{project_id:str}/instances/batch-delete",
    status_code=202,
    responses=refusals(body=True),
    tags=_TAGS,
)
async def delete_several(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[SeveralInstances]
) -> Response[RecordsAnswer]:
    """Delete several instances with their data. Those that cannot be deleted now are left out of the answer.

    Read replicas are deleted by the task of their primary where that is deleted too.
    """

    def work(intake: Intake) -> RecordsAnswer:
        _check_number(data.instance_ids)
        tasks = delete_instance.submit_several(intake, data.instance_ids)
        return RecordsAnswer([Record(id_, str(task_id)) for id_, task_id in tasks.items()])

    return await change(request, work, status=202)


@post(
    "/v3/{project_id:str}/instances/batch/resize",
    status_code=200,
    responses=refusals(ErrorCode.FLAVOR, ErrorCode.FLAVOR_CHANGE, body=True, instance=True),
    tags=_TAGS,
)
async def resize_several(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[resize_flavor.ResizeSeveral]
) -> Response[JobIdAnswer]:
    """Give several instances another flavor, each by a task of its own, or none of them. `job_id` is the first's."""
    return await change(request, lambda intake: JobIdAnswer(str(resize_flavor.submit_several(intake, data))))


def _each(
    intake: Intake, instance_ids: Sequence[str], submit: Callable[[Intake, str], UUID]
) -> RecordsAnswer:
    _check_number(instance_ids)
    tried = [(id_, intake.attempt(id_, submit)) for id_ in dict.fromkeys(instance_ids)]
    return RecordsAnswer([Record(id_, str(task_id)) for id_, task_id in tried if task_id])


def _check_number(instance_ids: Sequence[str]) -> None:
    if not 1 <= len(instance_ids) <= _MOST_AT_ONCE:
        raise Refusal(ErrorCode.PARAMETER, f"instance_ids must have 1 to {_MOST_AT_ONCE} ids.")


HANDLERS = [stop_several, delete_several, resize_several]
