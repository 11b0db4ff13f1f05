"""What goes wrong while the service runs: each is answered clearly, and leaves nothing half-made behind."""

import contextlib
import ipaddress
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_instances import connect

from openrds.domain.recovery import AT_ONCE
from openrds.hosts.processes import RECORD, find
from support.service import PASSWORD, ServiceUnderTest, fresh, private_cidr, running_service, wait_for

#: Seconds within which the death of a server must be noticed.
NOTICED = 5.0
UNKNOWN_INSTANCE = "0123456789abcdef" * 2 + "in03"
OTHER_PORT = 2345


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    """Of two projects, with few addresses, and without spare data directories: a creation takes its time."""
    cidr = private_cidr().replace("/24", "/29")
    with running_service(projects="local-1,other", private_cidr=cidr, spare_data_dirs="0") as running:
        yield running


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> Iterator[dict[str, Any]]:
    """For tests that leave it as it is."""
    created = service.create(name="undisturbed")
    yield created
    service.delete(created["id"])


@pytest.fixture
def victim(service: ServiceUnderTest) -> Iterator[dict[str, Any]]:
    """For tests that harm it."""
    created = service.create(name="victim")
    yield created
    if service.get(f"instances?id={created['id']}")["total_count"]:
        service.delete(created["id"])


def folder_of(service: ServiceUnderTest, instance: dict[str, Any]) -> Path:
    return service.data_dir / "nodes" / instance["nodes"][0]["id"]


def kill_server(folder: Path) -> int:
    """As a crash does: the main process only. Returns its pid."""
    process = find(folder / RECORD)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    return process.pid


def store_rows(service: ServiceUnderTest, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
    sockets = service.data_dir / "run" / "store"
    with psycopg.connect(f"host={sockets} user=rdsAdmin dbname=postgres", autocommit=True) as connection:
        return connection.execute(statement.encode(), parameters).fetchall()


def newest_task(service: ServiceUnderTest, instance_id: str) -> dict[str, Any]:
    return service.get(f"tasklist?instance_id={instance_id}&limit=1")["tasks"][0]


def refusal(service: ServiceUnderTest, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = service.call(method, path, body)
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error_code"]


# A port that is taken


@contextlib.contextmanager
def listeners(cidr: str, port: int) -> Iterator[None]:
    """Another program on every address of the pool."""
    with contextlib.ExitStack() as stack:
        for address in ipaddress.IPv4Network(cidr).hosts():
            stack.enter_context(socket.create_server((str(address), port)))
        yield


def test_a_port_that_another_program_has_taken(service: ServiceUnderTest) -> None:
    before = {path.name for path in (service.data_dir / "nodes").glob("*")}
    with listeners(service.options["private_cidr"], OTHER_PORT):
        answer = service.call("POST", "instances", service.create_body(name="no-port", port=OTHER_PORT))
        assert answer.status_code == 202, answer.text
        job = service.ended(answer.json()["job_id"])
    assert job["status"] == "Failed"
    assert "another program listens" in job["fail_reason"]
    assert str(OTHER_PORT) in job["fail_reason"]

    instance_id = answer.json()["instance"]["id"]
    listed = service.instance(instance_id)
    assert (listed["status"], listed["private_ips"]) == ("CREATE FAIL", [])
    node_id = listed["nodes"][0]["id"]
    assert {path.name for path in (service.data_dir / "nodes").glob("*")} == before
    assert not (service.data_dir / "run" / node_id).exists()
    assert store_rows(service, "select 1 from address where node_id = %s", node_id) == []
    assert store_rows(service, "select 1 from instance_lock where instance_id = %s", instance_id) == []

    assert refusal(service, "POST", f"instances/{instance_id}/action", {"restart": {}}) == (400, "DBS.200086")
    service.delete(instance_id)
    assert service.get(f"instances?id={instance_id}")["total_count"] == 0


def test_an_address_where_another_program_listens_is_passed_over(service: ServiceUnderTest) -> None:
    addresses = [str(address) for address in ipaddress.IPv4Network(service.options["private_cidr"]).hosts()]
    with contextlib.ExitStack() as stack:
        for address in addresses[:-1]:
            stack.enter_context(socket.create_server((address, OTHER_PORT)))
        created = service.create(name="last-address", port=OTHER_PORT)
        assert created["private_ips"] == addresses[-1:]
        service.delete(created["id"])


# Calls that come at the wrong moment, or to the wrong thing


def test_one_change_at_a_time(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    path = f"instances/{instance['id']}"
    worker = service.child("worker")
    worker.suspend()
    try:
        answer = service.call("POST", f"{path}/action", {"restart": {}})
        assert answer.status_code == 202, answer.text
        assert service.instance(instance["id"])["status"] == "REBOOTING"
        second = service.call("POST", f"{path}/action", {"restart": {"forcible": True}})
        assert (second.status_code, second.json()["error_code"]) == (409, "DBS.200019")
        assert (
            f"RestartPostgresqlInstance ({answer.json()['job_id']}) is running" in second.json()["error_msg"]
        )
        assert refusal(service, "DELETE", path) == (409, "DBS.200019")
        password = {"db_user_pwd": "An0ther-S3cret"}
        assert refusal(service, "POST", f"{path}/password", password) == (409, "DBS.200019")
    finally:
        worker.resume()
    service.completed(answer.json()["job_id"])
    with connect(service.instance(instance["id"])) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "instances/{id}/action", {"restart": {}}),
        ("DELETE", "instances/{id}", None),
        ("POST", "instances/{id}/password", {"db_user_pwd": PASSWORD}),
        ("PUT", "instances/{id}/name", {"name": "renamed"}),
        ("PUT", "instances/{id}/alias", {"alias": "renamed"}),
    ],
)
def test_an_instance_that_there_is_not(
    service: ServiceUnderTest, instance: dict[str, Any], method: str, path: str, body: Any
) -> None:
    for id_, status, code in (
        (UNKNOWN_INSTANCE, 404, "DBS.200002"),
        ("orders-db", 400, "DBS.280404"),
        (UNKNOWN_INSTANCE.upper(), 400, "DBS.280404"),
        (UNKNOWN_INSTANCE + "0", 400, "DBS.280404"),
    ):
        assert refusal(service, method, path.format(id=id_), body) == (status, code)
    # One of another project is as unknown as one that never was.
    other = replace(service, project="other")
    assert refusal(other, method, path.format(id=instance["id"]), body) == (404, "DBS.200002")


