"""What a process keeps of ended tasks, seen from inside: races that calls from outside cannot bring about at will."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
import uuid_utils

from openrds.store.queries import Queries
from openrds.tasks.memory import EndedTasks, wait_until_forgotten
from support.workbench import Workbench

_sql = Queries("tasks")


def test_a_deletion_waits_for_who_may_still_show_the_record(workbench: Workbench) -> None:
    with psycopg.connect(workbench.store.dsn, autocommit=True) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(_sql.hold_memory)
        waiting = pool.submit(wait_until_forgotten, workbench.store)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        holder.execute(_sql.release_memory)
        waiting.result(20)


def test_an_answer_from_before_a_deletion_that_did_not_wait_is_not_kept(workbench: Workbench) -> None:
    """A process without its lock is not waited for: what it is just reading may be gone when it may keep again."""
    memory = EndedTasks(workbench.store.dsn)
    gone, kept = UUID(str(uuid_utils.uuid7())), UUID(str(uuid_utils.uuid7()))

    async def race() -> None:
        read_at = memory.generation
        await asyncio.to_thread(wait_until_forgotten, workbench.store)
        async with memory.following(), asyncio.timeout(20):
            while memory.find("p", str(kept)) is None:
                memory.keep("p", kept, b"{}", memory.generation)
                await asyncio.sleep(0.01)
            memory.keep("p", gone, b"{}", read_at)
            assert memory.find("p", str(gone)) is None

    asyncio.run(race())
