"""Rounds and bells: work is done when it is asked for, and otherwise hardly ever."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from openrds.control.changes import Changes, Subject
from openrds.control.rounds import Bell, Round, soon_if
from support.workbench import Workbench, running_workbench

SECONDS = 10.0
#: For which nothing must happen that is not due.
QUIET = 0.3


@pytest.fixture(scope="module")
def workbench():
    with running_workbench() as bench:
        yield bench


class Counted:
    """The work of a round that can be waited for."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self.times = 0
        self._done = threading.Condition()

    def __call__(self) -> float | None:
        with self._done:
            self.times += 1
            self._done.notify_all()
        return self.seconds

    async def reaches(self, times: int) -> bool:
        def wait() -> bool:
            with self._done:
                return self._done.wait_for(lambda: self.times >= times, SECONDS)

        return await asyncio.to_thread(wait)


def run(body: Callable[[], Awaitable[None]], *rounds: Round) -> None:
    async def all_() -> None:
        tasks = [asyncio.create_task(one.repeat()) for one in rounds]
        try:
            await asyncio.wait_for(body(), SECONDS)
        finally:
            for task in tasks:
                task.cancel()

    asyncio.run(all_())


def test_a_round_sleeps_until_it_is_rung_for():
    work = Counted()
    round_ = Round(work)

    async def body() -> None:
        assert await work.reaches(1)
        await asyncio.sleep(QUIET)
        assert work.times == 1
        round_.bell.ring(["i1"])
        assert await work.reaches(2)

    run(body, round_)


def test_a_round_comes_when_it_said_that_it_would():
    busy, idle = Counted(0.01), Counted(3600.0)

    async def body() -> None:
        assert await busy.reaches(5)
        assert idle.times == 1

    run(body, Round(busy), Round(idle))


def test_a_round_comes_at_least_so_often_whatever_it_said():
    work = Counted(3600.0)

    async def body() -> None:
        assert await work.reaches(3)

    run(body, Round(work, at_least=0.01))


def test_a_round_that_failed_comes_again_and_knows_nothing():
    bell, heard = Bell(), []
    done = threading.Event()

    def work() -> None:
        heard.append(bell.take())
        if len(heard) == 1:
            raise psycopg.OperationalError("the store is away")
        done.set()

    async def body() -> None:
        assert await asyncio.to_thread(done.wait, SECONDS)

    run(body, Round(work, bell))
    assert heard == [None, None]


def test_a_bell_gathers_what_it_was_rung_for():
    bell = Bell()
    assert bell.take() is None
    bell.ring(["i1"])
    bell.ring(["i2", "i1"])
    assert bell.take() == {"i1", "i2"}
    assert bell.take() == frozenset()
    bell.ring(["i3"])
    bell.ring_for_all()
    bell.ring(["i4"])
    assert bell.take() is None


def test_work_that_has_nothing_to_do_is_not_asked_for_soon():
    assert soon_if(2.0, lambda: True)() == 2.0
    assert soon_if(2.0, lambda: False)() is None


async def rung(bell: Bell) -> frozenset[str] | None:
    await asyncio.wait_for(bell.wait(2 * SECONDS), SECONDS)
    return bell.take()


def test_changes_ring_for_whom_they_concern(workbench: Workbench):
    changes = Changes(workbench.store.dsn)
    instances, tasks = changes.bell(Subject.INSTANCE), changes.bell(Subject.TASKS)

    async def body() -> None:
        following = asyncio.create_task(changes.follow())
        try:
            # What may have been missed before is looked for.
            assert await rung(instances) is None
            assert await rung(tasks) is None
            await asyncio.to_thread(tell, workbench, "instance i1", "other i3")
            assert await rung(instances) == {"i1"}
            assert tasks.take() == frozenset()

            await asyncio.to_thread(cut_sessions, workbench)
            assert await rung(instances) is None
            await asyncio.to_thread(tell, workbench, "tasks")
            await rung(tasks)
        finally:
            following.cancel()

    run(body)


def tell(bench: Workbench, *payloads: str) -> None:
    for payload in payloads:
        bench.store.rows(b"select pg_notify('openrds_changed', %s)", [payload])


def cut_sessions(bench: Workbench) -> None:
    bench.store.rows(
        b"select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen openrds_changed'"
    )
