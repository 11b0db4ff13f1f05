"""Running tasks, from memory: what is read of one holds until something happens to it."""

import asyncio
import contextlib
import datetime as dt
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from openrds.domain.task import TaskStatus
from openrds.store.database import Row
from openrds.tasks.events import Event, Events
from openrds.tasks.lookups import Lookups
from openrds.tasks.memory import EndedTasks

#: The most that are kept, and for how long in seconds: so soon it is made good should an event ever be missed.
_CAPACITY = 2000
_LIFE = 1.0
#: Seconds between looks at a task that is waited for, while events are heard of and while they are not.
_LOOK_INTERVAL = 5.0
_LOOK_INTERVAL_DEAF = 0.1
#: Seconds before a store that does not answer is asked again.
_RETRY_DELAY = 0.5


@dataclass(frozen=True, slots=True)
class Kept:
    """A running task as it was read. `answers` are for who answers with it, by what else an answer depends on."""

    _row: Row
    #: By this process' clock, which need not agree with that of the store.
    _read_at: float
    _generation: int
    answers: dict[int, bytes] = field(default_factory=dict)

    @property
    def row(self) -> Row:
        """With the moment that it is now."""
        return self._row | {"now": self._row["now"] + dt.timedelta(seconds=time.monotonic() - self._read_at)}

    def holds(self, generation: int) -> bool:
        return time.monotonic() - self._read_at < _LIFE and generation == self._generation


class RunningTasks:
    """Finds tasks as `Lookups` does, and remembers those that run. Used from one event loop only."""

    def __init__(self, lookups: Lookups, events: Events, ended: EndedTasks) -> None:
        self._lookups = lookups
        self._events = events
        #: It knows when records are deleted.
        self._ended = ended
        self._kept: dict[tuple[str, str], Kept] = {}
        self._heard = 0
        self._watches: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        events.call(self._hear)

    async def find(self, project_id: str, task_id: UUID) -> Row | None:
        """The task, unless it is unknown, another project's, or its record was deleted.

        Raises:
            psycopg.OperationalError: the store does not answer.
        """
        kept = self.kept(project_id, str(task_id))
        if kept is not None:
            return kept.row
        before = (self._heard, self._ended.generation, self._events.is_live)
        row = await self._lookups.find(project_id, task_id)
        # What happened while it was read may not be in it.
        same = before == (self._heard, self._ended.generation, True)
        if row is not None and row["status"] == TaskStatus.RUNNING and same and self._ended.is_open:
            if len(self._kept) >= _CAPACITY:
                self._kept.clear()
            self._kept[project_id, str(task_id)] = Kept(row, time.monotonic(), self._ended.generation)
        return row

    def kept(self, project_id: str, task_id: str) -> Kept | None:
        """What is remembered of a running task, if it still holds."""
        kept = self._kept.get((project_id, task_id))
        if kept is None or (self._events.is_live and kept.holds(self._ended.generation)):
            return kept
        del self._kept[project_id, task_id]
        return None

    async def wait(
        self, project_id: str, task_id: UUID, seconds: float, *, for_change: bool = False
    ) -> Row | None:
        """The task once it has ended, or has changed in any way, but at the latest after so many seconds.

        A store that goes away meanwhile is waited for too.

        Raises:
            psycopg.OperationalError: the store does not answer, and the time is over.
        """
        deadline = time.monotonic() + seconds
        with self._watching(task_id) as changed:
            while True:
                left = deadline - time.monotonic()
                try:
                    row = await self.find(project_id, task_id)
                except psycopg.OperationalError:
                    if left <= 0:
                        raise
                    await asyncio.sleep(min(left, _RETRY_DELAY))
                    continue
                if row is None or row["status"] != TaskStatus.RUNNING or left <= 0:
                    return row
                interval = _LOOK_INTERVAL if self._events.is_live else _LOOK_INTERVAL_DEAF
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, interval)):
                        await changed.wait()
                        if for_change:
                            return await self.find(project_id, task_id)
                changed.clear()

    @contextlib.contextmanager
    def _watching(self, task_id: UUID) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        watches = self._watches[task_id]
        watches.add(changed)
        try:
            yield changed
        finally:
            watches.discard(changed)
            if not watches:
                self._watches.pop(task_id, None)

    def _hear(self, event: Event) -> None:
        if event.task_id is None:
            return
        self._heard += 1
        self._kept.pop((event.project_id, str(event.task_id)), None)
        for changed in self._watches.get(event.task_id, ()):
            changed.set()
