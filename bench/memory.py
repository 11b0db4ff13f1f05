"""What the processes of a service hold after a thousand tasks, and after ten thousand: nothing of a task stays.

The tasks are new passwords, called over HTTP and asked for once more when they have ended. The store's processes count.
"""

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.figures import Figure
from bench.idle import memory_in_use
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service

INSTANCES = 4
FEW = 1_000
MANY = 10_000
LOOKS = 9
BETWEEN = 60


def measure() -> Iterator[Figure]:
    with running_service(spare_data_dirs="0") as service:
        instances = [service.create(name=f"bench-{number}") for number in range(INSTANCES)]
        few = _after(service, instances, FEW)
        many = _after(service, instances, MANY - FEW)
    yield Figure(
        f"memory after {MANY:,} tasks / after {FEW:,}",
        many / few,
        1.1,
        detail=f"PSS, medians of {LOOKS}: {many:.0f} MB; {few:.0f} MB",
    )


def _after(service: ServiceUnderTest, instances: list[dict[str, Any]], tasks: int) -> float:
    """MB after so many tasks more, looked at several times: how many sessions the store has just then is chance."""
    _run_tasks(service, instances, tasks - LOOKS * BETWEEN)
    seen = []
    for _ in range(LOOKS):
        _run_tasks(service, instances, BETWEEN)
        seen.append(memory_in_use(service))
    return statistics.median(seen)


def _run_tasks(service: ServiceUnderTest, instances: list[dict[str, Any]], tasks: int) -> None:
    def run(instance: dict[str, Any]) -> None:
        for _ in range(tasks // INSTANCES):
            _run_task(service, instance)

    with ThreadPoolExecutor(INSTANCES) as threads:
        list(threads.map(run, instances))


def _run_task(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    answer = service.call(
        "POST", f"instances/{instance['id']}/password", {"db_user_pwd": PASSWORD}, headers=fresh()
    )
    assert answer.status_code == 200, answer.text
    newest = service.get(f"tasklist?instance_id={instance['id']}&limit=1")["tasks"][0]
    assert service.job(newest["id"])["status"] == "Completed"
