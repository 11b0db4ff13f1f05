"""What the commands for backups and restores send and print, against an API that answers what the test wants."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_support import fake_api, job, steps, write_credentials
from test_cli_commands import INSTANCE_ID, Caller, listed, offer_everything

BACKUP_ID = "0123456789abcdef0123456789abcdefbr03"
OTHER_ID = "fedcba9876543210fedcba9876543210in03"
BACKUP = {
    "id": BACKUP_ID,
    "name": "by-hand",
    "type": "manual",
    "status": "COMPLETED",
    "size": 40960,
    "begin_time": "2026-02-03T04:05:06+0000",
    "end_time": "2026-02-03T04:05:08+0000",
    "datastore": {"type": "PostgreSQL", "version": "17"},
}
ENDED = job("Completed", name="BackupPostgresqlInInstance")
RESULT = {"restore_result": [{"instance_id": INSTANCE_ID, "job_id": "task-1"}]}


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    for name in ("OPENRDS_CREDENTIALS", "OPENRDS_DATA_DIR", "OPENRDS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with fake_api() as api:
        api.answer("jobs", ENDED)
        api.answer("jobs/task-1/steps", steps(copy_data="Completed"))
        yield Caller(api, write_credentials(tmp_path, api.endpoint))


def test_a_backup_is_followed_to_its_end(call: Caller) -> None:
    call.api.answer("backups", {"backup": BACKUP | {"status": "BUILDING"}}, {"backups": [BACKUP]})
    call.api.answer("tasklist", {"tasks": [{"id": "task-1"}]})
    result = call("backup", "create", INSTANCE_ID, "by-hand", "--description", "before the release")
    assert (result.code, result.err) == (0, "")
    assert f"Backup by-hand ({BACKUP_ID}) is COMPLETED" in result.out
    body = {"instance_id": INSTANCE_ID, "name": "by-hand", "description": "before the release"}
    assert call.sent("POST") == [("backups", body)]


def test_a_backup_that_fails_ends_with_1_and_its_reason(call: Caller) -> None:
    call.api.answers["jobs"].clear()
    call.api.answer("jobs", job("Failed", fail_reason="copy data failed: the disk is full"))
    call.api.answer("backups", {"backup": BACKUP | {"status": "BUILDING"}})
    call.api.answer("tasklist", {"tasks": [{"id": "task-1"}]})
    result = call("backup", "create", INSTANCE_ID, "by-hand")
    assert result.code == 1
    assert "the disk is full" in result.err


def test_a_backup_is_stopped(call: Caller) -> None:
    call.api.answer(f"instances/{INSTANCE_ID}/backups/stop", {"job_id": "task-1"})
    result = call("backup", "stop", INSTANCE_ID)
    assert (result.code, "task-1" in result.out) == (0, True)


def test_backups_are_listed_and_deleted(call: Caller) -> None:
    call.api.answer("backups", {"backups": [BACKUP], "total_count": 1})
    call.api.answer(f"backups/{BACKUP_ID}", {})
    result = call("backup", "list", INSTANCE_ID, "--type", "manual")
    assert "40 MB" in result.out and BACKUP_ID in result.out
    assert f"instance_id={INSTANCE_ID}&backup_type=manual" in call.sent("GET")[-1][0]
    assert call("backup", "delete", BACKUP_ID).code == 0
    assert call.sent("DELETE") == [(f"backups/{BACKUP_ID}", None)]


def test_the_times_that_can_be_restored_are_shown(call: Caller) -> None:
    times = {"restore_time": [{"start_time": 1770091506000, "end_time": 1770091507500}]}
    call.api.answer(f"instances/{INSTANCE_ID}/restore-time", times)
    result = call("instance", "restore", "times", INSTANCE_ID)
    assert "2026-02-03T04:05:06.000+00:00  2026-02-03T04:05:07.500+00:00" in result.out


def test_tables_are_restored_as_of_the_latest_moment(call: Caller) -> None:
    times = {"restore_time": [{"start_time": 1, "end_time": 2}]}
    call.api.answer(f"instances/{INSTANCE_ID}/restore-time", times)
    call.api.answer("instances/batch/restore/tables", RESULT)
    result = call("instance", "restore", "tables", INSTANCE_ID, "shop.public.items=items_old")
    assert result.code == 0, result.err
    tables = [{"old_name": "items", "new_name": "items_old"}]
    databases = [{"database": "shop", "schemas": [{"schema": "public", "tables": tables}]}]
    wanted = {"instance_id": INSTANCE_ID, "restore_time": 2, "databases": databases}
    assert call.sent("POST") == [("instances/batch/restore/tables", {"instances": [wanted]})]


def test_a_table_of_an_engine_without_schemas_is_named_by_its_database(call: Caller) -> None:
    call.api.answer("instances/batch/restore/tables", RESULT)
    words = ("instance", "restore", "tables", INSTANCE_ID, "shop.items=items_old")
    assert call(*words, "--time", "2026-02-03T04:05:06+00:00").code == 0
    ((_, body),) = call.sent("POST")
    assert body["instances"][0]["databases"] == [
        {"database": "shop", "tables": [{"old_name": "items", "new_name": "items_old"}]}
    ]


def test_databases_are_restored_as_of_a_time(call: Caller) -> None:
    call.api.answer("instances/batch/restore/databases", RESULT)
    time = "2026-02-03T04:05:06+00:00"
    words = ("instance", "restore", "databases", INSTANCE_ID, "shop=shop_old", "--time", time, "--no-wait")
    assert "Task task-1" in call(*words).out
    databases = [{"old_name": "shop", "new_name": "shop_old"}]
    wanted = {"instance_id": INSTANCE_ID, "restore_time": 1770091506000, "databases": databases}
    assert call.sent("POST") == [("instances/batch/restore/databases", {"instances": [wanted]})]


@pytest.mark.parametrize("word", ["items=items_old", "shop.public.items", "=x", "a..b=c", "a.b.c.d=e"])
def test_a_table_that_is_not_given_in_full_is_a_usage_problem(call: Caller, word: str) -> None:
    result = call("instance", "restore", "tables", INSTANCE_ID, word, "--time", "1")
    assert result.code == 2
    assert "DATABASE[.SCHEMA].TABLE=NEW_NAME" in result.err
    assert call.sent("POST") == []


@pytest.mark.parametrize(
    ("options", "ha", "flavor"),
    [
        ((), None, "rds.pg.n1.large.4"),
        (("--ha", "sync"), {"mode": "Ha", "replication_mode": "sync"}, "rds.pg.n1.large.4.ha"),
    ],
)
def test_a_new_instance_takes_after_its_source(
    call: Caller, options: tuple[str, ...], ha: object, flavor: str
) -> None:
    listed = {"flavor_ref": "rds.pg.n1.large.4", "volume": {"size": 80}, "datastore": BACKUP["datastore"]}
    call.api.answer("instances", {"instances": [{"id": INSTANCE_ID, **listed}]})
    offer_everything(call.api)
    words = ("instance", "restore", "new", "again", "--from", INSTANCE_ID, "--time", "5", "--no-wait")
    assert call(*words, *options).code == 0
    ((path, body),) = call.sent("POST")
    assert path == "instances"
    assert body["restore_point"] == {"instance_id": INSTANCE_ID, "type": "timestamp", "restore_time": 5}
    assert (body["flavor_ref"], body["volume"]["size"]) == (flavor, 80)
    assert "password" not in body and "datastore" not in body
    assert body.get("ha") == ha
    assert body["availability_zone"].count(",") == (0 if ha is None else 1)


def test_a_backup_of_an_instance_that_is_gone_is_restored(call: Caller) -> None:
    call.api.answer("instances", {"instances": []})
    offer_everything(call.api)
    call.api.answer("backups", {"backups": [BACKUP]})
    words = ("instance", "restore", "new", "again", "--from", INSTANCE_ID, "--backup", BACKUP_ID, "--no-wait")
    result = call(*words)
    assert result.code == 0, result.err
    ((_, body),) = call.sent("POST")
    point = {"instance_id": INSTANCE_ID, "type": "backup", "backup_id": BACKUP_ID}
    assert (body["restore_point"], body["volume"]["size"]) == (point, 40)


def test_data_is_replaced_only_after_a_yes(call: Caller) -> None:
    words = ("instance", "restore", "onto", INSTANCE_ID, "--from", OTHER_ID, "--backup", BACKUP_ID)
    result = call(*words)
    assert (result.code, call.sent("POST")) == (2, [])
    assert "--yes" in result.err
    call.api.answer("instances/recovery", {"job_id": "task-1"})
    assert call(*words, "--yes").code == 0
    source = {"instance_id": OTHER_ID, "type": "backup", "backup_id": BACKUP_ID}
    body = {"source": source, "target": {"instance_id": INSTANCE_ID}}
    assert call.sent("POST") == [("instances/recovery", body)]
    assert call(*words, "--time", "1", "--yes").code == 2


def look(databases: list[dict[str, object]]) -> dict[str, object]:
    known = {"seen_before": "2026-02-03T04:05:06+0000", "seen_after": "2026-02-04T04:05:06+0000"}
    return {"instances": [{"id": INSTANCE_ID, "name": "orders", "databases": databases, **known}]}


def test_the_tables_of_a_moment_are_listed_as_they_are_named_to_restore_them(call: Caller) -> None:
    call.api.answer("instances", {"instances": [listed()]})
    public = {"name": "public", "tables": [{"name": "items"}, {"name": "later", "only": "after"}]}
    flat = [{"name": "gone", "only": "before"}]
    shop: dict[str, object] = {"name": "shop", "schemas": [public]}
    app: dict[str, object] = {"name": "app", "tables": flat}
    call.api.answer("postgresql/instances/history/tables", look([shop]), look([app]), look([]))
    result = call(
        "instance", "restore", "tables", INSTANCE_ID, "--list", "--time", "1770091506000", "--like", "it"
    )
    assert result.code == 0, result.err
    rows = [line.split("  ", 1) for line in result.out.splitlines()[1:]]
    assert [(name, seen.strip()) for name, seen in rows] == [
        ("shop.public.items", "-"),
        ("shop.public.later", "only after"),
        ("app.gone", "only before"),
    ]
    assert "Seen at 2026-02-03T04:05:06+0000 and at 2026-02-04T04:05:06+0000" in result.err
    body = {"instance_ids": [INSTANCE_ID], "restore_time": 1770091506000, "table_name_like": "it"}
    places = [
        f"postgresql/instances/history/tables?offset={offset}&limit=10000" for offset in (0, 10000, 20000)
    ]
    assert call.sent("POST") == [(place, body) for place in places]


def test_the_databases_of_a_moment_are_listed(call: Caller) -> None:
    call.api.answer("instances", {"instances": [listed()]})
    found = [{"name": "shop", "total_tables": 7, "only": "before"}]
    call.api.answer("postgresql/instances/history/databases", look(found), look([]))
    result = call("instance", "restore", "databases", INSTANCE_ID, "--list", "--time", "1770091506000")
    assert result.code == 0, result.err
    assert result.out.splitlines()[1].split() == ["shop", "7", "only", "before"]


@pytest.mark.parametrize("kind", ["tables", "databases"])
@pytest.mark.parametrize("words", [(), ("a.b=c", "--list"), ("a.b=c", "--like", "x"), ("--like", "x")])
def test_something_is_either_restored_or_listed(call: Caller, kind: str, words: tuple[str, ...]) -> None:
    result = call("instance", "restore", kind, INSTANCE_ID, *words)
    assert (result.code, "Name what to restore, or give --list" in result.err) == (2, True)
    assert call.sent("POST") == []
