"""A real worker on a real store: what wakes it. Polling is made so slow that a wake-up which was missed is seen."""

import asyncio
import contextlib
import datetime as dt
import signal
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import procrastinate
import procrastinate.worker
import pytest
import uvloop
from test_tasks import nothing, operation, submit

from openrds.hosts.processes import RECORD, find
from openrds.operations.intake import NoParameters
from openrds.service.means import choose_users
from openrds.service.private_store import open_private_store
from openrds.tasks import worker as worker_module
from openrds.tasks.operation import Operation, Step
from openrds.tasks.runner import Runner
from openrds.tasks.watchdog import return_lost_steps
from openrds.tasks.worker import Worker
from support.service import wait_for
from support.workbench import Workbench

#: Far below the poll, and far above what a busy machine needs.
SOON = 20.0
NOOP = operation(Step("only", nothing))


@contextlib.contextmanager
def running_worker(bench: Workbench, work: Operation[Any, NoParameters] = NOOP) -> Iterator[None]:
    runner = Runner(bench.store, bench.queue, {work.key: work}, bench.resources)
    loop = uvloop.new_event_loop()
    worker = Worker(
        bench.store,
        bench.queue,
        runner,
        host="local",
        concurrency=2,
        heartbeat_interval=0.3,
        worker_timeout=60,
    )
    running = loop.create_task(worker.run())

    def work_until_cancelled() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(running)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=work_until_cancelled, daemon=True)
    thread.start()
    try:
        wait_for(lambda: listeners(bench), SOON, "the worker listens")
        yield
    finally:
        loop.call_soon_threadsafe(running.cancel)
        thread.join(SOON)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def slow_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_POLL_INTERVAL", 600.0)


def listeners(bench: Workbench) -> list[int]:
    """The store's processes that serve a connection which listens for jobs."""
    rows = bench.store.rows(
        b"select pid from pg_stat_activity where query ilike 'listen%%' and state = 'idle'", []
    )
    return [row["pid"] for row in rows]


def job_of(bench: Workbench, task_id: UUID) -> int:
    (row,) = bench.store.rows(b"select id from procrastinate_jobs where queueing_lock = %s", [str(task_id)])
    return int(row["id"])


def await_end(bench: Workbench, task_id: UUID) -> None:
    wait_for(lambda: bench.task(task_id)["status"] == "Completed", SOON, "the task")


def test_a_waiting_worker_is_woken(workbench: Workbench) -> None:
    with running_worker(workbench):
        for _ in range(3):
            await_end(workbench, submit(workbench, NOOP))


def test_a_job_that_is_announced_during_a_fetch_is_not_forgotten(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fetch that no longer saw the job returns only after the job's notification was handled."""
    heard: set[int] = set()
    accepted: list[UUID] = []
    armed = threading.Event()
    handle = procrastinate.worker.Worker._handle_notification

    async def handle_and_note(self: procrastinate.worker.Worker, **announced: Any) -> None:
        await handle(self, **announced)
        heard.add(announced["notification"]["job_id"])

    class Slow(procrastinate.PsycopgConnector):
        async def execute_query_one_async(self, query: str, **arguments: Any) -> dict[str, Any]:
            row = await super().execute_query_one_async(query, **arguments)
            if armed.is_set() and "fetch_job" in query and row["id"] is None:
                armed.clear()
                accepted.append(await asyncio.to_thread(submit, workbench, NOOP))
                job_id = await asyncio.to_thread(job_of, workbench, accepted[0])
                async with asyncio.timeout(SOON):
                    while job_id not in heard:
                        await asyncio.sleep(0.001)
            return row

    monkeypatch.setattr(worker_module, "PsycopgConnector", Slow)
    monkeypatch.setattr(procrastinate.worker.Worker, "_handle_notification", handle_and_note)
    with running_worker(workbench):
        armed.set()
        await_end(workbench, submit(workbench, NOOP))
        wait_for(lambda: accepted, SOON, "a fetch that finds nothing")
        await_end(workbench, accepted[0])


def test_a_worker_whose_listening_connection_is_cut_hears_again(workbench: Workbench) -> None:
    with running_worker(workbench):
        old = listeners(workbench)
        for pid in old:
            workbench.store.rows(b"select pg_terminate_backend(%s)", [pid])
        wait_for(lambda: set(listeners(workbench)) - set(old), SOON, "it listens again")
        await_end(workbench, submit(workbench, NOOP))


def test_a_worker_lives_on_when_the_store_has_been_away(workbench: Workbench) -> None:
    """For longer than it takes to try in vain to listen again."""
    settings = workbench.resources.settings
    with running_worker(workbench):
        store = find(settings.data_dir / "store" / RECORD)
        assert store is not None
        store.send(signal.SIGKILL)
        assert store.wait(SOON)
        open_private_store(settings, choose_users(settings))

        wait_for(lambda: listeners(workbench), SOON, "it listens again")
        await_end(workbench, submit(workbench, NOOP))
        began = heartbeat(workbench)
        wait_for(lambda: heartbeat(workbench) > began, SOON, "its next heartbeat")


def heartbeat(bench: Workbench) -> dt.datetime:
    (row,) = bench.store.rows(b"select max(last_heartbeat) as last from procrastinate_workers")
    return row["last"]


def test_a_step_that_the_watchdog_returns_is_taken_at_once(workbench: Workbench) -> None:
    task_id = submit(workbench, NOOP)
    with workbench.store.transaction() as connection:
        # Of another host while the worker starts, which takes up what its forerunner left.
        connection.execute(
            b"update procrastinate_jobs set status = 'doing', queue_name = 'host:away' where queueing_lock = %s",
            [str(task_id)],
        )
    with running_worker(workbench):
        await_end(workbench, submit(workbench, NOOP))
        workbench.store.rows(
            b"update procrastinate_jobs set queue_name = 'host:local' where queueing_lock = %s returning id",
            [str(task_id)],
        )
        return_lost_steps(workbench.store, workbench.queue, worker_timeout=60)
        await_end(workbench, task_id)
