"""How the worker learns of due jobs: told of each by NOTIFY, without forgetting one and without asking all the time."""

import contextlib
import json
import logging
from collections.abc import Iterable

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job, JobInserted
from procrastinate.manager import JobManager, NotificationCallback, get_channel_for_queues
from psycopg import sql

from openrds.store.notices import heard

logger = logging.getLogger(__name__)

#: Seconds without a notification after which the connection is asked whether it lives.
_QUIET = 30.0
#: The queue's worker looks at the type only, and then for any job.
_SOME_JOB = JobInserted(type="job_inserted", job_id=0)


class DueJobs(JobManager):
    """The queue library's own, but for two habits.

    Its worker clears its bell after each fetch, and so forgets a job that is announced during one which no longer saw
    it. And its listener wakes up ten times a second, which is most of what an idle worker would cost.
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

        Raises:
            psycopg.OperationalError: the store does not answer.
        """
        channels = list(get_channel_for_queues(queues))
        while True:
            async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                for channel in channels:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                with contextlib.suppress(psycopg.OperationalError):
                    await self._pass_on(connection, channels[0], on_notification)
            logger.warning("the connection on which due steps are announced was lost")

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
