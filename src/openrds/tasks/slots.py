"""Who may have a step done: the slots of a worker, shared fairly between projects."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

#: Steps that wait for something cost next to nothing, but each has a thread.
_THREADS_A_SLOT = 4


@dataclass(frozen=True)
class Room:
    """What may be taken next: a step of a project that has less than `most` at work, or with None of any."""

    busy: Mapping[str, int]
    most: int | None
    at_work: frozenset[UUID]


class Slots:
    """
    Which tasks have a step at work here. One thread at a time may change that; `discount` may be called at any time.

    Any project may use all slots. But one with less than half of them at work is never kept waiting by others, who
    may be in a step that hangs: for it there are threads beyond the slots. A step that is overdue holds no slot.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._project_of: dict[UUID, str] = {}
        self._overdue: frozenset[UUID] = frozenset()

    @property
    def threads(self) -> int:
        """As many as there may ever be steps at work."""
        return _THREADS_A_SLOT * self._slots

    @property
    def are_free(self) -> bool:
        return not self._project_of

    def hold(self, task_id: UUID, project_id: str) -> None:
        self._project_of[task_id] = project_id

    def free(self, task_id: UUID) -> None:
        self._project_of.pop(task_id, None)

    def discount(self, overdue: frozenset[UUID]) -> bool:
        """Note which tasks have a step that is overdue, and say whether that makes room."""
        grown = not overdue <= self._overdue
        self._overdue = overdue
        return grown

    def room(self) -> Room | None:
        """What room there is for one more step, if any."""
        if len(self._project_of) >= self.threads:
            return None
        counted = [project for task, project in self._project_of.items() if task not in self._overdue]
        most = None if len(counted) < self._slots else max(1, self._slots // 2)
        return Room(Counter(counted), most, frozenset(self._project_of))
