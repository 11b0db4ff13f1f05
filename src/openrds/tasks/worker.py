"""The worker of one host: takes due steps off its queue and runs them, whatever happens to the store meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.worker import Worker as QueueWorker

from openrds.store.database import Store
from openrds.tasks.queue import JOB_NAME, Queue, queue_name
from openrds.tasks.runner import Runner

logger = logging.getLogger(__name__)

#: The queue wakes its worker by NOTIFY. This is how soon a wake-up that was missed is made good, in seconds.
_POLL_INTERVAL = 1.0
#: Seconds after a step when its successor is looked for once more.
_SECOND_LOOK = 0.01
#: Seconds before the store is tried again after it went away.
_RECONNECT_DELAY = 0.5


class Worker:
    """Runs the steps of one host until it is told to stop. There is one worker a host."""

    def __init__(
        self,
        store: Store,
        queue: Queue,
        runner: Runner,
        *,
        host: str,
        concurrency: int,
        heartbeat_interval: float,
        worker_timeout: float,
    ) -> None:
        self._store = store
        self._queue = queue
        self._host = host
        self._concurrency = concurrency
        self._heartbeat_interval = heartbeat_interval
        self._worker_timeout = worker_timeout
        # A crash of the store may forget that a job was taken or finished: then it runs again, which steps allow.
        relaxed = {"options": "-c synchronous_commit=off"}
        self._app = App(
            connector=PsycopgConnector(conninfo=store.dsn, min_size=1, max_size=4, kwargs=relaxed)
        )

        @self._app.task(name=JOB_NAME)
        def run_step(task_id: str) -> None:
            runner.run_step(UUID(task_id))

    async def run(self) -> None:
        """Work until cancelled. The queue's own worker ends when the store restarts, so it is begun anew."""
        while True:
            try:
                await asyncio.to_thread(self._queue.return_jobs_of_host, self._store, self._host)
                async with self._app.open_async():
                    await self._work()
            except Exception:
                logger.exception("the worker lost the store and will try again")
            await asyncio.sleep(_RECONNECT_DELAY)

    async def _work(self) -> None:
        await self._app.run_worker_async(
            queues=[queue_name(self._host)],
            name=f"openrds@{self._host}",
            concurrency=self._concurrency,
            fetch_job_polling_interval=_POLL_INTERVAL,
            update_heartbeat_interval=self._heartbeat_interval,
            stalled_worker_timeout=self._worker_timeout,
            # Finished jobs go at once: a long history makes the queue slow, and ours is in the task tables.
            delete_jobs="always",
            worker_middleware=[_look_again],
            install_signal_handlers=False,
        )


async def _look_again(run: Callable[[], Awaitable[Any]], _context: JobContext, worker: QueueWorker) -> Any:
    """Look for due steps shortly after each step.

    The queue's worker forgets a NOTIFY that comes while it is fetching, and a step's successor is often enqueued
    just then; without this, one step in ten waited for the next poll.
    """
    try:
        return await run()
    finally:
        asyncio.get_running_loop().call_later(_SECOND_LOOK, worker._new_job_event.set)
