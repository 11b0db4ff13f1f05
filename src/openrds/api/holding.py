"""Requests that are held open: those that wait for a task, and streams of events. Each costs a connection."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode, Refusal

#: The most that a project may have at a time. `max_connections` bounds all together.
MOST = 2000


class Holding:
    """How many a project has. Used from one event loop."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def check(self, project_id: str) -> None:
        """
        Raises:
            Refusal: THROTTLED, the project has too many.
        """
        if self._held[project_id] >= MOST:
            raise Refusal(
                ErrorCode.THROTTLED, f"The project has {MOST} streams and waiting requests open; close some."
            )

    @contextmanager
    def one(self, project_id: str) -> Iterator[None]:
        """Have one more in the block. Raises as `check`."""
        self.check(project_id)
        self._held[project_id] += 1
        try:
            yield
        finally:
            self._held[project_id] -= 1
            if not self._held[project_id]:
                del self._held[project_id]


def holding_of(request: ApiRequest) -> Holding:
    return cast("Holding", request.app.state.holding)
