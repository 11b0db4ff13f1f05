"""Backups and restores through the API, on real servers, and what goes wrong with them."""

import datetime as dt
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from test_instances import connect

from support.service import PASSWORD, ServiceUnderTest, fresh, running_service, wait_for

pytestmark = pytest.mark.xdist_group("backups")

UNKNOWN_INSTANCE = "0123456789abcdef" * 2 + "in03"
UNKNOWN_BACKUP = "0123456789abcdef" * 2 + "br03"
NEW_PASSWORD = "An0ther-S3cret"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other") as running:
        yield running


@pytest.fixture(scope="module")
def orders(service: ServiceUnderTest) -> dict[str, Any]:
    """An instance with a manual backup named `first-backup`, and a table that is younger than it."""
    instance = service.create(name="orders")
    with connect(instance) as connection:
        connection.execute("create table early as select 1 as x")
    back_up(service, instance["id"], "first-backup")
    with connect(instance) as connection:
        connection.execute("create table orders (id serial primary key, note text)")
        connection.execute("insert into orders (note) select 'n' || i from generate_series(1, 100) as i")
    return instance


@pytest.fixture(scope="module")
def before_accident(service: ServiceUnderTest, orders: dict[str, Any]) -> int:
    """The moment before most rows of `orders` are deleted, in milliseconds."""
    time.sleep(0.01)
    moment = now()
    time.sleep(0.01)
    with connect(orders) as connection:
        connection.execute("delete from orders where id > 10")
    return moment


def now() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp() * 1000)


def post(service: ServiceUnderTest, path: str, body: Any, status: int = 200) -> Any:
    answer = service.call("POST", path, body, headers=fresh())
    assert answer.status_code == status, answer.text
    return answer.json()


