"""A parameter that needs no restart, from the call of version 3.1 to the end of its task."""

import statistics
import time
from collections.abc import Iterator

from bench.figures import Figure, rounds, spread
from bench.hands import POSTGRESQL, Hand
from support.service import running_service

CHANGES = 20
_OF_POSTGRESQL, _OF_OTHERS = "work_mem", "sort_buffer_size"


def measure(hand: Hand = POSTGRESQL) -> Iterator[Figure]:
    name = _OF_POSTGRESQL if hand is POSTGRESQL else _OF_OTHERS
    with running_service(**hand.options) as service:
        instance = service.create(hand.dialect, name="bench-parameters")
        path = f"instances/{instance['id']}/configurations"
        path_31 = f"/v3.1/{service.project_id}/{path}"
        service.get(path)  # what there is of parameters is found out once
        took = []
        for round_ in range(rounds(CHANGES) + 1):
            begun = time.perf_counter()
            answer = service.call("PUT", path_31, {"values": {name: str(2**18 + 1024 * round_)}})
            service.completed(answer.json()["job_id"])
            if round_ > 0:
                took.append(time.perf_counter() - begun)
    yield Figure(
        "parameter that needs no restart, call to completed, median",
        1000 * statistics.median(took),
        200,
        " ms",
        detail=spread([1000 * one for one in took], " ms"),
    )
