"""Twenty creations at once, to the last one serving, beside the same by hand, two at a time: one for each core.

Both begin without a reserve, and take turns.
"""

import contextlib
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.create import installation_of
from bench.figures import Figure, spread
from bench.hands import POSTGRESQL
from bench.hands.folder import folder_of
from openrds.engines.protocol import Installation
from openrds.hosts.user import ServerUser
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service

CREATIONS = 20
AT_A_TIME = 2
ROUNDS = 3


def measure() -> Iterator[Figure]:
    ours, theirs = [], []
    with running_service(spare_data_dirs="0") as service:
        installation = installation_of(service)
        for _ in range(ROUNDS):
            theirs.append(_by_hand(installation))
            ours.append(_by_service(service))
    yield Figure(
        f"{CREATIONS} creations at once / by hand, {AT_A_TIME} at a time",
        statistics.median(one / other for one, other in zip(ours, theirs, strict=True)),
        1.2,
        detail=f"{spread(ours)}; by hand {spread(theirs)}",
    )


def _by_hand(installation: Installation) -> float:
    with contextlib.ExitStack() as stack:
        user = ServerUser.choose()
        places = [stack.enter_context(folder_of(user)) for _ in range(CREATIONS)]

        def serve(number: int) -> None:
            server = POSTGRESQL.serve(installation, places[number - 1], f"127.126.1.{number}")
            stack.callback(POSTGRESQL.stop, server)

        begun = time.perf_counter()
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            list(threads.map(serve, range(1, CREATIONS + 1)))
        return time.perf_counter() - begun


def _by_service(service: ServiceUnderTest) -> float:
    bodies = [service.create_body(name=f"bench-{number}") for number in range(CREATIONS)]
    begun = time.perf_counter()
    answers = [service.call("POST", "instances", body, headers=fresh()).json() for body in bodies]
    for answer in answers:
        job = service.completed(answer["job_id"], 600)
        POSTGRESQL.first_query(job["entities"]["instance"]["endpoint"].partition(":")[0], "root", PASSWORD)
    took = time.perf_counter() - begun
    for answer in answers:
        service.delete(answer["instance"]["id"])
    return took
