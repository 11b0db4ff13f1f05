"""A restart while another project blocks all it can of a worker with two slots, beside one that nothing disturbs."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench.figures import Figure, spread
from support.greedy import blocked
from support.service import ServiceUnderTest, fresh, running_service

ROUNDS = 9


def measure() -> Iterator[Figure]:
    quiet, disturbed = [], []
    with running_service(projects="local-1,other", worker_concurrency="2", spare_data_dirs="0") as service:
        other = replace(service, project="other")
        greedy = [service.create(name=f"greedy-{number}") for number in range(2)]
        modest = other.create(name="modest")
        _restart(other, modest)
        for _ in range(ROUNDS):
            quiet.append(_restart(other, modest))
            with blocked(service, greedy):
                disturbed.append(_restart(other, modest))
    yield Figure(
        "restart while another project blocks two slots / undisturbed",
        statistics.median(one / other for one, other in zip(disturbed, quiet, strict=True)),
        1.25,
        detail=f"{spread(disturbed)}; undisturbed {spread(quiet)}",
    )


def _restart(service: ServiceUnderTest, instance: dict[str, Any]) -> float:
    begun = time.perf_counter()
    body = {"restart": {"forcible": True}}
    answer = service.call("POST", f"instances/{instance['id']}/action", body, headers=fresh())
    job_id = answer.json()["job_id"]
    while service.job(job_id)["status"] == "Running":
        time.sleep(0.005)
    took = time.perf_counter() - begun
    service.completed(job_id)
    return took
