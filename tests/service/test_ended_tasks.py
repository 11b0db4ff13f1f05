"""Ended tasks are answered from memory by every API process, and by none once their record was deleted."""

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import httpx
import psycopg
import pytest

from openrds.domain.settings import Settings
from openrds.service import child, places
from openrds.service.api_process import serve_api
from openrds.tasks.history import write_history
from support.forked import forked
from support.service import ServiceUnderTest, free_port, fresh, running_service, wait_for

HISTORY = 400


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service() as running:
        write_history(dsn(running), running.project_id, HISTORY, seed=3, processes=1)
        yield running


@pytest.fixture(scope="module")
def ended(service: ServiceUnderTest) -> list[str]:
    """Ids of ended tasks, each for one test: they are popped."""
    tasks = [
        task["id"]
        for offset in range(0, 150, 50)
        for task in service.call("GET", f"tasklist?limit=50&offset={offset}").json()["tasks"]
    ]
    assert len(tasks) == 150
    return tasks


def dsn(service: ServiceUnderTest) -> str:
    return f"host={places.socket_root(service.data_dir) / 'store'} port=5432 user=rdsAdmin dbname=postgres"


@contextmanager
def second_api(service: ServiceUnderTest) -> Iterator[tuple[BaseProcess, str]]:
    """Another API process on the same store, and its endpoint."""
    listen = f"127.0.0.1:{free_port()}"
    settings = replace(Settings(data_dir=service.data_dir), listen=listen)
    brief = child.Brief(dsn(service), places.socket_root(service.data_dir), settings)
    with forked(serve, brief) as process:
        endpoint = f"http://{listen}"
        wait_for(lambda: answers(endpoint), what="the second API process")
        yield process, endpoint


def serve(parent: Connection, brief: child.Brief) -> None:
    child.live(lambda: serve_api(brief, lambda: None), parent.fileno())


def answers(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/healthz").status_code == 200
    except httpx.TransportError:
        return False


class Elsewhere(ServiceUnderTest):
    """The same service, asked at another endpoint."""

    at: str

    @property
    def endpoint(self) -> str:
        return self.at

    @property
    def credentials(self) -> dict[str, str]:
        return {**super().credentials, "endpoint": self.at}


def elsewhere(service: ServiceUnderTest, endpoint: str) -> ServiceUnderTest:
    other = Elsewhere(service.data_dir, service.options)
    other.at = endpoint
    return other


def ask(service: ServiceUnderTest, task_id: str) -> httpx.Response:
    return service.call("GET", f"jobs?id={task_id}")


def is_from_memory(service: ServiceUnderTest, task_id: str) -> bool:
    """Whether the task is shown although the store would show something else."""
    name = secrets.token_hex(4)
    with psycopg.connect(dsn(service), autocommit=True) as connection:
        connection.execute("update task set instance_name = %s where id = %s", [name, task_id])
    shown: Any = ask(service, task_id).json()["job"]["instance"]["name"]
    return bool(shown != name)


def await_memory(service: ServiceUnderTest, task_id: str) -> None:
    """Wait until the process shows tasks from memory: it begins to when it hears of deletions, soon after it serves."""
    wait_for(lambda: ask(service, task_id).status_code == 200 and is_from_memory(service, task_id))


def test_a_repeated_poll_is_answered_from_memory(service: ServiceUnderTest, ended: list[str]) -> None:
    await_memory(service, ended.pop())
    task_id = ended.pop()
    first = ask(service, task_id)
    assert first.status_code == 200
    assert first.headers["content-type"].startswith("application/json")
    assert is_from_memory(service, task_id)
    assert ask(service, task_id).json() == first.json()


def test_a_deleted_record_is_shown_by_no_process(service: ServiceUnderTest, ended: list[str]) -> None:
    with second_api(service) as (_, endpoint):
        other = elsewhere(service, endpoint)
        await_memory(other, ended.pop())
        for _ in range(40):
            task_id = ended.pop()
            assert [ask(one, task_id).status_code for one in (service, other)] == [200, 200]
            assert service.call("DELETE", f"jobs?id={task_id}").status_code == 200
            for one in (other, service):
                answer = ask(one, task_id)
                assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200543")
        await_memory(other, ended.pop())


def test_a_process_that_died_holds_up_no_deletion(service: ServiceUnderTest, ended: list[str]) -> None:
    with second_api(service) as (process, endpoint):
        other = elsewhere(service, endpoint)
        task_id = ended.pop()
        assert ask(other, task_id).status_code == 200
        process.kill()
        assert service.call("DELETE", f"jobs?id={task_id}").status_code == 200


def test_memory_is_used_again_after_its_connection_was_lost(
    service: ServiceUnderTest, ended: list[str]
) -> None:
    task_id = ended.pop()
    assert ask(service, task_id).status_code == 200
    with psycopg.connect(dsn(service), autocommit=True) as connection:
        lost = connection.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' "
            "and classid::bigint = (hashtext('tasks in memory')::bigint & 4294967295)"
        ).fetchall()
    assert lost == [(True,)]
    assert service.call("DELETE", f"jobs?id={task_id}").status_code == 200
    assert ask(service, task_id).status_code == 400
    await_memory(service, ended.pop())


def test_a_running_task_is_shown_from_memory_until_something_happens(service: ServiceUnderTest) -> None:
    """That may be the deletion of its record, by another process."""
    instance = service.create(name="ended-tasks")
    worker = service.child("worker")
    with second_api(service) as (_, endpoint):
        other = elsewhere(service, endpoint)
        for is_deleted in (False, True):
            worker.send_signal(signal.SIGSTOP)
            try:
                path = f"instances/{instance['id']}/action"
                answer = service.call("POST", path, {"restart": {}}, headers=fresh())
                job_id = answer.json()["job_id"]
                for one in (service, other):
                    await_memory(one, job_id)
                    assert ask(one, job_id).json()["job"]["status"] == "Running"
                if is_deleted:
                    assert other.call("DELETE", f"jobs?id={job_id}").status_code == 200
                    assert [ask(one, job_id).status_code for one in (service, other)] == [400, 400]
            finally:
                worker.send_signal(signal.SIGCONT)
            if is_deleted:
                wait_for(lambda: service.instance(instance["id"])["status"] == "ACTIVE")
            else:
                assert service.completed(job_id)["status"] == "Completed"
