"""What a process keeps of ended tasks, seen from inside: races that calls from outside cannot bring about at will."""

import asyncio
from uuid import UUID

import uuid_utils

from openrds.tasks.memory import EndedTasks, wait_until_forgotten
from support.workbench import Workbench


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
