"""What happens to tasks, steps, instances and backups, as it happens: docs/decisions/0051.

The store keeps an event for each change. One connection of the process hears that there are new ones, reads them in
their order, and hands each to whoever follows the project.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import re
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from openrds.store.database import Reads, Row, Store
from openrds.store.notices import Telling
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("events")

_POSITION = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")

#: For how long events are kept.
KEPT = dt.timedelta(days=1)
#: The most that one statement reads, and that one deletes.
_TOGETHER = 500
_DELETED_TOGETHER = 10_000
#: Events that wait for a slow reader; then it is cut off.
_QUEUE = 1000
#: Between two looks at events that must wait for a transaction that began before theirs: the first, and at most.
_LOOK_FIRST = 0.004
_LOOK_MOST = 0.1
#: Seconds from one look at what has come to the next.
_PAUSE = 0.004
#: Seconds without a notification after which the connection is asked whether it lives.
_QUIET = 15.0
#: Seconds that who begins to follow waits until it does.
_BEGINNING = 2.0
#: Seconds before the store is tried again after it went away.
_RECONNECT_DELAY = 0.5


class Subject(StrEnum):
    """What an event is about."""

    TASK = "task"
    STEP = "step"
    INSTANCE = "instance"
    BACKUP = "backup"


class Position(NamedTuple):
    """Behind which event a reader is. What comes to be behind a position never appears before it."""

    xid: int
    number: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """None for what no position is written as."""
        if _POSITION.fullmatch(text) is None:
            return None
        position = cls(*map(int, text.split("-")))
        return position if max(position) < 2**63 else None


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One change. `state` is what it is about as it was right after it; `task_id` is None but for a task or a step.

    All who read it have the same object.
    """

    position: Position
    project_id: str
    subject: Subject
    instance_id: str
    task_id: UUID | None
    at: dt.datetime
    state: dict[str, Any]


class Lagging(Exception):  # noqa: N818 - what became of a reader, not a fault
    """A reader takes events more slowly than they come, or the store could not be followed: it must read on anew."""


class Following:
    """What comes for one reader, in order. Used from the event loop of its `Events`."""

    def __init__(self, position: Position) -> None:
        #: What it gets comes behind this.
        self.position = position
        self._waiting: deque[Event] = deque()
        self._rung = asyncio.Event()
        self._cut = False

    def add(self, event: Event) -> None:
        if len(self._waiting) >= _QUEUE:
            self.cut()
            return
        self._waiting.append(event)
        self._rung.set()

    def cut(self) -> None:
        self._cut = True
        self._waiting.clear()
        self._rung.set()

    async def take(self, seconds: float) -> list[Event]:
        """What has come; empty when nothing came within so many seconds.

        Raises:
            Lagging: it has been cut off.
        """
        if not self._waiting and not self._cut:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._rung.wait()
        if self._cut:
            raise Lagging
        self._rung.clear()
        events = list(self._waiting)
        self._waiting.clear()
        if events:
            self.position = events[-1].position
        return events

    async def choose(
        self, wanted: Callable[[Event], bool], quiet: float
    ) -> AsyncGenerator[list[Event], None]:
        """Those that are wanted, as they come; none of them where none came for so many seconds.

        Raises:
            Lagging: it has been cut off.
        """
        until = time.monotonic() + quiet
        while True:
            taken = await self.take(max(0.0, until - time.monotonic()))
            chosen = [event for event in taken if wanted(event)]
            if chosen or time.monotonic() >= until:
                yield chosen
                until = time.monotonic() + quiet


class Events:
    """The events of the store, for the readers of one process. Used from one event loop only."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._readers: defaultdict[str, set[Following]] = defaultdict(set)
        self._listeners: list[Callable[[Event], None]] = []
        self._position: Position | None = None
        #: Whether all that happens is heard of.
        self.is_live = False
        self._began = asyncio.Event()

    def call(self, listener: Callable[[Event], None]) -> None:
        """Have it called with every event, whichever project's."""
        self._listeners.append(listener)

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the store; a moment is waited until all that happens is heard of."""
        task = asyncio.ensure_future(self._follow())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEGINNING):
                    await self._began.wait()
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    @contextlib.contextmanager
    def reading(self, project_id: str) -> Iterator[Following]:
        """Take part in what happens to a project from now on.

        Raises:
            Lagging: the store is not followed at the moment.
        """
        if not self.is_live or self._position is None:
            raise Lagging
        reader = Following(self._position)
        readers = self._readers[project_id]
        readers.add(reader)
        try:
            yield reader
        finally:
            readers.discard(reader)
            if not readers:
                self._readers.pop(project_id, None)

    async def _follow(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, row_factory=dict_row, prepare_threshold=0
                ) as connection:
                    await self._read_on(connection)
            except (psycopg.Error, OSError) as error:
                logger.warning("events are not heard of, the store does not answer: %s", error)
            finally:
                # What is missed from now on is read when the store answers again.
                self.is_live = False
            await asyncio.sleep(_RECONNECT_DELAY)

    async def _read_on(self, connection: psycopg.AsyncConnection[Row]) -> None:
        telling = Telling(connection)
        await connection.execute(_sql.listen)
        if self._position is None:
            row = await (await connection.execute(_sql.end)).fetchone()
            assert row is not None
            self._position = Position(row["xid"], row["number"])
        while True:
            telling.told = False
            await self._catch_up(connection)
            self.is_live = True
            self._began.set()
            # What comes thick and fast is read together.
            await asyncio.sleep(_PAUSE)
            await telling.wait(_QUIET)

    async def _catch_up(self, connection: psycopg.AsyncConnection[Row]) -> None:
        """Until nothing is left to come."""
        pause = _LOOK_FIRST
        while True:
            assert self._position is not None
            position = {"xid": self._position.xid, "number": self._position.number}
            rows = await (await connection.execute(_sql.read, {**position, "limit": _TOGETHER})).fetchall()
            ready = list(takewhile(itemgetter("ready"), rows))
            for row in ready:
                self._tell(_event(row))
            if len(ready) == _TOGETHER:
                continue
            if len(ready) == len(rows):
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LOOK_MOST)

    def _tell(self, event: Event) -> None:
        self._position = event.position
        for listener in self._listeners:
            listener(event)
        for reader in self._readers.get(event.project_id, ()):
            reader.add(event)


async def read(reads: Reads, project_id: str, begin: Position, last: Position) -> AsyncIterator[Event]:
    """The events of a project behind a position, up to another one."""
    while True:
        rows = await reads.rows(
            _sql.read_of_project,
            {
                "project_id": project_id,
                "xid": begin.xid,
                "number": begin.number,
                "last_xid": last.xid,
                "last_number": last.number,
                "limit": _TOGETHER,
            },
        )
        for row in rows:
            yield _event(row)
        if len(rows) < _TOGETHER:
            return
        begin = Position(rows[-1]["xid"], rows[-1]["number"])


async def is_kept(reads: Reads, position: Position) -> bool:
    """Whether everything behind a position is still there."""
    first = await reads.row(_sql.first)
    return first is not None and position >= (first["xid"], first["number"])


def forget_old(store: Store) -> None:
    """Delete what is older than is kept."""
    while len(store.rows(_sql.forget, {"age": KEPT, "limit": _DELETED_TOGETHER})) == _DELETED_TOGETHER:
        pass


def _event(row: Row) -> Event:
    return Event(
        Position(row["xid"], row["number"]),
        row["project_id"],
        Subject(row["subject"]),
        row["instance_id"],
        row["task_id"],
        row["at"],
        row["state"],
    )
