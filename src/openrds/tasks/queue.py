"""The queue: a row for each task that runs, changed in the transactions that make its steps due and take them."""

from uuid import UUID

from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.slots import Room

_sql = Queries("queue")

#: More steps than any project can have at work.
_ANY_NUMBER = 2**31 - 1


class Queue:
    """Where due steps wait for the worker of their host."""

    def enqueue(self, connection: Writer, task_id: UUID, project_id: str, host: str) -> None:
        """Make the next step of a task due on a host, and tell its worker once the caller's transaction commits."""
        self.hand_on(connection, task_id, project_id, host)
        connection.execute(_sql.announce, [host])

    def hand_on(self, connection: Writer, task_id: UUID, project_id: str, host: str) -> None:
        """The same for a worker that looks for what is due by itself, in the same transaction."""
        connection.execute(_sql.make_due, {"task_id": task_id, "project_id": project_id, "host": host})

    def take(self, connection: Writer, worker: UUID, host: str, room: Room) -> tuple[UUID, str] | None:
        """The task whose step is to be done next, and its project; nothing when none is due for which there is room."""
        row = connection.execute(
            _sql.take,
            {
                "worker": worker,
                "host": host,
                "projects": list(room.busy),
                "steps": list(room.busy.values()),
                "most": _ANY_NUMBER if room.most is None else room.most,
                "at_work": list(room.at_work),
            },
        ).fetchone()
        return None if row is None else (row["task_id"], row["project_id"])

    def remove(self, connection: Writer, task_id: UUID) -> None:
        """The task has ended."""
        connection.execute(_sql.remove, [task_id])
