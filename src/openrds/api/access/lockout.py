"""Who failed too often in a row, and is refused for a while. In memory, so each API process counts for itself."""

import datetime as dt
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

LOCK_TIME = dt.timedelta(minutes=5)
FAILURES_ALLOWED = 5
#: The most that is remembered: an attacker with many addresses must not fill our memory.
_CAPACITY = 10_000


@dataclass
class _Failures:
    count: int = 0
    locked_until: dt.datetime | None = None


class Lockout:
    """Failures in a row of whoever is named: of a key and an address, so that the key's owner elsewhere is served."""

    def __init__(self, allowed: int = FAILURES_ALLOWED) -> None:
        self._allowed = allowed
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def is_locked(self, who: Hashable, now: dt.datetime) -> bool:
        failures = self._failures.get(who)
        if failures is None or failures.locked_until is None:
            return False
        if now < failures.locked_until:
            return True
        self.succeeded(who)
        return False

    def failed(self, who: Hashable, now: dt.datetime) -> None:
        failures = self._failures.setdefault(who, _Failures())
        self._failures.move_to_end(who)
        failures.count += 1
        if failures.count > self._allowed:
            failures.locked_until = now + LOCK_TIME
        if len(self._failures) > _CAPACITY:
            self._failures.popitem(last=False)

    def succeeded(self, who: Hashable) -> None:
        self._failures.pop(who, None)
