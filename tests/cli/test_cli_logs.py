"""`openrds logs`, against an API that answers what the test wants."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_support import FakeApi, fake_api, run, write_credentials

ID = "0123456789abcdef0123456789abcdefin03"
ERRORS = [
    {"time": "2026-02-03T04:05:06", "level": "ERROR", "content": "one\nmore of it", "line_num": "17"},
    {
        "time": "2026-02-03T04:05:07",
        "level": "FATAL",
        "content": "\x1b]0;a title\x07\x9b31m",
        "line_num": "18",
    },
]
SLOW = {
    "start_time": "2026-02-03T04:05:06",
    "time": "1.04899 s",
    "database": "shop",
    "users": "root",
    "client_ip": "10.0.0.9",
    "query_sample": "select ?",
    "line_num": "19",
}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


def told(api: FakeApi, folder: Path, *arguments: str) -> str:
    result = run("logs", ID, *arguments, "--credentials", str(write_credentials(folder, api.endpoint)))
    assert (result.code, result.err) == (0, "")
    return result.out


def test_errors_are_shown_and_a_terminal_obeys_none_of_them(api: FakeApi, tmp_path: Path) -> None:
    api.answer(f"instances/{ID}/error-logs", {"error_log_list": ERRORS})
    assert told(api, tmp_path, "--level", "ERROR", "-n", "2") == (
        "2026-02-03T04:05:06  ERROR    one\n    more of it\n2026-02-03T04:05:07  FATAL    ?]0;a title??31m\n"
    )
    (request,) = api.requests
    assert request.body is not None
    assert {name: request.body[name] for name in ("search_type", "limit", "level")} == {
        "search_type": "backwards",
        "limit": 2,
        "level": "ERROR",
    }
    lines = told(api, tmp_path, "-o", "json").splitlines()
    assert [json.loads(line) for line in lines] == ERRORS


def test_slow_statements_are_shown_on_a_line_each(api: FakeApi, tmp_path: Path) -> None:
    api.answer(f"instances/{ID}/slow-logs", {"slow_log_list": [SLOW]})
    shown = told(api, tmp_path, "--slow")
    assert shown == "2026-02-03T04:05:06  1.04899 s  shop  root@10.0.0.9  select ?\n"
