"""Signed requests of a client beside a thousand strangers who hold connections, and without them, in turn.

The client asks on connections that it keeps and on fresh ones; strangers who are sent away come back. They run in a
process of their own, on the same cores.
"""

import time
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from bench.figures import Figure, percentile, spread
from bench.load import connect, latency, signed_get
from support.service import ServiceUnderTest, running_service
from support.strangers import FORTY_ADDRESSES, KINDS, ONE_ADDRESS, Plan, Strangers

CROWD = 1000
ROUNDS = 3
REQUESTS = 200
#: Requests on one connection before another one is taken.
_ON_ONE = 10
_PAUSE = 0.002


def measure() -> Iterator[Figure]:
    memory: list[int] = []
    with running_service() as service:
        # The document, which readers ask for, is written when it is first asked for.
        urllib.request.urlopen(f"{service.endpoint}/schema/openapi.json").close()
        _latencies(service)
        for kind in KINDS:
            for where, addresses in (("one address", ONE_ADDRESS), ("forty", FORTY_ADDRESSES)):
                yield _beside(service, kind, where, addresses, memory)
    yield Figure(
        "memory of all processes beside strangers, PSS",
        max(memory),
        300,
        " MB",
        detail=f"{min(memory)} at least",
    )


def _beside(
    service: ServiceUnderTest, kind: str, where: str, addresses: tuple[str, ...], memory: list[int]
) -> Figure:
    address = urlsplit(service.endpoint)
    assert address.hostname and address.port
    key = service.credentials["access_key"]
    plan = Plan(address.hostname, address.port, kind, CROWD, addresses, key, again=True)
    quiet: list[float] = []
    attacked: list[float] = []
    for _ in range(ROUNDS):
        quiet += _latencies(service)
        with Strangers(plan):
            attacked += _latencies(service)
            memory.append(_memory(service))
    return Figure(
        f"signed requests beside {CROWD} {kind} strangers of {where} / alone, 99th percentile",
        percentile(attacked, 99) / percentile(quiet, 99),
        3,
        detail=f"{percentile(attacked, 99) * 1000:.3g} ms; {percentile(quiet, 99) * 1000:.3g} ms; median "
        f"{spread(attacked, 'ms', 1000)}; {spread(quiet, 'ms', 1000)}",
    )


def _latencies(service: ServiceUnderTest) -> list[float]:
    """Seconds of each request; that of a first one includes making its connection."""
    request = signed_get(service, f"/v3/{service.project_id}/instances")
    took = []
    for _ in range(REQUESTS // _ON_ONE):
        begun = time.perf_counter()
        connection = connect(service)
        made = time.perf_counter() - begun
        for _ in range(_ON_ONE):
            took.append(latency(connection, request) + made)
            made = 0.0
            time.sleep(_PAUSE)
        connection.close()
    return took


def _memory(service: ServiceUnderTest) -> int:
    assert service.process is not None
    serve = psutil.Process(service.process.pid)
    return sum(one.memory_full_info().pss for one in (serve, *serve.children(recursive=True))) >> 20
