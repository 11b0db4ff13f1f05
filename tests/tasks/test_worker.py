"""A real worker on a real store: what wakes it. Its heart beats so slowly that a wake-up which was missed is seen."""

import asyncio
import contextlib
import datetime as dt
import signal
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import uvloop
from test_tasks import nothing, operation, submit

from openrds.hosts.processes import RECORD, find
from openrds.operations.intake.intake import NoParameters
from openrds.service.means import choose_users
from openrds.service.private_store import open_private_store
from openrds.tasks.operation import Operation, Step
from openrds.tasks.runner import Runner
from openrds.tasks.watchdog import return_lost_steps
from openrds.tasks.worker import Worker
from support.service import wait_for
from support.workbench import Workbench

#: Far below the poll, and far above what a busy machine needs.
SOON = 60.0
NOOP = operation(Step("only", nothing))


@contextlib.contextmanager
def running_worker(
    bench: Workbench,
    work: Operation[Any, NoParameters] = NOOP,
    heartbeat_interval: float = 600.0,
    concurrency: int = 2,
) -> Iterator[None]:
    runner = Runner(bench.store, bench.queue, {work.key: work}, bench.resources)
    loop = uvloop.new_event_loop()
    worker = Worker(
        bench.store,
        bench.queue,
        runner,
        host="local",
        concurrency=concurrency,
        heartbeat_interval=heartbeat_interval,
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


def listeners(bench: Workbench) -> list[int]:
    """The store's processes that serve a connection which listens for jobs."""
    rows = bench.store.rows(
        b"select pid from pg_stat_activity where query like '%%insert into worker%%' and state = 'idle'", []
    )
    return [row["pid"] for row in rows]


def await_end(bench: Workbench, task_id: UUID) -> None:
    wait_for(lambda: bench.task(task_id)["status"] == "Completed", SOON, "the task")


def test_a_waiting_worker_is_woken(workbench: Workbench) -> None:
    with running_worker(workbench):
        for _ in range(3):
            await_end(workbench, submit(workbench, NOOP))


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
    with running_worker(workbench, heartbeat_interval=0.3):
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
    (row,) = bench.store.rows(b"select max(seen_at) as last from worker")
    return row["last"]


def test_a_step_that_the_watchdog_returns_is_taken_at_once(workbench: Workbench) -> None:
    task_id = submit(workbench, NOOP)
    with workbench.store.transaction() as connection:
        # Of another host while the worker starts, which takes up what its forerunner left.
        connection.execute(
            b"update due_step set worker = gen_random_uuid(), host = 'away' where task_id = %s",
            [task_id],
        )
    with running_worker(workbench):
        await_end(workbench, submit(workbench, NOOP))
        workbench.store.rows(
            b"update due_step set host = 'local' where task_id = %s",
            [task_id],
        )
        return_lost_steps(workbench.store, workbench.queue, worker_timeout=60)
        await_end(workbench, task_id)
