"""The whole machine dies in the middle of something: after the next `serve` all is as it must be, by itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from test_faults import newest_task
from test_instances import connect

from support.service import ServiceUnderTest, fresh, running_service, wait_for

#: Seconds after the ready line in which every instance that is to serve must serve.
BACK = 60.0


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(spare_data_dirs="1") as running:
        yield running


@pytest.fixture
def instance(service: ServiceUnderTest) -> Iterator[dict[str, Any]]:
    created = service.create(name="survivor")
    yield created
    service.delete(created["id"])


def is_serving(service: ServiceUnderTest, instance: dict[str, Any]) -> bool:
    return service.instance(instance["id"])["status"] == "ACTIVE" and answers(instance)


def answers(instance: dict[str, Any]) -> bool:
    try:
        with connect(instance) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except Exception:
        return False


def test_in_the_middle_of_a_backup(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    with connect(instance) as connection:
        connection.execute("create table kept as select repeat('x', 1000) from generate_series(1, 200000)")
    body = {"instance_id": instance["id"], "name": "through-the-night"}
    backup = service.call("POST", "backups", body, headers=fresh()).json()["backup"]
    unfinished = service.data_dir / "backups" / instance["id"]
    wait_for(lambda: list(unfinished.glob("*/data/base")), what="the copy has begun")
    service.kill_everything()
    service.start()

    wait_for(lambda: newest_task(service, instance["id"])["status"] != "Running", BACK)
    wait_for(lambda: is_serving(service, instance), BACK, "it serves again")
    (found,) = service.get(f"backups?instance_id={instance['id']}&backup_id={backup['id']}")["backups"]
    assert found["status"] == "COMPLETED"
    with connect(instance) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (200000,)
