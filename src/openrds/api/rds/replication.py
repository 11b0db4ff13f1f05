"""How the followers of an instance do. Source: reads.md 9, SDK `show_replication_status`."""

import msgspec
from litestar import get
from litestar.params import FromPath

from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.instance import STOPPED, InstanceStatus
from openrds.domain.instance_values import Node, Seen
from openrds.domain.task import format_time
from openrds.store.database import Row
from openrds.store.instances import node_of
from openrds.store.queries import Queries

_sql = Queries("instances")

_NOT_SEEN = Seen(streaming=False, problem="not looked at yet")


class FollowerEntry(msgspec.Struct):
    """An extension. `role` is `slave` for a standby, `seen_at` empty before the first look."""

    id: str
    instance_id: str
    role: str
    streaming: bool
    lag_bytes: int
    lag_seconds: float
    seen_at: str


class ReplicationAnswer(msgspec.Struct):
    """`replication_status` is `normal` or `abnormal`; also normal where nothing follows."""

    replication_status: str
    abnormal_reason: str
    nodes: list[FollowerEntry]


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/replication/status",
    responses=refusals(instance=True),
    tags=["Instances"],
)
async def show_replication(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> ReplicationAnswer:
    """Whether the standby and the read replicas of an instance, or it itself as a replica, follow; and their lag."""
    await find_instance(request, project_id, instance_id)
    rows = await service_of(request).reads.rows(
        _sql.replication_of_instance, {"id": instance_id, "project_id": project_id}
    )
    followers = [(node_of(row), _seen(row)) for row in rows]
    problems = [
        f"{node.id}: {seen.problem or 'it does not stream'}" for node, seen in followers if not seen.streaming
    ]
    return ReplicationAnswer(
        "abnormal" if problems else "normal",
        "; ".join(problems),
        [_entry(node, seen) for node, seen in followers],
    )


def _seen(row: Row) -> Seen:
    """Nobody looks at a follower whose server is not to run: what was last seen of it is over."""
    status = InstanceStatus(row["instance_status"])
    if status in STOPPED:
        return Seen(streaming=False, problem=f"the instance is {status}")
    return node_of(row).replication or _NOT_SEEN


def _entry(node: Node, seen: Seen) -> FollowerEntry:
    at = node.replication_seen_at
    return FollowerEntry(
        id=node.id,
        instance_id=node.instance_id,
        role=node.role,
        streaming=seen.streaming,
        lag_bytes=seen.lag_bytes,
        lag_seconds=seen.lag_seconds,
        seen_at="" if at is None else format_time(at),
    )


HANDLERS = [show_replication]
