"""Objects of one repository into another that has the same key: sealed as they are, and read before they are written.

So nothing that is damaged, or was put in an object's place, ever gets from one into the other.
"""

import threading
import time
from collections.abc import Callable, Iterable

from openrds.repository.errors import NotInRepositoryError, StrangeObjectError
from openrds.repository.repository import Repository
from openrds.repository.transfers import in_order

#: Objects that were damaged after which no more are tried: the rest is likely to be so too.
_MOST_DAMAGED = 100


class Pace:
    """So many bytes in a second, however many threads send them; 0 is as many as there are."""

    def __init__(
        self,
        bytes_a_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_a_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def keep(self, size: int) -> None:
        """Wait until so many bytes may be sent."""
        if not self._rate:
            return
        with self._lock:
            now = self._clock()
            begin = max(now, self._free_at)
            self._free_at = begin + size / self._rate
        if begin > now:
            self._sleep(begin - now)


def copy_objects(
    source: Repository, target: Repository, names: Iterable[str], pace: Pace
) -> tuple[list[str], list[str]]:
    """Copy objects in their order; those that are not there any more, and what is wrong with those that are damaged.

    A few at a time are in memory. Whoever gives the names may end it by raising an error.

    Raises:
        RepositoryError: one of the two cannot be used. What was copied is there as a whole.
    """

    def copy(name: str) -> tuple[str, str]:
        try:
            sealed = source.read_sealed(name)
        except NotInRepositoryError:
            return name, ""
        except StrangeObjectError as error:
            return "", str(error)
        pace.keep(len(sealed))
        target.write_sealed(name, sealed)
        return "", ""

    gone: list[str] = []
    damaged: list[str] = []
    for missing, problem in in_order(copy, names):
        gone += [missing] if missing else []
        damaged += [problem] if problem else []
        if len(damaged) >= _MOST_DAMAGED:
            break
    return gone, damaged
