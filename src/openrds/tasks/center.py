"""What the task center answers: one task, a page of tasks, and the steps of a task."""

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from openrds.domain.task import RETENTION, TaskStatus, lowest_id_at
from openrds.store.database import Reads, Row, Writer
from openrds.store.queries import Queries

_sql = Queries("tasks")

#: A running step is never shown as done before it is.
_MOST_OF_A_STEP = 0.95
#: Seconds between looks at a task that is waited for.
_WAIT_INTERVAL = 0.01


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list; a field that is None does not filter. Times bound the creation, both inclusive."""

    id: str | None = None
    instance_id: str | None = None
    order_id: str | None = None
    name: str | None = None
    status: TaskStatus | None = None
    start_time: dt.datetime | None = None
    end_time: dt.datetime | None = None


@dataclass(frozen=True)
class TaskPage:
    """One page of matching tasks, newest first, with the count and the distinct names of all that match."""

    tasks: Sequence[Row] = ()
    total_count: int = 0
    actions: Sequence[str] = field(default_factory=list)


async def find_task(reads: Reads, project_id: str, task_id: str) -> Row | None:
    """The task, unless it is unknown, another project's, older than a month, or its record was deleted."""
    id_ = _parse(task_id)
    if id_ is None:
        return None
    return await reads.row(_sql.get_task, _identity(project_id, id_))


async def wait_until_ended(reads: Reads, project_id: str, task_id: UUID, seconds: float) -> Row | None:
    """The task once it has ended; None when it still runs after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        task = await find_task(reads, project_id, str(task_id))
        if task is None or task["status"] != TaskStatus.RUNNING:
            return task
        await asyncio.sleep(_WAIT_INTERVAL)
    return None


async def find_steps(reads: Reads, project_id: str, task_id: str) -> list[Row]:
    """The steps of a task in their order; empty for a task that `find_task` would not find."""
    id_ = _parse(task_id)
    return [] if id_ is None else await reads.rows(_sql.get_steps, _identity(project_id, id_))


async def list_tasks(
    reads: Reads, project_id: str, wanted: TaskFilter, *, offset: int, limit: int
) -> TaskPage:
    parameters = _parameters(project_id, wanted)
    if parameters is None:
        return TaskPage()
    counts = await reads.row(_sql.count_tasks, parameters)
    assert counts is not None
    if offset >= counts["total_count"]:
        return TaskPage((), counts["total_count"], counts["actions"])
    tasks = await reads.rows(_sql.list_tasks, parameters | {"offset": offset, "limit": limit})
    return TaskPage(tasks, counts["total_count"], counts["actions"])


def delete_record(connection: Writer, project_id: str, task_id: str) -> bool:
    """Delete the record of a task from what is served; a running task goes on. False when there is none."""
    id_ = _parse(task_id)
    if id_ is None:
        return False
    return connection.execute(_sql.hide_task, _identity(project_id, id_)).fetchone() is not None


def percent_done(task: Row) -> int:
    """How far a running task is, 0 to 99: the steps done, and of the current one what usually takes this long."""
    begun = task["step_started_at"]
    share = 0.0
    if begun is not None and task["step_share"] > 0:
        elapsed = (task["now"] - begun).total_seconds()
        share = min(elapsed / max(task["step_expected"].total_seconds(), 0.001), _MOST_OF_A_STEP)
    return max(0, min(99, int(task["progress"] + task["step_share"] * share)))


def _parameters(project_id: str, wanted: TaskFilter) -> dict[str, object] | None:
    """The statement's parameters; None when nothing can match."""
    id_ = None if wanted.id is None else _parse(wanted.id)
    if wanted.id is not None and id_ is None:
        return None
    month = dt.datetime.now(dt.UTC) - RETENTION
    newest = dt.datetime.max.replace(tzinfo=dt.UTC)
    if wanted.end_time is not None:
        newest = wanted.end_time + dt.timedelta(milliseconds=1)
    return {
        "project_id": project_id,
        "id": id_,
        "instance_id": wanted.instance_id,
        "order_id": wanted.order_id,
        "name": wanted.name,
        "status": wanted.status,
        "oldest": lowest_id_at(max(month, wanted.start_time or month)),
        "newest": lowest_id_at(newest),
    }


def _identity(project_id: str, task_id: UUID) -> dict[str, object]:
    oldest = lowest_id_at(dt.datetime.now(dt.UTC) - RETENTION)
    return {"id": task_id, "project_id": project_id, "oldest": oldest}


def _parse(task_id: str) -> UUID | None:
    """Ids are opaque to callers: one that is no UUID is simply unknown."""
    try:
        return UUID(task_id)
    except ValueError:
        return None
