"""Logs, as the API and the command line give them: whose they are, what is bounded, and how they are followed."""

import datetime as dt
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from openrds.operations.intake.server_logs import MOST_BYTES
from support.service import ServiceUnderTest, wait_for
from support.writer import connect

pytestmark = pytest.mark.xdist_group("backups")


@pytest.fixture(scope="module")
def shop(backup_service: ServiceUnderTest) -> Iterator[dict[str, Any]]:
    yield backup_service.create(name="shop")


@pytest.fixture(scope="module")
def other(backup_service: ServiceUnderTest) -> ServiceUnderTest:
    """The same service, called by another project."""
    return replace(backup_service, project="other")


def fail(instance: dict[str, Any], what: str) -> None:
    with connect(instance) as connection, pytest.raises(psycopg.Error):
        connection.execute(f'select * from "{what}"')


def window() -> dict[str, str]:
    now = dt.datetime.now(dt.UTC)
    begin, end = now - dt.timedelta(hours=1), now + dt.timedelta(minutes=1)
    return {"start_time": f"{begin:%Y-%m-%dT%H:%M:%S}+0000", "end_time": f"{end:%Y-%m-%dT%H:%M:%S}+0000"}


def dates() -> str:
    begin, end = (time.replace("+", "%2B") for time in window().values())
    return f"start_date={begin}&end_date={end}"


WINDOW: dict[str, str] = {}
CALLS = [
    ("GET", "/v3/{project}/instances/{id}/errorlog?{dates}", None),
    ("GET", "/v3.1/{project}/instances/{id}/errorlog?{dates}", None),
    ("GET", "/v3/{project}/instances/{id}/slowlog?{dates}", None),
    ("GET", "/v3.1/{project}/instances/{id}/slowlog?{dates}", None),
    ("GET", "/v3/{project}/instances/{id}/slowlog/statistics?{dates}", None),
    ("GET", "/v3/{project}/instances/{id}/slowlog-files", None),
    ("POST", "/v3/{project}/instances/{id}/error-logs", WINDOW),
    ("POST", "/v3/{project}/instances/{id}/slow-logs", WINDOW),
    ("POST", "/v3.1/{project}/instances/{id}/slow-logs/statistics", WINDOW),
    ("POST", "/v3/{project}/instances/{id}/slowlog-download", {}),
    ("POST", "/v3/{project}/instances/{id}/errorlog-download", None),
    ("PUT", "/v3/{project}/instances/{id}/slowlog-sensitization/off", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=[f"{call[0]} {call[1]}" for call in CALLS])
def test_logs_of_another_project_are_as_if_not_there(
    backup_service: ServiceUnderTest,
    other: ServiceUnderTest,
    shop: dict[str, Any],
    method: str,
    path: str,
    body: Any,
) -> None:
    def at(service: ServiceUnderTest, id_: str) -> str:
        return path.format(project=service.project_id, id=id_, dates=dates())

    body = window() if body is WINDOW else body
    assert backup_service.call(method, at(backup_service, shop["id"]), body).status_code == 200
    refused = other.call(method, at(other, shop["id"]), body)
    assert (refused.status_code, refused.json()["error_code"]) == (404, "DBS.200002")
    wrong = backup_service.call(method, at(backup_service, "nothing"), body)
    assert (wrong.status_code, wrong.json()["error_code"]) == (400, "DBS.280404")


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 101},
        {"line_num": "x"},
        {"line_num": "-1"},
        {"search_type": "sideways"},
        {"level": "LOUD"},
        {"start_time": "2026-02-03"},
        {"end_time": "1999-02-03T00:00:00+0000"},
        {"end_time": "9999-99-99T00:00:00+0000"},
        {"start_time": None},
    ],
    ids=str,
)
def test_what_cannot_be_asked_for(
    backup_service: ServiceUnderTest, shop: dict[str, Any], wrong: dict[str, Any]
) -> None:
    answer = backup_service.call("POST", f"instances/{shop['id']}/error-logs", window() | wrong)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001")


