"""The watchdog: no task is Running without live or queued work for longer than a stated bound.

The bound is the worker's timeout plus `GRACE` plus one round, about eleven seconds with the defaults.
"""

import datetime as dt
import logging

from openrds.store.database import Store
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("queue")

#: A task that is not in the queue may be that for this long, in seconds.
GRACE = 2.0


def return_lost_steps(store: Store, queue: Queue, worker_timeout: float) -> None:
    """Return the steps of silent workers to their queues, and queue again what fell out of them."""
    with store.transaction() as connection:
        timeout = dt.timedelta(seconds=worker_timeout)
        for lost in connection.execute(_sql.return_steps_of_silent_workers, [timeout]).fetchall():
            logger.warning(
                "a worker of %s went silent; a step of task %s is due again", lost["host"], lost["task_id"]
            )
            connection.execute(_sql.announce, [lost["host"]])
        grace = dt.timedelta(seconds=GRACE)
        for task in connection.execute(_sql.stranded, {"grace": grace}).fetchall():
            logger.warning("task %s had no work queued; its step is due again", task["id"])
            queue.enqueue(connection, task["id"], task["project_id"], task["host"])
