"""The worker of one host: takes due steps off its queue and runs them, whatever happens to the store meanwhile."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow, dict_row

from openrds.domain.texts import uuid_in
from openrds.store.database import Store, Writer
from openrds.store.notices import heard
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue
from openrds.tasks.runner import Attempt, Runner
from openrds.tasks.slots import Slots

logger = logging.getLogger(__name__)

_sql = Queries("queue")

#: Seconds before the store is tried again after it went away.
_RECONNECT_DELAY = 0.5
#: Seconds between looks whether a step has had its time.
_DEADLINE_INTERVAL = 1.0

Connection = psycopg.AsyncConnection[DictRow]


class Worker:
    """Runs the steps of one host until it is told to stop. There is one worker a host.

    Steps are done by threads. One that ends a step takes the next in the transaction that records it, so going on
    with a task costs no second commit and no waking up. Others sleep until they are rung for.
    """

    def __init__(
        self,
        store: Store,
        queue: Queue,
        runner: Runner,
        *,
        host: str,
        concurrency: int,
        heartbeat_interval: float,
    ) -> None:
        self._id = uuid4()
        self._store = store
        self._queue = queue
        self._runner = runner
        self._host = host
        self._heartbeat_interval = heartbeat_interval
        self._slots = Slots(concurrency)
        #: Held while what is taken next is chosen.
        self._choosing = threading.Lock()
        #: What a thread had taken when the store went away: to be given back when it answers.
        self._dropped: list[UUID] = []
        self._bell = threading.Condition()
        self._rings = 0
        self._threads = 0
        self._sleepers = 0
        self._is_over = False

    async def run(self) -> None:
        """Work until cancelled. Steps that are at work then are not waited for."""
        watching = asyncio.create_task(self._watch_deadlines())
        try:
            while True:
                try:
                    await self._follow()
                except (psycopg.Error, OSError) as error:
                    logger.warning("the worker lost the store and will try again: %r", error)
                await asyncio.sleep(_RECONNECT_DELAY)
        finally:
            watching.cancel()
            with self._bell:
                self._is_over = True
                self._bell.notify_all()

    async def _follow(self) -> None:
        """Say that the worker lives, and hear of what becomes due, until the store goes away."""
        # A crash of the store may forget a heartbeat: the next one comes soon.
        async with await Connection.connect(
            self._store.dsn, autocommit=True, row_factory=dict_row, options="-c synchronous_commit=off"
        ) as connection:
            # For what is announced while a statement runs.
            connection.add_notify_handler(lambda notice: self._hear(notice.payload))
            await connection.execute(_sql.listen)
            await connection.execute(_sql.listen_for_cancelled)
            await connection.execute(_sql.replace_workers, self._me)
            while True:
                await self._note_alive(connection)
                await self._listen(connection, time.monotonic() + self._heartbeat_interval)

    async def _note_alive(self, connection: Connection) -> None:
        dropped = list(self._dropped)
        if dropped:
            await connection.execute(_sql.give_back, [dropped, self._id])
            del self._dropped[: len(dropped)]
        row = await (await connection.execute(_sql.note_alive, self._me)).fetchone()
        # Should an announcement ever be missed, this is how soon it is made good.
        if row is not None and row["waiting"]:
            self._ring()

    async def _listen(self, connection: Connection, until: float) -> None:
        while (seconds := until - time.monotonic()) > 0:
            async with contextlib.aclosing(heard(connection, seconds)) as notices:
                async for host in notices:
                    self._hear(host.decode())
                    if time.monotonic() >= until:
                        break

    async def _watch_deadlines(self) -> None:
        while True:
            await asyncio.sleep(_DEADLINE_INTERVAL)
            if self._slots.are_free:
                continue
            overdue = await asyncio.to_thread(self._runner.give_up_overdue)
            if self._slots.discount(frozenset(overdue)):
                self._ring()

    @property
    def _me(self) -> dict[str, object]:
        return {"worker": self._id, "host": self._host}

    def _hear(self, told: str) -> None:
        """The name of the host for which something is due, or the id of a task that was cancelled."""
        if told == self._host:
            self._ring()
        elif (task_id := uuid_in(told)) is not None:
            # What it waits for may have to be killed.
            threading.Thread(target=self._runner.give_up_cancelled, args=(task_id,), daemon=True).start()

    def _ring(self) -> None:
        """Have a thread look for what is due."""
        with self._bell:
            self._rings += 1
            if self._sleepers > 0:
                self._bell.notify()
            elif self._threads < self._slots.threads and not self._is_over:
                self._threads += 1
                threading.Thread(target=self._work, name=f"slot-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        """What a thread does: steps as long as there are any, and else it sleeps."""
        rings = -1
        while self._sleep(rings):
            rings = self._rings
            attempt = self._attempt_of_next()
            if attempt is not None:
                # There may be more than one ring told of.
                self._ring()
            while attempt is not None:
                attempt = self._go_on(attempt)

    def _sleep(self, rings: int) -> bool:
        """Until the bell has been rung more often; False when the work is over."""
        with self._bell:
            self._sleepers += 1
            self._bell.wait_for(lambda: self._is_over or self._rings != rings)
            self._sleepers -= 1
            return not self._is_over

    def _attempt_of_next(self) -> Attempt | None:
        attempt = None
        with self._minding() as in_hand, self._store.transaction() as connection:
            attempt = self._take(connection, in_hand)
        return attempt

    def _go_on(self, attempt: Attempt) -> Attempt | None:
        """Do a step, and take the next."""
        following = None
        with self._minding(attempt.task_id) as in_hand:
            following = self._runner.pursue(attempt, lambda connection: self._take(connection, in_hand))
        if following is not None and following.task_id != attempt.task_id:
            # The task's own next step may be waiting for another thread.
            self._ring()
        return following

    def _take(self, connection: Writer, in_hand: list[UUID]) -> Attempt | None:
        """Begin what is due and may be done, in place of what this thread has in hand."""
        with self._choosing:
            for done in in_hand:
                self._slots.free(done)
        attempt = None
        while attempt is None and (task_id := self._choose(connection)) is not None:
            in_hand.append(task_id)
            attempt = self._runner.begin(connection, task_id)
            if attempt is None:  # it has ended
                self._queue.remove(connection, task_id)
                with self._choosing:
                    self._slots.free(task_id)
        return attempt

    def _choose(self, connection: Writer) -> UUID | None:
        with self._choosing:
            room = None if self._is_over else self._slots.room()
            taken = room and self._queue.take(connection, self._id, self._host, room)
            if not taken:
                return None
            self._slots.hold(*taken)
            return taken[0]

    @contextlib.contextmanager
    def _minding(self, *task_ids: UUID) -> Iterator[list[UUID]]:
        """The tasks that a thread has in hand; the queue gets them back if anything goes wrong."""
        in_hand = list(task_ids)
        try:
            yield in_hand
        except Exception as error:
            if isinstance(error, psycopg.OperationalError):
                logger.warning("the store does not answer: %s", error)
            else:
                logger.exception("a step could not be begun or recorded")
            with self._choosing:
                for task_id in in_hand:
                    self._slots.free(task_id)
            self._dropped.extend(in_hand)
            time.sleep(_RECONNECT_DELAY)