def test_any_number_is_a_place_in_the_log(backup_service: ServiceUnderTest, shop: dict[str, Any]) -> None:
    for number, search in (("9" * 19, "forwards"), ("0", "backwards"), ("1", "backwards")):
        body = window() | {"line_num": number, "search_type": search}
        answer = backup_service.call("POST", f"instances/{shop['id']}/error-logs", body)
        assert (answer.status_code, answer.json()) == (200, {"error_log_list": []})


def openrds(service: ServiceUnderTest, *arguments: str) -> list[str]:
    return service.command(*arguments, "--credentials", str(service.credentials_file))


def told(service: ServiceUnderTest, *arguments: str) -> str:
    done = subprocess.run(openrds(service, *arguments), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_command_line_shows_logs(backup_service: ServiceUnderTest, shop: dict[str, Any]) -> None:
    fail(shop, "\x1b[31mnowhere")
    with connect(shop) as connection:
        connection.execute("select pg_sleep(1.1), 'hidden'")
    shown = told(backup_service, "logs", "shop", "--level", "ERROR")
    assert "ERROR" in shown and "?[31mnowhere" in shown and "\x1b" not in shown
    slow = told(backup_service, "logs", "shop", "--slow", "--output", "json").splitlines()
    assert json.loads(slow[-1])["query_sample"] == "select pg_sleep(?), ?"
    assert len(told(backup_service, "logs", shop["id"], "--lines", "1").splitlines()) >= 1
    both = subprocess.run(
        openrds(backup_service, "logs", "shop", "--slow", "--level", "ERROR"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert both.returncode == 2 and "do not go together" in both.stderr


def test_the_command_line_follows_a_log(
    backup_service: ServiceUnderTest, shop: dict[str, Any], tmp_path: Path
) -> None:
    fail(shop, "before")
    seen = tmp_path / "seen"
    with seen.open("wb") as file:
        process = subprocess.Popen(
            openrds(backup_service, "logs", "shop", "--follow", "--level", "ERROR"),
            stdout=file,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        wait_for(lambda: "before" in seen.read_text())
        for number in range(5):
            fail(shop, f"later {number}")
        wait_for(lambda: "later 4" in seen.read_text())
    finally:
        process.kill()
        process.wait()
    lines = [line for line in seen.read_text().splitlines() if "later" in line and "relation" in line]
    assert [line.split('"')[1] for line in lines] == [f"later {number}" for number in range(5)]


def test_reading_is_bounded_whatever_a_client_makes_its_server_write(
    backup_service: ServiceUnderTest, shop: dict[str, Any]
) -> None:
    """Also a statement that is larger than what is read; what comes after it is found."""
    with connect(shop) as connection:
        with pytest.raises(psycopg.Error):
            connection.execute("select '" + "x\n" * MOST_BYTES + "' from nowhere")
        connection.execute(
            "do $$ begin for i in 1..20000 loop raise log '%', repeat('y', 300); end loop; end $$"
        )
    fail(shop, "found again")
    path = f"/v3/{backup_service.project_id}/instances/{shop['id']}/errorlog?{dates()}&limit=100"

    def answer() -> dict[str, Any] | None:
        found: dict[str, Any] = backup_service.call("GET", path).raise_for_status().json()
        return found if "found again" in str(found["error_log_list"][:5]) else None

    found = wait_for(answer)
    assert found["total_record"] == 2000
    contents = [one["content"] for one in found["error_log_list"]]
    assert max(map(len, contents)) < 10_000
    errors = backup_service.call("GET", f"{path}&level=ERROR").raise_for_status().json()
    assert errors["total_record"] < 2000
    links = backup_service.call("POST", f"instances/{shop['id']}/errorlog-download").json()["list"]
    for link in links:
        text = httpx.get(link["file_link"]).raise_for_status().text
        assert len(text) < 3 * MOST_BYTES


def test_a_link_of_an_instance_that_is_gone_opens_nothing(backup_service: ServiceUnderTest) -> None:
    instance = backup_service.create(name="short-lived")
    (link, *_) = backup_service.call("POST", f"instances/{instance['id']}/errorlog-download").json()["list"]
    assert httpx.get(link["file_link"]).status_code == 200
    backup_service.delete(instance["id"])
    gone = httpx.get(link["file_link"])
    assert (gone.status_code, gone.json()["error_code"]) == (404, "DBS.200002")
