"""Work that is done again and again: when something was heard that concerns it, and at times of its own."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import psycopg

logger = logging.getLogger(__name__)

#: Seconds after which a round that failed is done again, unless it is due earlier.
_AFTER_FAILURE = 2.0


class Bell:
    """Wakes one round. It is rung on the event loop, for some instances or for whatever there may be."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._lock = threading.Lock()
        # Whoever has just begun has heard nothing yet, and looks at everything.
        self._heard: set[str] | None = None

    def ring(self, instance_ids: Iterable[str]) -> None:
        with self._lock:
            if self._heard is not None:
                self._heard.update(instance_ids)
        self._rung.set()

    def ring_for_all(self) -> None:
        self.forget()
        self._rung.set()

    def forget(self) -> None:
        """What was heard was not made use of: it may have been anything."""
        with self._lock:
            self._heard = None

    def take(self) -> frozenset[str] | None:
        """The instances it was rung for since this was last asked; None where that may have been any."""
        with self._lock:
            heard, self._heard = self._heard, set()
        return None if heard is None else frozenset(heard)

    async def wait(self, seconds: float) -> None:
        """Until it was rung since the last time, but at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()


@dataclass(frozen=True)
class Round:
    """`work` runs in a thread, when the bell was rung or the time has come.

    It returns in how many seconds it wants to run again though nobody rings, or None. `at_least` bounds that: so soon
    it is made good if something was missed. Between two rounds there are `pause` seconds, or more.
    """

    work: Callable[[], float | None]
    bell: Bell = field(default_factory=Bell)
    pause: float = 0.0
    at_least: float = 60.0

    async def repeat(self) -> None:
        """One that fails is logged, and the next comes all the same."""
        while True:
            seconds = await self._run()
            await asyncio.sleep(self.pause)
            await self.bell.wait(max(0.0, seconds - self.pause))

    async def _run(self) -> float:
        try:
            seconds = await asyncio.to_thread(self.work)
            return self.at_least if seconds is None else min(seconds, self.at_least)
        except psycopg.OperationalError as error:
            logger.warning("the store does not answer: %s", error)
        except Exception:
            logger.exception("a round failed")
        self.bell.forget()
        await asyncio.sleep(_AFTER_FAILURE)
        return 0.0


def soon_if(seconds: float, work: Callable[[], bool]) -> Callable[[], float | None]:
    """The work of a round that comes again in so many seconds as long as it says that there is something to do."""
    return lambda: seconds if work() else None
