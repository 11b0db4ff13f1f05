"""Running tasks that are cancelled, also while their step waits for something that never comes."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from support.command import completed
from support.service import ServiceUnderTest, fresh, running_service, wait_for


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other") as running:
        yield running


@pytest.fixture(scope="module")
def orders(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="orders")


@contextlib.contextmanager
def hanging_backup(service: ServiceUnderTest, orders: dict[str, Any]) -> Iterator[str]:
    """The task of a backup that waits for a checkpoint, which nobody makes."""
    with service.superuser(orders["nodes"][0]["id"], orders["port"]) as connection:
        found = connection.execute("select pid from pg_stat_activity where backend_type = 'checkpointer'")
        (pid,) = found.fetchone() or ()
    checkpointer = psutil.Process(pid)
    checkpointer.suspend()
    try:
        body = {"instance_id": orders["id"], "name": f"hanging-{time.monotonic_ns()}"}
        assert service.call("POST", "backups", body, headers=fresh()).status_code == 200
        task = wait_for(lambda: service.get(f"tasklist?status=Running&instance_id={orders['id']}")["tasks"])[
            0
        ]
        wait_for(lambda: service.get(f"jobs/{task['id']}/steps")["steps"][0]["status"] == "Running")
        yield task["id"]
    finally:
        checkpointer.resume()


def cancel(service: ServiceUnderTest, task_id: str) -> Any:
    return service.call("POST", f"jobs/{task_id}/cancel", headers=fresh())


def check_undone(service: ServiceUnderTest, orders: dict[str, Any], task_id: str) -> None:
    job = service.get(f"jobs?id={task_id}&wait=25")["job"]
    user = service.credentials["user"]
    assert (job["status"], job["fail_reason"]) == ("Failed", f"It was cancelled by {user}")
    assert service.get(f"jobs/{task_id}/steps")["steps"][0]["status"] == "Undone"
    assert service.instance(orders["id"])["status"] == "ACTIVE"


def test_a_step_that_hangs_is_given_up(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    with hanging_backup(service, orders) as task_id:
        answer = cancel(service, task_id)
        assert (answer.status_code, answer.json()) == (202, {"job_id": task_id, "undone": ["copy data"]})
        check_undone(service, orders, task_id)


def test_it_is_cancelled_also_where_the_worker_dies(
    service: ServiceUnderTest, orders: dict[str, Any]
) -> None:
    with hanging_backup(service, orders) as task_id:
        worker = service.child("worker")
        worker.suspend()
        assert cancel(service, task_id).status_code == 202
        assert cancel(service, task_id).status_code == 202, "twice is once"
        worker.kill()
        check_undone(service, orders, task_id)
    # The instance is free.
    restart = service.call("POST", f"instances/{orders['id']}/action", {"restart": {}}, headers=fresh())
    service.completed(restart.json()["job_id"])


def test_what_cannot_be_cancelled(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    ended = service.get("tasklist?limit=1")["tasks"][0]["id"]
    answer = cancel(service, ended)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200086")
    assert "has ended" in answer.json()["error_msg"]
    for unknown in ("0190a0c0-0000-7000-8000-000000000000", "nothing", "%2e%2e"):
        answer = cancel(service, unknown)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200543")
    other = ServiceUnderTest(service.data_dir, service.options, service.process, project="other")
    assert cancel(other, ended).json()["error_code"] == "DBS.200543"


def openrds(service: ServiceUnderTest, *arguments: str) -> subprocess.CompletedProcess[str]:
    return completed((*arguments, "--data-dir", str(service.data_dir)), service.environment(), 60)


def test_by_the_command_line(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    with hanging_backup(service, orders) as task_id:
        done = openrds(service, "task", "cancel", task_id)
    assert done.returncode == 0, done.stderr
    assert "It was cancelled by" in done.stdout
    again = openrds(service, "task", "cancel", task_id)
    assert again.returncode == 1
    assert "has ended" in again.stderr
