"""Turns at work that keeps a core busy for as long as it lasts: more at once would all be late."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from openrds.domain.deadline import check_deadline

#: Seconds between looks whether the step that waits for its turn has been given up.
_LOOK_INTERVAL = 1.0


class Turns:
    """As many at once as there are cores. What nobody waits for has its turn when no other is taken."""

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or os.cpu_count() or 1
        self._changed = threading.Condition()
        self._taken = 0
        self._wanted = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """
        Raises:
            DeadlinePassed: the step that waits was given up.
        """
        with self._changed:
            self._wanted += 1
            try:
                while self._taken >= self._cores:
                    self._changed.wait(_LOOK_INTERVAL)
                    check_deadline()
                self._taken += 1
            finally:
                self._wanted -= 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def await_quiet(self) -> None:
        """Return when nobody has a turn or waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == self._wanted == 0)
