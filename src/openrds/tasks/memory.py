"""Answers about ended tasks, from memory: such a task never changes, but its record may be deleted.

A process may answer from memory only while it holds a shared lock in the store, under the number of the last deletion
when its memory was empty. Who deletes a record gives out a new number once that is committed, and confirms it only when
no lock of a lower number is held: nobody is told that a record is gone while somebody still shows it. A process that
dies loses its lock with its connection.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from uuid import UUID

import psycopg

from openrds.domain.task import RETENTION
from openrds.store.database import Store
from openrds.store.notices import Telling
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("tasks")

#: The most that is kept, in bytes: of answers, and what Python needs to keep each beside it.
_CAPACITY = 2 * 2**20
_BESIDE = 500
#: Seconds before the store is tried again after it went away; meanwhile nothing is answered from memory.
_RECONNECT_DELAY = 1.0
#: Seconds without a deletion after which the connection is asked whether it lives.
_QUIET = 30.0
#: Seconds a deletion waits for processes that do not give way, and between looks whether they did.
_PATIENCE = 5.0
_LOOK_INTERVAL = 0.002


class EndedTasks:
    """The memory of one process. Used from its event loop only."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._answers: OrderedDict[tuple[str, str], tuple[bytes, float]] = OrderedDict()
        self._size = 0
        #: Whether anything may be kept.
        self.is_open = False
        #: Grows each time the memory is emptied: what was read from the store before that must not be kept.
        self.generation = 0

    def find(self, project_id: str, task_id: str) -> bytes | None:
        """The answer that was kept, if it still holds."""
        kept = self._answers.get((project_id, task_id))
        if kept is None or time.time() > kept[1]:
            return None
        self._answers.move_to_end((project_id, task_id))
        return kept[0]

    def keep(self, project_id: str, task_id: UUID, answer: bytes, generation: int) -> None:
        """Keep an answer that was read from the store when the memory had that generation."""
        key = (project_id, str(task_id))
        if not self.is_open or generation != self.generation or key in self._answers:
            return
        self._answers[key] = (answer, (task_id.int >> 80) / 1000 + RETENTION.total_seconds())
        self._size += len(answer) + _BESIDE
        while self._size > _CAPACITY:
            _, (oldest, _) = self._answers.popitem(last=False)
            self._size -= len(oldest) + _BESIDE

    def forget(self) -> None:
        """Answer nothing from memory any more that was read before now: for who has just deleted something.

        That a process has lost its connection, and its lock with it, it may not have heard yet.
        """
        self.generation += 1
        self._answers.clear()
        self._size = 0

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the deletions; without that nothing is kept."""
        following = asyncio.ensure_future(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})

    async def _follow(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    await self._give_way(connection)
            except psycopg.OperationalError as error:
                logger.warning("nothing is answered from memory, the store does not answer: %s", error)
            finally:
                self._close()
            await asyncio.sleep(_RECONNECT_DELAY)

    async def _give_way(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        telling = Telling(connection)
        await connection.execute(_sql.listen_for_hidden)
        while True:
            await connection.execute(_sql.hold_memory)
            # What is just being read from the store may be from before a deletion that did not wait for us.
            self._close()
            self.is_open = not telling.told
            await telling.wait(_QUIET)
            self._close()
            telling.told = False
            await connection.execute(_sql.release_memory)

    def _close(self) -> None:
        self.is_open = False
        self.forget()


def wait_until_forgotten(store: Store) -> None:
    """Return when no process answers any more from memory what was deleted before.

    Raises:
        psycopg.OperationalError: one does not give way.
    """
    (deletion,) = store.rows(_sql.number_deletion)
    deadline = time.monotonic() + _PATIENCE
    while store.rows(_sql.memory_holders, [deletion["number"]]):
        if time.monotonic() > deadline:
            raise psycopg.OperationalError("a process does not forget a task whose record was deleted")
        time.sleep(_LOOK_INTERVAL)
