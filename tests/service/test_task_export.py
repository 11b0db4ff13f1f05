"""The export of all tasks: complete, filtered, of constant memory, and refused where it must be."""

import csv
import datetime as dt
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from test_ended_tasks import dsn

from openrds.domain.signature import sign
from openrds.tasks.history import write_history
from support.service import ServiceUnderTest, running_service

TASKS = 60_000
#: How much the API process may grow while it sends them, in MB; their text has more.
GROWTH = 20


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service() as running:
        write_history(dsn(running), running.project_id, TASKS, seed=5, processes=2)
        yield running


def export(service: ServiceUnderTest, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        service.command("task", "export", "--data-dir", str(service.data_dir), *arguments),
        check=False,
        capture_output=True,
        timeout=60,
        env=service.environment(),
    )


def test_all_tasks_are_exported_in_constant_memory(service: ServiceUnderTest, tmp_path: Path) -> None:
    api = service.child("api")
    export(service, "--name", "nothing")
    before = api.memory_info().rss
    file = tmp_path / "tasks.ndjson"
    done = export(service, "--file", str(file))
    assert done.returncode == 0, done.stderr
    assert (api.memory_info().rss - before) / 2**20 < GROWTH
    assert file.stat().st_size / 2**20 > GROWTH / 2
    total = service.get("tasklist?limit=1")["total_count"]
    with file.open() as lines:
        ids = [json.loads(line)["id"] for line in lines]
    assert abs(total - TASKS // 2) < TASKS // 50
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == total
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "nothing half-written is left"


def test_both_formats_and_the_list_say_the_same(service: ServiceUnderTest) -> None:
    listed = service.get("tasklist?status=Failed&limit=50")
    as_csv = export(service, "--format", "csv", "--status", "failed").stdout.decode()
    as_json = export(service, "--status", "failed").stdout.decode().splitlines()
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    tasks = [json.loads(line) for line in as_json]
    assert len(rows) == len(tasks) == listed["total_count"]
    for row, task, shown in zip(rows, tasks, listed["tasks"], strict=False):
        assert {**row, "entities": json.loads(row["entities"])} == task
        common = shown.keys() & task.keys()
        assert {name: shown[name] for name in common} == {name: task[name] for name in common}


def test_filters(service: ServiceUnderTest) -> None:
    task = service.get("tasklist?limit=1&offset=5000")["tasks"][0]
    for filter_ in ("instance_id", "name"):
        text = service.call("GET", f"tasks/export?{filter_}={task[filter_]}").text
        total = service.get(f"tasklist?limit=1&{filter_}={task[filter_]}")["total_count"]
        found = [json.loads(line) for line in text.splitlines()]
        assert {one[filter_] for one in found} == {task[filter_]}
        assert len(found) == total


def test_an_export_that_breaks_off_looks_like_it(service: ServiceUnderTest, tmp_path: Path) -> None:
    """Midway the store has no such column any more: the answer ends without its end, and no file appears."""
    keys = service.credentials
    url = f"{keys['endpoint']}/v3/{keys['project_id']}/tasks/export"
    signed = sign(
        "GET", url, {}, b"", access_key=keys["access_key"], secret_key=keys["secret_key"], now=dt.datetime.now(dt.UTC)
    )  # fmt: skip
    with psycopg.connect(dsn(service), autocommit=True) as connection:
        try:
            with httpx.stream("GET", url, headers=signed) as answer:
                assert answer.status_code == 200
                pieces = answer.iter_raw()
                next(pieces)
                connection.execute("alter table task rename column order_id to order_id_gone")
                with pytest.raises(httpx.RemoteProtocolError):
                    for _ in pieces:
                        pass
            failed = service.call("GET", "tasks/export")
            assert failed.status_code == 500
            file = tmp_path / "tasks"
            assert export(service, "--file", str(file)).returncode == 1
            assert list(tmp_path.iterdir()) == []
        finally:
            connection.execute("alter table task rename column order_id_gone to order_id")


@pytest.mark.parametrize("query", ["format=xml", "status=Done", "start_time=1", "start_time=9&end_time=1"])
def test_refusals(service: ServiceUnderTest, query: str) -> None:
    answer = service.call("GET", f"tasks/export?{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001")
