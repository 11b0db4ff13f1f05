"""Tasks by their ids. Those that are asked for while the store answers are found together, by its next statement.

So a store, or a machine, that is busy for a moment is not asked more often the more wait for it.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from openrds.store.database import ANSWER_TIMEOUT, Parameters, Row, answered_within
from openrds.store.queries import Queries

_sql = Queries("tasks")

#: The most that one statement looks for.
_TOGETHER = 100

#: Of a project, a task.
_Key = tuple[str, UUID]
_Question = tuple[_Key, asyncio.Future[Row | None]]


class Answers(Protocol):
    """Who asks the store, one statement after the other."""

    async def rows(self, statement: bytes, parameters: Parameters = ()) -> list[Row]: ...


class Lookups:
    """Used from one event loop only."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    async def find(self, project_id: str, task_id: UUID) -> Row | None:
        """The task as it is in a statement that begins from now on.

        Raises:
            psycopg.OperationalError: the store does not answer.
        """
        answer: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((project_id, task_id), answer))
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        # Also what is waited for before its own statement begins.
        async with answered_within(ANSWER_TIMEOUT):
            return await answer

    async def _ask(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            try:
                async with answered_within(ANSWER_TIMEOUT):
                    found = await self._find([key for key, _ in asked])
            except Exception as error:
                _tell(asked, error)
            else:
                _tell(asked, found)
        self._asking = None

    async def _find(self, keys: Sequence[_Key]) -> dict[_Key, Row]:
        if len(keys) == 1:
            ((project_id, task_id),) = keys
            statement, wanted = _sql.get_task, {"id": task_id, "project_id": project_id}
        else:
            projects, ids = zip(*keys, strict=True)
            statement, wanted = _sql.get_tasks, {"ids": list(ids), "project_ids": list(projects)}
        rows = await self._answers.rows(statement, wanted)
        return {(row["project_id"], row["id"]): row for row in rows}


def _tell(asked: Sequence[_Question], found: dict[_Key, Row] | Exception) -> None:
    """Those who still wait: a client may have gone."""
    for key, answer in asked:
        if answer.done():
            continue
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found.get(key))