def test_another_project_is_closed(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    other = replace(service, project="other")
    job_id = newest_task(service, instance["id"])["id"]
    for method, path in (
        ("GET", f"jobs?id={job_id}"),
        ("DELETE", f"jobs?id={job_id}"),
        ("GET", f"jobs/{job_id}/steps"),
    ):
        assert refusal(other, method, path) == (400, "DBS.200543")
    assert other.get(f"instances?id={instance['id']}")["total_count"] == 0
    assert other.get(f"tasklist?instance_id={instance['id']}")["total_count"] == 0
    for method, path in (
        ("GET", "instances"),
        ("GET", f"jobs?id={job_id}"),
        ("DELETE", f"instances/{instance['id']}"),
    ):
        foreign = f"/v3/{service.project_id}/{path}"
        assert refusal(other, method, foreign) == (403, "APIGW.0306")
    assert service.job(job_id)["id"] == job_id


@pytest.mark.parametrize(
    "action", [{}, {"restart": {}, "resize_flavor": {}}, {"dance": {}}, {"restart": None}]
)
def test_an_action_that_is_none(
    service: ServiceUnderTest, instance: dict[str, Any], action: dict[str, Any]
) -> None:
    assert refusal(service, "POST", f"instances/{instance['id']}/action", action) == (400, "DBS.200001")


# A store that dies


def test_a_task_survives_a_restart_of_the_store(service: ServiceUnderTest) -> None:
    answer = service.call("POST", "instances", service.create_body(name="through-the-crash"))
    job_id, instance_id = answer.json()["job_id"], answer.json()["instance"]["id"]
    wait_for(lambda: step(service, job_id, "initialise data")["status"] == "Running", what="initdb")
    old = kill_server(service.data_dir / "store")

    statuses = set()

    def has_ended() -> bool:
        answer = service.call("GET", f"jobs?id={job_id}")
        statuses.add(answer.status_code)
        if answer.status_code == 503:
            assert answer.json()["error_code"] == "DBS.290015"
        return answer.status_code == 200 and answer.json()["job"]["status"] != "Running"

    wait_for(has_ended, 60)
    assert statuses <= {200, 503}
    assert service.job(job_id)["status"] == "Completed", service.job(job_id)
    revived = find(service.data_dir / "store" / RECORD)
    assert revived is not None
    assert revived.pid != old
    created = service.instance(instance_id)
    with connect(created) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    service.delete(instance_id)


def step(service: ServiceUnderTest, job_id: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in service.get(f"jobs/{job_id}/steps")["steps"] if one["name"] == name)
    return found


# Servers that die


def test_a_server_that_dies_is_noticed_and_restarted(
    service: ServiceUnderTest, victim: dict[str, Any]
) -> None:
    with connect(victim) as connection:
        connection.execute("create table kept as select 42 as answer")
    killed = kill_server(folder_of(service, victim))
    begun = time.monotonic()

    def noticed() -> bool:
        task = newest_task(service, victim["id"])
        return task["name"] == "RestartPostgresqlInstance"

    wait_for(noticed, NOTICED, "the death of the server is noticed")
    assert time.monotonic() - begun < NOTICED
    task = newest_task(service, victim["id"])
    service.completed(task["id"])
    assert service.instance(victim["id"])["status"] == "ACTIVE"
    revived = find(folder_of(service, victim) / RECORD)
    assert revived is not None
    assert revived.pid != killed
    with connect(victim) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_a_server_that_keeps_dying_is_failed_for_a_while_and_comes_back(
    service: ServiceUnderTest, victim: dict[str, Any]
) -> None:
    """On a busy machine the first pause may be over before the server has died again; each one is longer."""
    deaths = 0
    while service.instance(victim["id"])["status"] != "FAILED":
        last = newest_task(service, victim["id"])["id"]
        kill_server(folder_of(service, victim))
        deaths += 1
        wait_for(lambda last=last: is_noticed(service, victim, last), NOTICED)
    assert deaths > AT_ONCE
    assert newest_task(service, victim["id"])["id"] == last
    assert f"died {deaths} times in a row, and is started again in" in service.log_text()
    wait_for(lambda: service.instance(victim["id"])["status"] == "ACTIVE", 60, "it comes back by itself")
    with connect(victim) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    found = text_string_to_metric_families(service.call("GET", "/metrics").text)
    (sample,) = (one for family in found if family.name == "openrds_revivals" for one in family.samples)
    assert sample.value == deaths
    assert sample.labels["instance"] == "", "to whom has no token no instance is named"

    # Whoever restarts it by hand has mended something: the next death is the first one.
    answer = service.call("POST", f"instances/{victim['id']}/action", {"restart": {}}, headers=fresh())
    assert answer.status_code == 202, answer.text
    service.completed(answer.json()["job_id"])
    lose_and_find_again(service, victim)


def is_noticed(service: ServiceUnderTest, victim: dict[str, Any], last: str) -> bool:
    """It is FAILED, or a task after the last has brought it back."""
    if service.instance(victim["id"])["status"] == "FAILED":
        return True
    task = newest_task(service, victim["id"])
    return bool(task["id"] != last and service.completed(task["id"]))


def lose_and_find_again(service: ServiceUnderTest, victim: dict[str, Any]) -> None:
    """It is started again at once."""
    before = newest_task(service, victim["id"])["id"]
    kill_server(folder_of(service, victim))
    wait_for(lambda: newest_task(service, victim["id"])["id"] != before, NOTICED)
    service.completed(newest_task(service, victim["id"])["id"])


def test_a_server_that_cannot_start_comes_back_as_soon_as_it_can(
    service: ServiceUnderTest, victim: dict[str, Any]
) -> None:
    folder = folder_of(service, victim)
    control = folder / "data" / "global" / "pg_control"
    control.rename(folder / "log" / "pg_control")
    kill_server(folder)
    wait_for(lambda: service.instance(victim["id"])["status"] == "FAILED", 60)
    wait_for(lambda: len(failed_restarts(service, victim)) > 1, 60, "it is tried again")
    for task in failed_restarts(service, victim):
        assert "start server failed" in task["fail_reason"]
        assert "pg_control" in task["fail_reason"]

    (folder / "log" / "pg_control").rename(control)
    wait_for(lambda: service.instance(victim["id"])["status"] == "ACTIVE", 60)
    with connect(victim) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def failed_restarts(service: ServiceUnderTest, victim: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"tasklist?instance_id={victim['id']}&name=RestartPostgresqlInstance&status=Failed"
    return [service.job(task["id"]) for task in service.get(path)["tasks"]]


def test_a_server_that_can_never_start_again_can_be_deleted(
    service: ServiceUnderTest, victim: dict[str, Any]
) -> None:
    folder = folder_of(service, victim)
    os.truncate(folder / "data" / "global" / "pg_control", 100)
    kill_server(folder)
    wait_for(lambda: failed_restarts(service, victim), 60)

    def is_accepted() -> Any:
        """Not while it is just tried again."""
        answer = service.call("DELETE", f"instances/{victim['id']}", headers=fresh())
        return answer if answer.status_code == 202 else None

    answer = wait_for(is_accepted, 60)
    assert service.get(f"instances?id={victim['id']}") == {"instances": [], "total_count": 0}
    service.completed(answer.json()["job_id"])
    node_id = victim["nodes"][0]["id"]
    assert not folder.exists()
    assert not (service.data_dir / "run" / node_id).exists()
    assert store_rows(service, "select 1 from address where node_id = %s", node_id) == []
    assert not [one for one in psutil.process_iter(["cmdline"]) if node_id in str(one.info["cmdline"])]
