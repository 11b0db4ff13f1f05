"""Databases and accounts that are made by one call each, which answers once they are there."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from support.service import ServiceUnderTest, fresh, running_service

CALLS = 40
_PASSWORD = "Of-The-Account-1"
_LIMIT_MS = 50


def measure(hand: Hand = POSTGRESQL) -> Iterator[Figure]:
    with running_service(spare_data_dirs="0", **hand.options) as service:
        instance_id = service.create(hand.dialect, name="bench-accounts")["id"]
        database = {} if hand is POSTGRESQL else {"character_set": "utf8mb4"}
        yield _made(service, instance_id, "database", database)
        yield _made(service, instance_id, "account", {"password": _PASSWORD})


def _made(service: ServiceUnderTest, instance_id: str, kind: str, body: dict[str, Any]) -> Figure:
    path = f"instances/{instance_id}/{'database' if kind == 'database' else 'db_user'}"
    took = []
    for number in range(rounds(CALLS) + 1):
        begun = time.perf_counter()
        answer = service.call("POST", path, body | {"name": f"bench_{number}"}, headers=fresh())
        took.append(time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text
    took = took[1:]  # the first one finds nothing in memory
    median = statistics.median(took) * 1000
    return Figure(f"{kind} created, call to answer, median", median, _LIMIT_MS, " ms", detail=spread(took))
