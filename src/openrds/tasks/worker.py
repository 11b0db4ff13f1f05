"""The worker of one host: takes due steps off its queue and runs them, whatever happens to the store meanwhile."""

import asyncio
import logging
from uuid import UUID

from procrastinate import App, PsycopgConnector

from openrds.store.database import Store
from openrds.tasks.due_jobs import DueJobs
from openrds.tasks.queue import JOB_NAME, Queue, queue_name
from openrds.tasks.runner import Runner

logger = logging.getLogger(__name__)

#: The queue wakes its worker by NOTIFY. Should one ever be missed, this is how soon it is made good, in seconds.
_POLL_INTERVAL = 5.0
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
        connector = PsycopgConnector(conninfo=store.dsn, min_size=1, max_size=4, kwargs=relaxed)
        self._app = App(connector=connector)
        self._app.job_manager = DueJobs(connector, store.dsn)

        @self._app.task(name=JOB_NAME)
        def run_step(task_id: str) -> None:
            runner.run_step(UUID(task_id))

    async def run(self) -> None:
        """Work until cancelled. The queue's own worker ends when the store restarts, so it is begun anew."""
        this = asyncio.current_task()
        assert this is not None
        # Its leave-taking may fail too, and an error in it would hide the cancellation.
        while not this.cancelling():
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
            install_signal_handlers=False,
        )
