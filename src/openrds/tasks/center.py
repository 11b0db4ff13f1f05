"""What the task center answers: one task, a page of tasks, and the steps of a task."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from openrds.domain.task import TaskStatus, lowest_id_at
from openrds.domain.texts import uuid_in
from openrds.store.database import Reads, Row, Writer
from openrds.store.queries import Queries

_sql = Queries("tasks")
_schedule = Queries("schedule")

#: A running step is never shown as done before it is.
_MOST_OF_A_STEP = 0.95


class Finds(Protocol):
    """Who finds a task by its id."""

    async def find(self, project_id: str, task_id: UUID) -> Row | None: ...


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


async def find_task(tasks: Finds, project_id: str, task_id: str) -> Row | None:
    """The task, unless it is unknown, another project's, older than a month, or its record was deleted."""
    id_ = uuid_in(task_id)
    return None if id_ is None else await tasks.find(project_id, id_)


async def find_scheduled(reads: Reads, project_id: str, id_: str) -> Row | None:
    """The scheduled task, whether it waits or has become a task."""
    parsed = uuid_in(id_)
    if parsed is None:
        return None
    return await reads.row(_schedule.find, {"id": parsed, "project_id": project_id})


async def find_steps(reads: Reads, project_id: str, task_id: str) -> list[Row]:
    """The steps of a task in their order; empty for a task that `find_task` would not find."""
    id_ = uuid_in(task_id)
    return [] if id_ is None else await reads.rows(_sql.get_steps, {"id": id_, "project_id": project_id})


async def list_tasks(
    reads: Reads, project_id: str, wanted: TaskFilter, *, offset: int, limit: int
) -> TaskPage:
    """One page, as it is at one moment. Its cost does not grow with the number of tasks or the offset."""
    id_ = None if wanted.id is None else uuid_in(wanted.id)
    if wanted.id is not None and id_ is None:
        return TaskPage()
    rows = await reads.rows(
        _sql.list_tasks,
        {
            "project_id": project_id,
            "id": id_,
            "order_id": wanted.order_id,
            "instance_id": wanted.instance_id,
            "name": wanted.name,
            "status": wanted.status,
            "first": wanted.start_time and lowest_id_at(wanted.start_time),
            "beyond": wanted.end_time and lowest_id_at(wanted.end_time + dt.timedelta(milliseconds=1)),
            "offset": offset,
            "limit": limit,
        },
    )
    tasks = [row for row in rows if row["id"] is not None]
    return TaskPage(tasks, rows[0]["total_count"], rows[0]["actions"])


def delete_record(connection: Writer, project_id: str, task_id: str) -> bool:
    """Delete the record of a task from what is served; a running task goes on. False when there is none."""
    id_ = uuid_in(task_id)
    if id_ is None:
        return False
    return connection.execute(_sql.hide_task, {"id": id_, "project_id": project_id}).fetchone() is not None


def percent_done(task: Row) -> int:
    """How far a running task is, 0 to 99: the steps done, and of the current one what usually takes this long."""
    begun = task["step_started_at"]
    share = 0.0
    if begun is not None and task["step_share"] > 0:
        elapsed = (task["now"] - begun).total_seconds()
        share = min(elapsed / max(task["step_expected"].total_seconds(), 0.001), _MOST_OF_A_STEP)
    return max(0, min(99, int(task["progress"] + task["step_share"] * share)))
