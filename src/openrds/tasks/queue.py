"""The queue: one job a step, on PostgreSQL, enqueued in the transaction that makes the step due."""

import contextlib
from uuid import UUID

from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued

from openrds.store.database import Store, Writer
from openrds.store.queries import Queries

_sql = Queries("tasks")

#: The name under which steps are queued; it must never change.
JOB_NAME = "openrds.run_step"


def queue_name(host: str) -> str:
    """Each host has a queue of its own: a step runs where its instance is."""
    return f"host:{host}"


class Queue:
    """Where due steps wait for a worker of their host."""

    def __init__(self) -> None:
        # Never opened: enqueueing only borrows the caller's connection.
        self._app = App(connector=SyncPsycopgConnector())

    def enqueue(self, connection: Writer, task_id: UUID, host: str) -> None:
        """Make the next step of a task due on a host, once the caller's transaction commits."""
        # One that waits already is enough. The savepoint keeps the caller's transaction alive when that is so.
        with contextlib.suppress(AlreadyEnqueued), connection.transaction():
            self._app.configure_task(
                JOB_NAME,
                queue=queue_name(host),
                queueing_lock=str(task_id),
                connection=connection,
            ).defer(task_id=str(task_id))

    def return_jobs_of_host(self, store: Store, host: str) -> None:
        """Return what a host's former worker left in the middle. Only for the one worker of that host, at its start."""
        with store.transaction() as connection:
            connection.execute(_sql.abandon_jobs_of_host, {"queue": queue_name(host)})