def refusal(service: ServiceUnderTest, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
    answer = service.call(method, path, body, headers=fresh())
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error_code"], answer.json()["error_msg"]


def back_up(service: ServiceUnderTest, instance_id: str, name: str) -> dict[str, Any]:
    """A backup as the list shows it when it is done."""
    made = post(service, "backups", {"instance_id": instance_id, "name": name})["backup"]

    def done() -> dict[str, Any] | None:
        (listed,) = backups(service, instance_id, backup_id=made["id"])
        return listed if listed["status"] != "BUILDING" else None

    listed = wait_for(done, 60, f"the end of backup {name}")
    assert listed["status"] == "COMPLETED", service.get(f"tasklist?instance_id={instance_id}&limit=1")
    wait_for(lambda: service.instance(instance_id)["status"] == "ACTIVE", 10)
    return listed


def backups(service: ServiceUnderTest, instance_id: str, **query: str) -> list[dict[str, Any]]:
    words = "".join(f"&{name}={value}" for name, value in query.items())
    answer = service.get(f"backups?instance_id={instance_id}{words}")
    assert answer["total_count"] >= len(answer["backups"])
    return answer["backups"]


def folder(service: ServiceUnderTest, instance_id: str) -> Path:
    return service.data_dir / "backups" / instance_id


def rows(instance: dict[str, Any], table: str, password: str = PASSWORD, database: str = "postgres") -> int:
    with psycopg.connect(
        host=instance["private_ips"][0],
        port=instance["port"],
        user="root",
        password=password,
        dbname=database,
        connect_timeout=10,
    ) as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()
        assert row is not None
        return row[0]


def nothing_left_over(service: ServiceUnderTest) -> None:
    assert not (service.data_dir / "scratch").exists()
    for node in (service.data_dir / "nodes").glob("*"):
        assert {path.name for path in node.iterdir()} <= {"data", "log", "process"}


# Backups


def test_a_backup_is_made_listed_and_deleted(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    body = {"instance_id": orders["id"], "name": "by-hand", "description": "before the release"}
    made = post(service, "backups", body)["backup"]
    assert made["status"] == "BUILDING"
    assert {name: made[name] for name in (*body, "type")} == {**body, "type": "manual"}
    task = service.get(f"tasklist?instance_id={orders['id']}&limit=1")["tasks"][0]
    assert task["name"] == "BackupPostgresqlInInstance"
    assert service.completed(task["id"])["entities"] == {}

    (listed,) = backups(service, orders["id"], backup_id=made["id"])
    assert listed["status"] == "COMPLETED"
    assert listed["size"] > 1024
    assert listed["datastore"] == {"type": "PostgreSQL", "version": orders["datastore"]["version"]}
    assert listed["begin_time"] <= listed["end_time"]
    assert (folder(service, orders["id"]) / made["id"]).is_dir()
    assert backups(service, orders["id"], backup_id=made["id"], backup_type="auto") == []
    assert backups(service, orders["id"], backup_type="incremental") == []

    assert service.call("DELETE", f"backups/{made['id']}", headers=fresh()).json() == {}
    assert backups(service, orders["id"], backup_id=made["id"]) == []
    wait_for(lambda: not (folder(service, orders["id"]) / made["id"]).exists(), 30, "its files are gone")
    assert refusal(service, "DELETE", f"backups/{made['id']}")[:2] == (404, "DBS.201010")


def test_backups_are_filtered_by_time_and_paged(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    (first,) = [one for one in backups(service, orders["id"]) if one["name"] == "first-backup"]
    begin = first["begin_time"]
    # As clients write it: with a plus that is encoded, or not, or with a letter.
    for zone in ("%2B0000", "+0000", "Z"):
        times = {"begin_time": "2020-01-01T00:00:00" + zone, "end_time": "2099-01-01T00:00:00" + zone}
        assert first in backups(service, orders["id"], **times)
    times = {"begin_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-02T00:00:00Z"}
    assert backups(service, orders["id"], **times) == []
    assert service.get(f"backups?instance_id={orders['id']}&offset=1000")["backups"] == []
    for query in (
        f"begin_time={begin}",
        "begin_time=yesterday&end_time=today",
        "begin_time=2099-01-01T00:00:00Z&end_time=2020-01-01T00:00:00Z",
        "begin_time=2020-01-01T00:00:00&end_time=2020-01-01T00:00:00",
        "limit=101",
        "offset=-1",
        "backup_type=partial",
    ):
        path = f"backups?instance_id={orders['id']}&{query}"
        assert refusal(service, "GET", path)[:2] == (400, "DBS.200001"), query
    assert refusal(service, "GET", "backups")[:2] == (400, "DBS.200001")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "abc"}, (400, "DBS.280277")),
        ({"name": "1st-backup"}, (400, "DBS.280277")),
        ({"name": "a b c d"}, (400, "DBS.280277")),
        ({"name": "a" * 65}, (400, "DBS.280277")),
        ({"name": "first-backup"}, (400, "DBS.280277")),
        ({"description": "a < b"}, (400, "DBS.280127")),
        ({"description": "a" * 257}, (400, "DBS.280127")),
        ({"databases": [{"name": "postgres"}]}, (400, "DBS.200001")),
        ({"instance_id": UNKNOWN_INSTANCE}, (404, "DBS.200002")),
        ({"instance_id": "orders"}, (400, "DBS.280404")),
        ({"name": None}, (400, "DBS.200001")),
    ],
)
def test_what_is_wrong_with_a_backup_is_said(
    service: ServiceUnderTest, orders: dict[str, Any], changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = service.get("tasklist")["total_count"]
    body = {"instance_id": orders["id"], "name": "wrong-backup", **changes}
    assert refusal(service, "POST", "backups", body)[:2] == expected
    assert service.get("tasklist")["total_count"] == before
    assert service.instance(orders["id"])["status"] == "ACTIVE"


def test_one_backup_at_a_time(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    worker = service.child("worker_process")
    worker.suspend()
    try:
        made = post(service, "backups", {"instance_id": orders["id"], "name": "slow-backup"})["backup"]
        assert service.instance(orders["id"])["status"] == "BACKING UP"
        second = {"instance_id": orders["id"], "name": "second-backup"}
        assert refusal(service, "POST", "backups", second)[:2] == (409, "DBS.201205")
        assert refusal(service, "DELETE", f"backups/{made['id']}")[:2] == (409, "DBS.201205")
        action = {"restart": {}}
        assert refusal(service, "POST", f"instances/{orders['id']}/action", action)[:2] == (409, "DBS.200019")
    finally:
        worker.resume()
    task = service.get(f"tasklist?instance_id={orders['id']}&limit=1")["tasks"][0]
    service.completed(task["id"])
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    post(service, "backups/batch-delete", {"backup_ids": [made["id"]]})
    assert backups(service, orders["id"], backup_id=made["id"]) == []


def test_backups_of_another_project_are_closed(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    (first,) = [one for one in backups(service, orders["id"]) if one["name"] == "first-backup"]
    other = replace(service, project="other")
    assert backups(other, orders["id"]) == []
    assert refusal(other, "DELETE", f"backups/{first['id']}")[:2] == (404, "DBS.201010")
    batch = {"backup_ids": [first["id"]]}
    assert refusal(other, "POST", "backups/batch-delete", batch)[:2] == (404, "DBS.201010")
    assert refusal(other, "GET", f"instances/{orders['id']}/restore-time")[:2] == (404, "DBS.200002")
    point = {"instance_id": orders["id"], "backup_id": first["id"]}
    body = {**other.create_body(name="stolen"), "restore_point": point}
    assert refusal(other, "POST", "instances", body)[:2] == (404, "DBS.200013")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_leaves_nothing(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    home = folder(service, orders["id"])
    owner = home.stat()
    options = f"size=16m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", home], check=True)
    try:
        made = post(service, "backups", {"instance_id": orders["id"], "name": "no-room"})["backup"]
        task = service.get(f"tasklist?instance_id={orders['id']}&limit=1")["tasks"][0]
        job = service.ended(task["id"])
        left = {path.name for path in home.iterdir()}
    finally:
        subprocess.run(["umount", home], check=True)
    assert job["status"] == "Failed"
    assert "No space left on device" in job["fail_reason"]
    assert left <= {"wal"}
    (listed,) = backups(service, orders["id"], backup_id=made["id"])
    assert listed["status"] == "FAILED"
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    assert service.call("DELETE", f"backups/{made['id']}", headers=fresh()).status_code == 200


def test_a_backup_that_fails_leaves_nothing(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    home = folder(service, orders["id"])
    before = {path.name for path in home.iterdir()}
    data = service.data_dir / "nodes" / orders["nodes"][0]["id"] / "data"
    # A file that the server cannot read: the copy breaks off in the middle.
    obstacle = data / "base" / "obstacle"
    obstacle.mkdir(mode=0)
    try:
        made = post(service, "backups", {"instance_id": orders["id"], "name": "broken-backup"})["backup"]
        task = service.get(f"tasklist?instance_id={orders['id']}&limit=1")["tasks"][0]
        job = service.ended(task["id"])
    finally:
        obstacle.rmdir()
    assert job["status"] == "Failed"
    assert "pg_basebackup failed" in job["fail_reason"]
    (listed,) = backups(service, orders["id"], backup_id=made["id"])
    assert listed["status"] == "FAILED"
    assert {path.name for path in home.iterdir()} == before
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    assert service.call("DELETE", f"backups/{made['id']}", headers=fresh()).status_code == 200


# What can be restored


def test_an_instance_without_a_backup_has_no_restore_time(service: ServiceUnderTest) -> None:
    created = service.create(name="without-backup")
    assert service.get(f"instances/{created['id']}/restore-time") == {"restore_time": []}
    body = {"instances": [tables_of(created["id"], now(), ("a", "b"))]}
    status, code, message = refusal(service, "POST", "instances/batch/restore/tables", body)
    assert (status, code) == (400, "DBS.200001")
    assert "no finished backup" in message
    service.delete(created["id"])


def test_the_restore_time_begins_with_a_backup_and_ends_now(
    service: ServiceUnderTest, orders: dict[str, Any]
) -> None:
    earliest = now() - 3600_000
    (range_,) = service.get(f"instances/{orders['id']}/restore-time")["restore_time"]
    assert earliest < range_["start_time"] < range_["end_time"] <= now() + 1000
    today = dt.datetime.now(dt.UTC).date()
    for date, count in ((today, 1), (today - dt.timedelta(days=1), 0), (today + dt.timedelta(days=2), 0)):
        path = f"instances/{orders['id']}/restore-time?date={date}"
        assert len(service.get(path)["restore_time"]) == count or range_["start_time"] // 86_400_000 != (
            range_["end_time"] // 86_400_000
        )
    path = f"instances/{orders['id']}/restore-time?date=today"
    assert refusal(service, "GET", path)[:2] == (400, "DBS.200001")


# To a new instance


def restored_to_new(
    service: ServiceUnderTest, name: str, point: dict[str, Any], **changes: Any
) -> dict[str, Any]:
    body = service.create_body(name=name, **{"datastore": None, **changes})
    answer = post(service, "instances", {**body, "restore_point": point}, status=202)
    assert service.instance(answer["instance"]["id"])["status"] in ("BUILD", "ACTIVE")
    job = service.completed(answer["job_id"], 120)
    assert job["name"] == "RestorePostgresqlNewInstance"
    return service.instance(answer["instance"]["id"])


def test_a_moment_is_restored_to_a_new_instance(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    point = {"instance_id": orders["id"], "type": "timestamp", "restore_time": before_accident}
    restored = restored_to_new(service, "orders-again", point, password=NEW_PASSWORD, port="5433")
    assert (restored["status"], restored["port"]) == ("ACTIVE", 5433)
    assert restored["datastore"] == orders["datastore"]
    assert rows(restored, "orders", NEW_PASSWORD) == 100
    assert rows(orders, "orders") == 10
    nothing_left_over(service)
    # It is an instance like any other, with an archive and backups of its own.
    back_up(service, restored["id"], "of-the-restored")
    assert service.get(f"instances/{restored['id']}/restore-time")["restore_time"]
    service.delete(restored["id"])
    # A manual backup outlives its instance, and can be restored; without a password the old one is kept.
    assert [one["name"] for one in backups(service, restored["id"])] == ["of-the-restored"]
    point = {"instance_id": restored["id"], "backup_id": backups(service, restored["id"])[0]["id"]}
    again = restored_to_new(service, "orders-third", point, password=None)
    assert rows(again, "orders", NEW_PASSWORD) == 100
    service.delete(again["id"])
    status, code, _ = refusal(
        service,
        "POST",
        "instances",
        {
            **service.create_body(name="too-late"),
            "restore_point": {"instance_id": restored["id"], "restore_time": now()},
        },
    )
    assert (status, code) == (404, "DBS.200013")
    service.call("DELETE", f"backups/{point['backup_id']}", headers=fresh())
    wait_for(lambda: not folder(service, restored["id"]).exists(), 30, "nothing is left of it")


@pytest.mark.parametrize(
    ("point", "changes", "expected"),
    [
        ({"instance_id": UNKNOWN_INSTANCE, "backup_id": UNKNOWN_BACKUP}, {}, (404, "DBS.200013")),
        ({"instance_id": UNKNOWN_INSTANCE, "restore_time": 1}, {}, (404, "DBS.200013")),
        ({"instance_id": "orders", "restore_time": 1}, {}, (400, "DBS.280404")),
        ({"backup_id": UNKNOWN_BACKUP}, {}, (404, "DBS.201010")),
        ({"type": "backup"}, {}, (400, "DBS.200001")),
        ({"type": "timestamp"}, {}, (400, "DBS.200001")),
        ({"type": "magic", "restore_time": 1}, {}, (400, "DBS.200001")),
        ({"restore_time": 1}, {}, (400, "DBS.200001")),
        ({"restore_time": 2**62}, {}, (400, "DBS.200001")),
        ({"restore_time": "yesterday"}, {}, (400, "DBS.200001")),
        ({"database_name": {"a": "b"}, "restore_time": 1}, {}, (400, "DBS.200001")),
        ({}, {"datastore": {"type": "PostgreSQL", "version": "16"}}, (400, "DBS.200001")),
        ({}, {"ha": {"mode": "Ha", "replication_mode": "async"}}, (400, "DBS.280244")),
    ],
)
def test_what_is_wrong_with_a_restore_is_said(
    service: ServiceUnderTest,
    orders: dict[str, Any],
    before_accident: int,
    point: dict[str, Any],
    changes: dict[str, Any],
    expected: tuple[int, str],
) -> None:
    default = {} if point else {"restore_time": before_accident}
    before = service.get("instances")["total_count"]
    body = service.create_body(**{"name": "wrong-restore", **changes})
    body["restore_point"] = {"instance_id": orders["id"], **default, **point}
    assert refusal(service, "POST", "instances", body)[:2] == expected
    assert service.get("instances")["total_count"] == before


def test_a_moment_out_of_range_is_refused_with_the_range(
    service: ServiceUnderTest, orders: dict[str, Any]
) -> None:
    (range_,) = service.get(f"instances/{orders['id']}/restore-time")["restore_time"]
    for moment in (range_["start_time"] - 1, now() + 3600_000):
        body = {"instances": [tables_of(orders["id"], moment, ("orders", "orders_never"))]}
        status, code, message = refusal(service, "POST", "instances/batch/restore/tables", body)
        assert (status, code) == (400, "DBS.200001")
        assert str(range_["start_time"]) in message


# Onto an existing instance


def test_a_moment_is_restored_onto_another_instance(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    target = service.create(name="target", password=NEW_PASSWORD)
    source = {"instance_id": orders["id"], "type": "timestamp", "restore_time": before_accident}
    body = {"source": source, "target": {"instance_id": target["id"]}}
    answer = post(service, "instances/recovery", body)
    job = service.completed(answer["job_id"], 120)
    assert (job["name"], job["entities"]) == ("RestorePostgresqlInInstance", {})
    assert job["instance"]["id"] == target["id"]
    assert service.instance(target["id"])["status"] == "ACTIVE"
    assert rows(target, "orders") == 100, "with the passwords of the source"
    nothing_left_over(service)
    # The log of before leads nowhere any more.
    assert service.get(f"instances/{target['id']}/restore-time") == {"restore_time": []}
    backup = back_up(service, target["id"], "after-the-restore")

    source = {"instance_id": target["id"], "type": "backup", "backup_id": backup["id"]}
    other = service.create(name="other-target")
    body = {"source": source, "target": {"instance_id": other["id"]}}
    path = f"/v3.1/{service.project_id}/instances/recovery"
    service.completed(post(service, path, body, status=202)["job_id"], 120)
    assert rows(other, "orders") == 100
    for instance in (target, other):
        service.delete(instance["id"])
    service.call("DELETE", f"backups/{backup['id']}", headers=fresh())


def test_a_restore_that_fails_leaves_the_old_data_serving(
    service: ServiceUnderTest, orders: dict[str, Any]
) -> None:
    backup = back_up(service, orders["id"], "to-be-damaged")
    shutil.rmtree(folder(service, orders["id"]) / backup["id"] / "data" / "base")
    target = service.create(name="unharmed")
    with connect(target) as connection:
        connection.execute("create table kept as select 1 as x")
    source = {"instance_id": orders["id"], "backup_id": backup["id"]}
    body = {"source": source, "target": {"instance_id": target["id"]}}
    job = service.ended(post(service, "instances/recovery", body)["job_id"], 120)
    assert job["status"] == "Failed"
    assert "restore data failed" in job["fail_reason"]
    assert service.instance(target["id"])["status"] == "ACTIVE"
    assert rows(target, "kept") == 1
    nothing_left_over(service)
    service.delete(target["id"])
    assert service.call("DELETE", f"backups/{backup['id']}", headers=fresh()).status_code == 200


def test_what_cannot_be_restored_onto_is_refused(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    source = {"instance_id": orders["id"], "restore_time": before_accident}
    itself = {"source": source, "target": {"instance_id": orders["id"]}}
    assert refusal(service, "POST", "instances/recovery", itself)[:2] == (400, "DBS.200001")
    nowhere = {"source": source, "target": {"instance_id": UNKNOWN_INSTANCE}}
    assert refusal(service, "POST", "instances/recovery", nowhere)[:2] == (404, "DBS.200002")
    old = service.create(name="old-version", datastore={"type": "PostgreSQL", "version": "16"})
    other_version = {"source": source, "target": {"instance_id": old["id"]}}
    assert refusal(service, "POST", "instances/recovery", other_version)[:2] == (400, "DBS.200001")
    service.delete(old["id"])
    assert refusal(service, "POST", "instances/recovery", {"target": {"instance_id": old["id"]}})[0] == 400


# Tables and databases


def tables_of(
    instance_id: str, moment: int, *names: tuple[str, str], schema: str = "public"
) -> dict[str, Any]:
    tables = [{"old_name": old, "new_name": new} for old, new in names]
    databases = [{"database": "postgres", "schemas": [{"schema": schema, "tables": tables}]}]
    return {"instance_id": instance_id, "restore_time": moment, "databases": databases}


def restore_tables(service: ServiceUnderTest, wanted: dict[str, Any]) -> dict[str, Any]:
    answer = post(service, "instances/batch/restore/tables", {"instances": [wanted]})
    ((instance_id, job_id),) = (one.values() for one in answer["restore_result"])
    assert instance_id == wanted["instance_id"]
    return service.ended(job_id, 120)


def test_a_table_is_restored_under_a_new_name_while_the_instance_serves(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    with connect(orders) as connection:
        job = restore_tables(service, tables_of(orders["id"], before_accident, ("orders", "orders_old")))
        assert connection.execute("select 1").fetchone() == (1,), "no connection is lost"
    assert (job["name"], job["status"]) == ("RestoreTablePostgresql", "Completed"), job
    assert job["instance"]["id"] == orders["id"]
    assert (rows(orders, "orders_old"), rows(orders, "orders")) == (100, 10)
    with connect(orders) as connection:
        connection.execute("insert into orders_old (note) values ('goes on')")
        indexes = connection.execute(
            "select indexname from pg_indexes where tablename = 'orders_old'"
        ).fetchall()
    assert indexes == [("orders_old_pkey",)]
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    nothing_left_over(service)


def test_a_database_is_restored_under_a_new_name(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    databases = [{"old_name": "postgres", "new_name": "before_accident"}]
    wanted = {"instance_id": orders["id"], "restore_time": before_accident, "databases": databases}
    answer = post(service, "instances/batch/restore/databases", {"instances": [wanted]})
    job = service.completed(answer["restore_result"][0]["job_id"], 120)
    assert job["name"] == "RestoreDatabasePostgresql"
    assert rows(orders, "orders", database="before_accident") == 100
    nothing_left_over(service)
    again = post(service, "instances/batch/restore/databases", {"instances": [wanted]})
    failed = service.ended(again["restore_result"][0]["job_id"], 120)
    assert failed["status"] == "Failed"
    assert "before_accident is taken" in failed["fail_reason"]


@pytest.mark.parametrize(
    ("names", "schema", "reason"),
    [
        ((("never_was", "never_is"),), "public", "no table postgres.public.never_was at that moment"),
        ((("orders", "early"),), "public", "early is taken"),
        ((("orders", "elsewhere"),), "nowhere", "no schema nowhere"),
    ],
)
def test_a_table_that_cannot_be_restored_is_a_failed_task(
    service: ServiceUnderTest,
    orders: dict[str, Any],
    before_accident: int,
    names: tuple[tuple[str, str]],
    schema: str,
    reason: str,
) -> None:
    job = restore_tables(service, tables_of(orders["id"], before_accident, *names, schema=schema))
    assert job["status"] == "Failed"
    assert reason in job["fail_reason"]
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    nothing_left_over(service)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), (400, "DBS.200001")),
        ((("orders", ""),), (400, "DBS.200001")),
        ((("orders", "a" * 64),), (400, "DBS.200001")),
        ((("orders", "same"), ("early", "same")), (400, "DBS.201035")),
    ],
)
def test_what_is_wrong_with_names_is_said(
    service: ServiceUnderTest,
    orders: dict[str, Any],
    before_accident: int,
    names: tuple[tuple[str, str]],
    expected: tuple[int, str],
) -> None:
    body = {"instances": [tables_of(orders["id"], before_accident, *names)]}
    assert refusal(service, "POST", "instances/batch/restore/tables", body)[:2] == expected
    databases = [{"old_name": old, "new_name": new} for old, new in names]
    body = {
        "instances": [{"instance_id": orders["id"], "restore_time": before_accident, "databases": databases}]
    }
    assert refusal(service, "POST", "instances/batch/restore/databases", body)[:2] == expected


# Automatic backups


def test_the_first_automatic_backup_comes_by_itself_and_goes_with_its_instance() -> None:
    with running_service(first_backup_after="0", spare_data_dirs="0") as service:
        created = service.create(name="by-itself")
        automatic = wait_for(
            lambda: [one for one in backups(service, created["id"]) if one["status"] == "COMPLETED"],
            60,
            "an automatic backup",
        )
        assert [one["type"] for one in automatic] == ["auto"]
        assert service.get(f"instances/{created['id']}/restore-time")["restore_time"]
        status, code, message = refusal(service, "DELETE", f"backups/{automatic[0]['id']}")
        assert (status, code) == (400, "DBS.200001")
        assert "keep_days" in message
        wait_for(lambda: service.instance(created["id"])["status"] == "ACTIVE", 10)
        service.delete(created["id"])
        assert backups(service, created["id"]) == []
        assert not folder(service, created["id"]).exists()


# Instances of several nodes


def test_backups_and_log_go_on_over_a_change_of_the_primary(service: ServiceUnderTest) -> None:
    pair = service.create(
        name="pair",
        ha={"mode": "Ha", "replication_mode": "sync"},
        flavor_ref="rds.pg.n1.medium.2.ha",
        availability_zone="local-1a,local-1a",
    )
    back_up(service, pair["id"], "of-the-pair")
    with connect(pair) as connection:
        connection.execute("create table orders as select generate_series(1, 100) as id")
    answer = service.call("PUT", f"instances/{pair['id']}/failover", {}, headers=fresh())
    service.completed(answer.json()["workflowId"])
    with connect(pair) as connection:
        connection.execute("insert into orders select generate_series(101, 200)")
        time.sleep(0.01)
        moment = now()
        time.sleep(0.01)
        connection.execute("delete from orders")

    job = restore_tables(service, tables_of(pair["id"], moment, ("orders", "orders_old")))
    assert job["status"] == "Completed", job
    assert (rows(pair, "orders_old"), rows(pair, "orders")) == (200, 0)
    point = {"instance_id": pair["id"], "type": "timestamp", "restore_time": moment}
    single = restored_to_new(service, "single-of-pair", point)
    assert (single["type"], rows(single, "orders")) == ("Single", 200)

    source = {"instance_id": single["id"], "backup_id": back_up(service, single["id"], "of-the-single")["id"]}
    body = {"source": source, "target": {"instance_id": pair["id"]}}
    service.completed(post(service, "instances/recovery", body)["job_id"], 120)
    assert rows(pair, "orders") == 200
    answer = service.call("PUT", f"instances/{pair['id']}/failover", {}, headers=fresh())
    service.completed(answer.json()["workflowId"])
    assert rows(pair, "orders") == 200, "the standby has the restored data too"
    back_up(service, pair["id"], "after-the-change")
    for instance in (pair, single):
        service.delete(instance["id"])
