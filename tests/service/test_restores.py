"""Restores through the API, on real servers, and what goes wrong with them."""

import shutil
from typing import Any

import pytest

from support.backups import (
    UNKNOWN_BACKUP,
    UNKNOWN_INSTANCE,
    back_up,
    backups,
    folder,
    nothing_left_over,
    now,
    post,
    refusal,
    restore_tables,
    restored_to_new,
    rows,
    tables_of,
)
from support.service import ServiceUnderTest, fresh, wait_for
from support.writer import connect

pytestmark = pytest.mark.xdist_group("backups")

NEW_PASSWORD = "An0ther-S3cret"


@pytest.fixture(scope="module")
def service(backup_service: ServiceUnderTest) -> ServiceUnderTest:
    return backup_service


# To a new instance


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


def test_a_table_is_restored_under_a_new_name_while_the_instance_serves(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    with connect(orders) as connection:
        job = restore_tables(service, tables_of(orders["id"], before_accident, ("orders", "orders_old")))
        assert connection.execute("select 1").fetchone() == (1,), "no connection is lost"
    assert (job["name"], job["status"]) == ("RestoreTablePostgresql", "Completed"), job
    assert job["instance"]["id"] == orders["id"]
    assert (rows(orders, "orders_old"), rows(orders, "orders")) == (100, 10)
    assert restored_by(service, orders, job) == [("postgres", "public.orders_old")]
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
    assert restored_by(service, orders, job) == [("before_accident", "")]
    assert rows(orders, "orders", database="before_accident") == 100
    nothing_left_over(service)
    again = refusal(service, "POST", "instances/batch/restore/databases", {"instances": [wanted]})
    assert again[:2] == (400, "DBS.201035")


def test_a_table_that_was_not_there_is_a_failed_task(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    """It may have been there, so only the restore can tell; and it does not try again."""
    job = restore_tables(service, tables_of(orders["id"], before_accident, ("never_was", "never_is")))
    assert job["status"] == "Failed"
    assert "no table postgres.public.never_was at that moment" in job["fail_reason"]
    assert restored_by(service, orders, job) == []
    wanted = {"workflow_id": job["id"], "workflow_name": "RestoreDatabasePostgresql"}
    path = f"instances/{orders['id']}/get-restore-tables"
    status, code, message = refusal(service, "POST", path, wanted)
    assert (status, code, message) == (
        400,
        "DBS.200001",
        "The task is RestoreTablePostgresql, not RestoreDatabasePostgresql.",
    )
    steps = service.get(f"jobs/{job['id']}/steps")["steps"]
    # Begun once, and undone once.
    assert {step["name"]: step["attempts"] for step in steps}["copy"] == 2
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    nothing_left_over(service)


@pytest.mark.parametrize(
    ("table", "database", "schema", "expected", "reason"),
    [
        (("orders", "early"), "postgres", "public", (400, "DBS.201035"), "The name early is taken"),
        (("orders", "x"), "postgres", "nowhere", (400, "DBS.200001"), "no schema nowhere"),
        (("orders", "x"), "nobodys", "public", (400, "DBS.200001"), "There is no database nobodys."),
    ],
)
def test_what_cannot_be_restored_where_it_is_wanted_is_refused_before_the_restore(
    service: ServiceUnderTest,
    orders: dict[str, Any],
    before_accident: int,
    table: tuple[str, str],
    database: str,
    schema: str,
    expected: tuple[int, str],
    reason: str,
) -> None:
    wanted = tables_of(orders["id"], before_accident, table, schema=schema)
    wanted["databases"][0]["database"] = database
    refused_as(service, wanted, expected, reason)


def test_a_name_that_is_mistyped_is_refused_for_the_latest_moment(
    service: ServiceUnderTest, orders: dict[str, Any]
) -> None:
    latest = service.get(f"instances/{orders['id']}/restore-time")["restore_time"][-1]["end_time"]
    wanted = tables_of(orders["id"], latest, ("odrers", "x"))
    refused_as(service, wanted, (400, "DBS.200001"), "There is no table postgres.public.odrers.")


def test_tables_are_named_as_the_engine_has_them(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    tables = [{"old_name": "orders", "new_name": "orders_there"}]
    databases: list[dict[str, Any]] = [
        {"database": "postgres", "tables": tables},
        {"database": "postgres"},
        {"database": "postgres", "tables": tables, "schemas": [{"schema": "public", "tables": tables}]},
    ]
    for database in databases:
        wanted = {"instance_id": orders["id"], "restore_time": before_accident, "databases": [database]}
        refused_as(service, wanted, (400, "DBS.200001"), "named by databases[].schemas[].tables[]")


def test_the_routes_of_engines_without_schemas_are_not_for_others(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    path = f"instances/{orders['id']}/restore/tables"
    tables = [{"oldName": "orders", "newName": "orders_there"}]
    body = {
        "restoreTime": before_accident,
        "restoreTables": [{"database": "postgres", "tables": tables}],
        "is_fast_restore": False,
    }
    status, code, message = refusal(service, "POST", path, body)
    assert (status, code) == (400, "DBS.200001")
    assert "Tables of PostgreSQL are named by databases[].schemas[].tables[]" in message
    assert refusal(service, "POST", path, {"restore_time": 1})[:2] == (400, "DBS.200001")


def restored_by(
    service: ServiceUnderTest, instance: dict[str, Any], job: dict[str, Any]
) -> list[tuple[str, str]]:
    wanted = {"workflow_id": job["id"], "workflow_name": job["name"]}
    answer = post(service, f"instances/{instance['id']}/get-restore-tables", wanted)
    return [(one["database_name"], one["table_name"]) for one in answer["data_list"]]


def test_only_a_restore_of_the_instance_has_restored_anything(
    service: ServiceUnderTest, orders: dict[str, Any]
) -> None:
    path = f"instances/{orders['id']}/get-restore-tables"
    (made,) = service.get(f"tasklist?instance_id={orders['id']}&name=CreatePostgresqlSingleHAInstance")[
        "tasks"
    ]
    for id_ in (made["id"], "0" * 32, "no id"):
        wanted = {"workflow_id": id_, "workflow_name": "RestoreTablePostgresql"}
        assert refusal(service, "POST", path, wanted)[:2] == (400, "DBS.200543")


def refused_as(
    service: ServiceUnderTest, wanted: dict[str, Any], expected: tuple[int, str], reason: str
) -> None:
    path = "instances/batch/restore/tables"
    status, code, message = refusal(service, "POST", path, {"instances": [wanted]})
    assert (status, code) == expected
    assert reason in message


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
