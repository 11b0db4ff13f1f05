"""What is asked of an instance with a standby. Source: operations.md 7 and 12."""

import msgspec
from litestar import Response, get, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode
from openrds.domain.task import TaskName, format_time
from openrds.operations.intake.intake import Intake
from openrds.operations.pairs import rebuild_standby, replication_mode, switchover
from openrds.tasks import center

_TAGS = ["Instances"]


class Done(msgspec.Struct):
    pass


class SwitchoverAnswer(msgspec.Struct, rename="camel"):
    """`nodeId` is the node that will be the primary."""

    instance_id: str
    node_id: str
    workflow_id: str


class ReplicationModeAnswer(msgspec.Struct, rename="camel"):
    instance_id: str
    replication_mode: str
    workflow_id: str


class RebuildAnswer(msgspec.Struct):
    instance_id: str
    workflow_id: str


class RebuildStatus(msgspec.Struct):
    """Of the last time in the last month; empty where there was none. It may be asked for again at once."""

    instance_id: str
    workflow_id: str
    last_rebuild_time: str
    next_rebuild_time: str = ""


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/failover",
    responses=refusals(ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def switch_over(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[switchover.Failover],
) -> Response[SwitchoverAnswer]:
    """Make the standby the primary, and the primary the standby."""

    def work(intake: Intake) -> SwitchoverAnswer:
        node, task_id = switchover.submit(intake, instance_id, data)
        return SwitchoverAnswer(instance_id, node.id, str(task_id))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/failover/strategy",
    responses=refusals(ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def set_switch_strategy(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[replication_mode.ChangeStrategy],
) -> Response[Done]:
    """What goes first when roles change: `reliability` or `availability`."""

    def work(intake: Intake) -> Done:
        replication_mode.set_strategy(intake, instance_id, data)
        return Done()

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/failover/mode",
    responses=refusals(ErrorCode.INSTANCE_TYPE, ErrorCode.REPLICATION_MODE, body=True, instance=True),
    tags=_TAGS,
)
async def set_replication_mode(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[replication_mode.ChangeMode],
) -> Response[ReplicationModeAnswer]:
    """Whether commits wait for the standby (`sync`) or not (`async`)."""

    def work(intake: Intake) -> ReplicationModeAnswer:
        task_id = replication_mode.submit(intake, instance_id, data)
        return ReplicationModeAnswer(instance_id, data.mode, str(task_id))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/rebuild",
    responses=refusals(ErrorCode.INSTANCE_TYPE, instance=True),
    tags=_TAGS,
)
async def rebuild(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> Response[RebuildAnswer]:
    """Copy the primary anew into the standby. Meanwhile the instance serves, and no commit waits."""

    def work(intake: Intake) -> RebuildAnswer:
        return RebuildAnswer(instance_id, str(rebuild_standby.submit(intake, instance_id)))

    return await change(request, work)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/rebuild",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_rebuild(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> RebuildStatus:
    """When its standby was rebuilt last, by whomever, and by which task."""
    instance = await find_instance(request, project_id, instance_id)
    wanted = center.TaskFilter(instance_id=instance_id, name=TaskName.REBUILD_STANDBY.on(instance.engine))
    page = await center.list_tasks(service_of(request).reads, project_id, wanted, offset=0, limit=1)
    last = [(str(task["id"]), format_time(task["created_at"])) for task in page.tasks]
    return RebuildStatus(instance_id, *(last[0] if last else ("", "")))


HANDLERS = [switch_over, set_switch_strategy, set_replication_mode, rebuild, show_rebuild]
