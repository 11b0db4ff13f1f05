"""How long a step may take, and how that which it waits for is ended when its time is over.

A thread cannot be ended. So whoever makes it wait says how the wait is ended: a program is killed, a statement is
cancelled, a loop asks. Nothing of this concerns a thread that runs no step.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass


class DeadlinePassed(Exception):  # noqa: N818 - the outcome of a step, not a fault in the program
    """The step that this thread runs has been given up."""


@dataclass(frozen=True)
class Deadline:
    """A step is given up after so many `seconds`, and after `idle` seconds in which no program of its moved a byte."""

    seconds: float
    idle: float | None = None


#: For a step that says a few things to a server.
SHORT = Deadline(60.0)
#: For one that starts servers: the recovery of one after a crash is waited for up to ten minutes.
ORDINARY = Deadline(900.0)
#: For one that copies data, of which there may be any amount.
LONG = Deadline(86400.0, idle=900.0)


@dataclass(frozen=True, eq=False)
class _Wait:
    """Something that a step waits for: how it is ended, and a value that changes as it gets on."""

    end: Callable[[], None]
    moved: Callable[[], Hashable]


class Countdown:
    """The time of one attempt at a step. `expire` and `is_over` are called from another thread than the step's."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.has_expired = False
        self._lock = threading.Lock()
        self._waits: list[_Wait] = []
        self._moved: Hashable = ()
        self._begun = self._last_moved = time.monotonic()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """For the thread that makes the attempt."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def is_over(self) -> bool:
        """Whether the step has had its time."""
        now, idle = time.monotonic(), self.deadline.idle
        if self.has_expired or now - self._begun >= self.deadline.seconds:
            return True
        if idle is None or now - self._last_moved < idle:
            return False
        with self._lock:
            moved = tuple((wait, wait.moved()) for wait in self._waits)
        if moved == self._moved:
            return True
        self._moved, self._last_moved = moved, now
        return False

    def expire(self) -> None:
        """Give the step up: end what it waits for, and have it wait for nothing more.

        It may have passed on to a further statement of the same session: until it has ended, this is to be repeated.
        """
        with self._lock:
            self.has_expired = True
            waits = tuple(self._waits)
        for wait in waits:
            wait.end()

    @contextlib.contextmanager
    def ending(self, wait: _Wait) -> Iterator[None]:
        with self._lock:
            self.check()
            self._waits.append(wait)
        try:
            yield
        finally:
            with self._lock:
                self._waits.remove(wait)

    def check(self) -> None:
        if self.has_expired:
            raise DeadlinePassed("the step was given up")


_current: ContextVar[Countdown | None] = ContextVar("countdown", default=None)


@contextlib.contextmanager
def ended_with_step(end: Callable[[], None], moved: Callable[[], Hashable] = lambda: None) -> Iterator[None]:
    """What the block waits for is ended by `end`, called from another thread, when the step of this one is given up.

    `moved` gives something that is another value as long as it gets on.

    Raises:
        DeadlinePassed: the step has been given up before.
    """
    countdown = _current.get()
    if countdown is None:
        yield
        return
    with countdown.ending(_Wait(end, moved)):
        yield


def check_deadline() -> None:
    """
    Raises:
        DeadlinePassed: the step of this thread has been given up.
    """
    countdown = _current.get()
    if countdown is not None:
        countdown.check()
