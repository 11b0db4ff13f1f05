"""How the worker learns of due jobs: told of each by NOTIFY, without forgetting one and without asking all the time."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, JobInserted
from procrastinate.manager import JobManager, NotificationCallback, get_channel_for_queues
from psycopg import sql

from openrds.store.notices import heard

logger = logging.getLogger(__name__)

#: Seconds without a notification after which the connection is asked whether it lives.
_QUIET = 30.0
#: Seconds before the store is tried again after it went away.
_RECONNECT_DELAY = 0.2
#: The queue's worker looks at the type only, and then for any job.
_SOME_JOB = JobInserted(type="job_inserted", job_id=0)


class DueJobs(JobManager):
    """The queue library's own, but for three habits.

    Its worker clears its bell after each fetch, and so forgets a job that is announced during one which no longer saw
    it. Its listener wakes up ten times a second, which is most of what an idle worker would cost. And when the store
    has been away, both the listener and the heartbeat are over, while the worker goes on.
    """

    def __init__(self, connector: BaseConnector, dsn: str) -> None:
        super().__init__(connector)
        self._dsn = dsn
        self._announced = False

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """A due job, now being done by this worker; None if there was none, and none was announced meanwhile."""
        while True:
            self._announced = False
            job = await super().fetch_job(queues, worker_id)
            # Nothing else runs between here and the worker's clearing of its bell.
            if job is not None or not self._announced:
                return job

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Pass on each notification until cancelled; a connection that is lost is made again.

        Nobody would begin it anew: the library's worker no longer looks after what it started beside itself.
        """
        channels = list(get_channel_for_queues(queues))
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    for channel in channels:
                        await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                    await self._pass_on(connection, channels[0], on_notification)
            except Exception as error:
                logger.warning("the connection on which due steps are announced was lost: %r", error)
            await asyncio.sleep(_RECONNECT_DELAY)

    async def update_heartbeat(self, worker_id: int) -> None:
        """One that cannot be noted is made good by the next: neither is this begun anew when it has failed."""
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException:
            logger.warning("the store does not answer, and could not be told that the worker lives")

    async def _pass_on(
        self, connection: psycopg.AsyncConnection, channel: str, on_notification: NotificationCallback
    ) -> None:
        while True:
            # Also for what was announced before we listened, or while we asked whether the connection lives.
            self._announced = True
            await on_notification(channel=channel, notification=_SOME_JOB)
            async with contextlib.aclosing(heard(connection, _QUIET)) as notices:
                async for payload in notices:
                    self._announced = True
                    await on_notification(channel=channel, notification=json.loads(payload))
            await connection.execute("select 1")
