"""Those instances are measured each second or five for which that was asked, besides each minute."""

import datetime as dt
import math
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait

from openrds.domain.metrics import Figures
from openrds.operations.rounds.metrics import Watched, as_rows, ask, measure, watched
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.store.queries import Queries

_sql = Queries("metrics")

#: Servers are asked side by side, so many at once, ...
_AT_ONCE = 16
#: ... and one that takes longer than this, in seconds, says nothing this time: the others are not kept waiting.
_PATIENCE = 0.7


class CloseLooks:
    """At whole multiples of an interval since 1970, so that those of several hosts go together."""

    def __init__(self, resources: Resources, roster: Roster, clock: Callable[[], float] = time.time) -> None:
        self._resources = resources
        self._roster = roster
        self._clock = clock
        self._pool = ThreadPoolExecutor(_AT_ONCE, "close-look")
        self._asked: dict[str, Future[Figures | None]] = {}
        #: By interval the moment that was last measured.
        self._noted: dict[int, int] = {}

    def look(self) -> float:
        """In how many seconds the next is due; infinity where nobody asked for any."""
        nodes = [one for one in watched(self._roster.all()) if one.instance.monitor_interval]
        intervals = {one.instance.monitor_interval or 0 for one in nodes}
        now = self._clock()
        for interval in sorted(intervals):
            moment = int(now) // interval * interval
            if moment != self._noted.get(interval):
                self._noted[interval] = moment
                self._note(moment, [one for one in nodes if one.instance.monitor_interval == interval])
        due = min((self._noted[interval] + interval for interval in intervals), default=math.inf)
        return max(0.0, due - self._clock())

    def _note(self, moment: int, nodes: Collection[Watched]) -> None:
        """Servers are asked each time, also those that have hardly worked: that is what was asked for."""
        self._ask([one for one in nodes if one.free])
        samples = measure(self._resources, nodes, lambda one, _cpu_seconds: self._said(one))
        at = dt.datetime.fromtimestamp(moment, dt.UTC)
        self._resources.store.rows(_sql.insert_close_samples, [at, as_rows(samples)])

    def _ask(self, nodes: Collection[Watched]) -> None:
        """One that has not answered yet is not asked again."""
        self._asked = {id_: asked for id_, asked in self._asked.items() if not asked.done()}
        for one in nodes:
            if one.node.id not in self._asked:
                self._asked[one.node.id] = self._pool.submit(ask, self._resources, one)
        wait([self._asked[one.node.id] for one in nodes], _PATIENCE)

    def _said(self, one: Watched) -> Figures | None:
        asked = self._asked[one.node.id]
        return asked.result() if asked.done() else None
