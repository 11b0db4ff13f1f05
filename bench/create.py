"""From the HTTP call that creates an instance to the first query answered, beside the same done by hand.

By hand: initialise with the same options, start on an address of its own, first query over TCP. The kinds of run follow
each other in turn, and a ratio is the median of the ratios of neighbours.
"""

import contextlib
import statistics
import time
from collections.abc import Iterator

from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from bench.hands.folder import folder_of
from bench.pool import await_full_pool
from openrds.engines.protocol import Installation
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers
from support.engines import build
from support.service import PASSWORD, ServiceUnderTest, running_service

ROUNDS = 9
_POOLS = {0: "cold", 1: "warm"}


def measure(hand: Hand = POSTGRESQL) -> Iterator[Figure]:
    bounds = hand.bounds.create
    bare: list[float] = []
    ours: dict[int, list[float]] = {spares: [] for spares in bounds}
    with contextlib.ExitStack() as stack:
        services = {
            spares: stack.enter_context(running_service(spare_data_dirs=str(spares), **hand.options))
            for spares in bounds
        }
        installation = installation_of(services[1], hand)
        for round_ in range(rounds(ROUNDS) + 1):
            # A pool that is being refilled would disturb whoever comes next.
            await_full_pool(services[1])
            times = [by_hand(installation, hand)]
            for service in services.values():
                await_full_pool(services[1])
                times.append(by_service(service, round_, hand))
            if round_ > 0:  # the first round warms the page cache
                for values, value in zip((bare, *ours.values()), times, strict=True):
                    values.append(value)
    for spares, bound in bounds.items():
        ratio = statistics.median(one / other for one, other in zip(ours[spares], bare, strict=True))
        detail = f"{spread(ours[spares])}; by hand {spread(bare)}"
        yield Figure(f"create, {_POOLS[spares]} pool / by hand", ratio, bound, detail=detail)


def installation_of(service: ServiceUnderTest, hand: Hand = POSTGRESQL) -> Installation:
    """The version that instances get by default, the newest."""
    engine = build(hand.dialect.engine, service.data_dir, ServerUsers.choose(service.data_dir))
    assert engine is not None
    return engine.installations()[-1]


def by_hand(installation: Installation, hand: Hand = POSTGRESQL) -> float:
    with folder_of(ServerUser.choose()) as root:
        begun = time.perf_counter()
        server = hand.serve(installation, root, "127.126.0.1")
        took = time.perf_counter() - begun
        hand.stop(server)
        return took


def by_service(service: ServiceUnderTest, round_: int, hand: Hand = POSTGRESQL) -> float:
    body = service.create_body(hand.dialect, name=f"bench-{round_}")
    begun = time.perf_counter()
    answer = service.call("POST", "instances", body).json()
    job = service.completed(answer["job_id"])
    address = job["entities"]["instance"]["endpoint"].partition(":")[0]
    hand.first_query(address, "root", PASSWORD)
    took = time.perf_counter() - begun
    service.delete(answer["instance"]["id"])
    return took
