"""Databases and accounts that are made by one call each, which answers once they are there."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from openrds.domain.engine import EngineName
from support.dialects import Session
from support.service import ServiceUnderTest, fresh, running_service, session

CALLS = 40
_PASSWORD = "Of-The-Account-1"
_LIMIT_MS = 50


def measure(hand: Hand = POSTGRESQL) -> Iterator[Figure]:
    """A client makes the same itself, in turns with the calls: that is what a call can take at least."""
    with running_service(spare_data_dirs="0", **hand.options) as service:
        instance = service.create(hand.dialect, name="bench-accounts")
        database = {} if hand is POSTGRESQL else {"character_set": "utf8mb4"}
        with session(instance) as client:
            own = "CREATE DATABASE own_{}"
            yield _made(service, instance["id"], "database", database, client, own)
            # Accounts of MariaDB are made by calls alone.
            own = (
                ""
                if hand.dialect.engine is EngineName.MARIADB
                else hand.dialect.make_user("own_{}", _PASSWORD, "x")[0]
            )
            yield _made(service, instance["id"], "account", {"password": _PASSWORD}, client, own)


def _made(
    service: ServiceUnderTest, instance_id: str, kind: str, body: dict[str, Any], client: Session, own: str
) -> Figure:
    path = f"instances/{instance_id}/{'database' if kind == 'database' else 'db_user'}"
    took, by_client = list[float](), list[float]()
    for number in range(rounds(CALLS) + 1):
        begun = time.perf_counter()
        answer = service.call("POST", path, body | {"name": f"bench_{number}"}, headers=fresh())
        took.append(time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text
        begun = time.perf_counter()
        if own:
            client.execute(own.format(number))
            by_client.append(time.perf_counter() - begun)
    took, by_client = took[1:], by_client[1:]  # the first one finds nothing in memory
    detail = spread(took) + (f"; by a client {spread(by_client)}" if by_client else "")
    median = statistics.median(took) * 1000
    return Figure(f"{kind} created, call to answer, median", median, _LIMIT_MS, " ms", detail=detail)
