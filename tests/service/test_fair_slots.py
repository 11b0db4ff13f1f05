"""One project blocks all it can of a service with two slots; another's tasks go on."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from support.greedy import blocked
from support.service import ServiceUnderTest, running_service


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other", worker_concurrency="2", spare_data_dirs="0") as running:
        yield running


def test_another_projects_restart_waits_for_nobody(service: ServiceUnderTest) -> None:
    other = replace(service, project="other")
    ours = [service.create(name=f"greedy-{number}") for number in range(2)]
    theirs = other.create(name="modest")
    with blocked(service, ours) as stuck:
        answer = other.call("POST", f"instances/{theirs['id']}/action", {"restart": {"forcible": True}})
        restart = other.completed(answer.json()["job_id"])
    assert all(restart["ended"] <= service.job(task)["ended"] for task in stuck)
    for instance in ours:
        assert service.instance(instance["id"])["status"] == "ACTIVE"
