"""Events: whoever reads on from one misses none and gets none twice, however their transactions commit."""

import asyncio
import contextlib
import datetime as dt
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from openrds.store.database import Reads
from openrds.tasks.events import (
    Event,
    Events,
    Following,
    Lagging,
    Position,
    Subject,
    forget_old,
    is_kept,
    read,
)
from support.workbench import Workbench

WRITERS = 6
TRANSACTIONS = 40
_TELL = (
    "select tell_event(%s, 'task', 'i', null, jsonb_build_object('writer', %s::integer, 'n', %s::integer))"
)


def write(dsn: str, project_id: str, writer: int, seed: int) -> None:
    """Transactions of one to three events, some of which stay open for a while, and some of which are taken back."""
    draw = random.Random(f"{seed} {writer}")
    with psycopg.connect(dsn) as connection:
        for n in range(TRANSACTIONS):
            for _ in range(draw.randint(1, 3)):
                connection.execute(_TELL, [project_id, writer, n])
                time.sleep(draw.choice((0, 0, 0.002, 0.02)))
            if draw.random() < 0.03:
                time.sleep(0.3)
            if draw.random() < 0.1:
                connection.rollback()
            else:
                connection.commit()


async def follow(
    dsn: str, project_id: str, begun: threading.Event, over: threading.Event, seed: int
) -> list[Position]:
    """What a reader gets whose stream, and whose process' connection, are cut again and again."""
    draw, seen = random.Random(seed), list[Position]()
    events = Events(dsn)
    async with Reads(dsn, connections=2) as reads, events.following():
        last: Position | None = None
        quiet = False
        while not quiet:
            with contextlib.suppress(Lagging), events.reading(project_id) as reader:
                last = last or reader.position
                begun.set()
                seen += [event.position async for event in read(reads, project_id, last, reader.position)]
                last = max(last, reader.position)
                for _ in range(draw.randint(1, 10)):
                    was_over = over.is_set()
                    taken = await reader.take(0.5)
                    seen += [event.position for event in taken]
                    last = max(last, reader.position)
                    quiet = was_over and not taken and events.is_live
            await asyncio.sleep(draw.choice((0, 0.01, 0.05)))
            if draw.random() < 0.1 and not over.is_set():
                await reads.rows(
                    b"select pg_terminate_backend(pid) from pg_stat_activity "
                    b"where query like 'select xid%%' and pid <> pg_backend_pid() or query like 'listen openrds_event'"
                )
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_nobody_misses_an_event_or_sees_one_twice(workbench: Workbench, seed: int) -> None:
    dsn, project_id = workbench.store.dsn, f"events-{seed}"
    begun, over = threading.Event(), threading.Event()
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reader = pool.submit(lambda: asyncio.run(follow(dsn, project_id, begun, over, seed)))
        assert begun.wait(60)
        writers = [pool.submit(write, dsn, project_id, writer, seed) for writer in range(WRITERS)]
        for writer in writers:
            writer.result(60)
        over.set()
        seen = reader.result(60)
    rows = workbench.store.rows(
        b"select xid::text::bigint as xid, number from event where project_id = %s "
        b"order by event.xid, number",
        [project_id],
    )
    assert len(rows) > WRITERS * TRANSACTIONS
    assert seen == [Position(row["xid"], row["number"]) for row in rows]


def test_what_is_old_is_forgotten_and_who_has_missed_it_is_told(workbench: Workbench) -> None:
    store = workbench.store
    for n in range(3):
        store.rows(_TELL.encode(), ["old", 0, n])
    rows = store.rows(
        b"select xid::text::bigint as xid, number from event where project_id = 'old' order by event.xid, number"
    )
    first, second, third = (Position(row["xid"], row["number"]) for row in rows)
    store.rows(
        b"update event set at = now() - interval '25 hours' where (xid, number) <= (%s::text::xid8, %s)",
        [str(second.xid), second.number],
    )
    forget_old(store)

    async def kept() -> list[bool]:
        async with Reads(store.dsn, connections=1) as reads:
            return [await is_kept(reads, position) for position in (first, second, third)]

    assert asyncio.run(kept()) == [False, False, True]


def test_a_reader_who_takes_nothing_is_cut_off(workbench: Workbench) -> None:
    dsn = workbench.store.dsn

    async def lag() -> None:
        events = Events(dsn)
        async with events.following(), asyncio.timeout(30):
            while not events.is_live:
                await asyncio.sleep(0.01)
            with events.reading("lag") as lazy, events.reading("lag") as eager:
                await asyncio.to_thread(
                    workbench.store.rows,
                    b"select tell_event('lag', 'task', 'i', null, '{}') from generate_series(1, 1500)",
                )
                taken = 0
                while taken < 1500:
                    taken += len(await eager.take(5))
                with pytest.raises(Lagging):
                    await lazy.take(5)

    asyncio.run(lag())


@pytest.mark.parametrize("text", ["", "7", "7-", "-7", "7-7-7", "a-7", "7-²", "7-99999999999999999999"])
def test_positions_are_two_numbers(text: str) -> None:
    assert Position.parse(text) is None


def test_a_position_is_read_as_it_was_written() -> None:
    assert Position.parse(str(Position(812, 40))) == Position(812, 40)


def test_a_reader_who_wants_little_hears_that_it_lives_though_much_else_happens() -> None:
    def event(subject: Subject) -> Event:
        return Event(Position(1, 1), "p", subject, "i", None, dt.datetime.now(dt.UTC), {})

    async def read_on() -> list[list[Subject]]:
        reader = Following(Position(1, 0))
        chosen = reader.choose(lambda one: one.subject is Subject.BACKUP, 0.2)
        got: list[list[Subject]] = []
        async with asyncio.timeout(20), contextlib.aclosing(chosen):
            while len(got) < 2:
                answer = asyncio.ensure_future(anext(chosen))
                while not answer.done():
                    reader.add(event(Subject.TASK))
                    await asyncio.sleep(0.02)
                got.append([one.subject for one in answer.result()])
            reader.add(event(Subject.TASK))
            reader.add(event(Subject.BACKUP))
            got.append([one.subject for one in await anext(chosen)])
        return got

    assert asyncio.run(read_on()) == [[], [], [Subject.BACKUP]]
