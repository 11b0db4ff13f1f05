"""What is asked of an instance with a standby. Source: operations.md 7."""

import msgspec
from litestar import Response, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode
from openrds.operations.intake.intake import Intake
from openrds.operations.pairs import replication_mode, switchover

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


HANDLERS = [switch_over, set_switch_strategy, set_replication_mode]
