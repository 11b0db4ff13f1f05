"""What the noting of metrics costs for each instance: CPU time of the host agent, of the store and of the servers.

A server that does hardly anything is not asked each minute; one that works is. Rounds follow each other at once, and
their cost is told as it is where there is one a minute.
"""

import statistics
import time
from collections.abc import Iterator

from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from openrds.hosts.consumption import consumption_of
from openrds.hosts.processes import records_below
from openrds.operations.rounds.metrics import Metrics
from openrds.operations.rounds.roster import Roster
from support.scenarios import active_instance
from support.workbench import Workbench, running_workbench

INSTANCES = 8
_BLOCKS = 10
_ROUNDS_OF_A_BLOCK = 20
#: Percent of a core.
_MOST = 0.01
_PERIOD_SECONDS = 60.0
#: More than a server is trusted for.
_LONG = 1000.0


def measure(hand: Hand = POSTGRESQL) -> Iterator[Figure]:
    with running_workbench() as bench:
        ours = bench.speaking(hand.dialect)
        for _ in range(INSTANCES):
            active_instance(ours)
        yield _cost(bench, "that works", passing=_LONG)
        yield _cost(bench, "that is idle", passing=_PERIOD_SECONDS)


def _cost(bench: Workbench, which: str, *, passing: float) -> Figure:
    """`passing` seconds lie between two rounds."""
    now = [0.0]
    metrics = Metrics(bench.resources, Roster(bench.resources), clock=lambda: now[0])
    metrics.note()
    shares = []
    for _ in range(rounds(_BLOCKS)):
        begun = _cpu_seconds(bench)
        for _ in range(_ROUNDS_OF_A_BLOCK):
            now[0] += passing
            metrics.note()
        used = (_cpu_seconds(bench) - begun) / _ROUNDS_OF_A_BLOCK / INSTANCES
        shares.append(used / _PERIOD_SECONDS * 100)
    name = f"CPU of one core for the metrics of an instance {which}"
    return Figure(name, statistics.fmean(shares), _MOST, " %", detail=spread(shares, "%"))


def _cpu_seconds(bench: Workbench) -> float:
    """Of ourselves, of the store and of all servers, with what they had and is gone."""
    time.sleep(0.05)  # a session that was closed ends a moment later, and is counted when it has
    found = map(consumption_of, records_below(bench.resources.settings.data_dir))
    return time.process_time() + sum(taken.cpu_seconds for taken in found if taken)
