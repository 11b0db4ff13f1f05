"""What an idle instance costs: the memory of its server, and the CPU time that openrds spends on it.

Three services are idle at the same time: one without an instance, one with some of PostgreSQL, one with as many of the
engine. What an instance adds is the difference to the first.
"""

import contextlib
import statistics
import time
from collections.abc import Iterator

from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from bench.idle import SERVERS, SETTLE_SECONDS, create_many, servers_of, window
from bench.pool import await_full_pool
from support.service import ServiceUnderTest, running_service

INSTANCES = 10
#: What an instance costs in one is a tick or two of the clock by which processes are charged: all count together.
_WINDOWS = 16
#: Percent of a core: an idle service may use that much more for each instance of PostgreSQL.
_MOST_ADDED = 0.01
#: As for them, and what differs in any case between one window and the next.
_NOISE = 0.005


def measure(hand: Hand) -> Iterator[Figure]:
    options = {**hand.options, "heartbeat_interval": "2", "worker_timeout": "6"}
    with contextlib.ExitStack() as stack:
        services = [stack.enter_context(running_service(**options)) for _ in range(3)]
        _, postgresql, of_engine = services
        create_many(postgresql, range(INSTANCES), POSTGRESQL.dialect)
        create_many(of_engine, range(INSTANCES), hand.dialect)
        for service in services:
            await_full_pool(service)
        time.sleep(SETTLE_SECONDS)
        yield _memory(of_engine, hand)
        yield _added(services)


def _memory(service: ServiceUnderTest, hand: Hand) -> Figure:
    assert hand.bounds.server_memory is not None
    found = [process.memory_full_info().pss / 2**20 for process in servers_of(service)]
    name = f"memory of an idle server (PSS), one of {len(found)}"
    return Figure(
        name, statistics.median(found), hand.bounds.server_memory, " MB", detail=spread(found, "MB")
    )


def _added(services: list[ServiceUnderTest]) -> Figure:
    by_postgresql, by_engine, of_servers = [], [], []
    for _ in range(rounds(_WINDOWS)):
        shares = window(services)
        of_servers.append(shares[2].pop(SERVERS, 0.0))
        none, postgresql, ours = (sum(share for who, share in of.items() if who != SERVERS) for of in shares)
        by_postgresql.append((postgresql - none) / INSTANCES)
        by_engine.append((ours - none) / INSTANCES)
    added, usual = statistics.fmean(by_engine), statistics.fmean(by_postgresql)
    detail = (
        f"{spread(by_engine, '%')}; of PostgreSQL {usual:.4f} % ({spread(by_postgresql, '%')}); "
        f"the {INSTANCES} servers themselves {spread(of_servers, '%')}"
    )
    bound = max(_MOST_ADDED, usual) + _NOISE
    return Figure("idle CPU that openrds adds for each instance", added, bound, " %", detail=detail)
