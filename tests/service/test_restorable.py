"""What a restore can choose, as the API lists it."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from openrds.operations.steps.inventories import NAME
from support.backups import UNKNOWN_INSTANCE, backups, folder, now, post, refusal
from support.service import ServiceUnderTest

pytestmark = pytest.mark.xdist_group("backups")

TABLES = "postgresql/instances/history/tables"
DATABASES = "PostgreSQL/instances/history/databases"


@pytest.fixture(scope="module")
def service(backup_service: ServiceUnderTest) -> ServiceUnderTest:
    return backup_service


def listed(service: ServiceUnderTest, path: str, instance: dict[str, Any], moment: int, **more: Any) -> Any:
    answer = post(service, path, {"instance_ids": [instance["id"]], "restore_time": moment, **more})
    (of_instance,) = answer["instances"]
    assert (of_instance["id"], of_instance["name"]) == (instance["id"], instance["name"])
    return of_instance


def tables_in(of_instance: dict[str, Any]) -> dict[str, str | None]:
    return {
        table["name"]: table.get("only")
        for database in of_instance["databases"]
        for schema in database["schemas"]
        for table in schema["tables"]
    }


def test_the_tables_of_a_moment_are_those_of_the_looks_around_it(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    found = listed(service, TABLES, orders, before_accident)
    tables = tables_in(found)
    assert tables["early"] is None
    assert tables["orders"] == "after", "the backup before the moment has it not"
    assert found["total_tables"] >= 2
    (first,) = [one for one in backups(service, orders["id"]) if one["name"] == "first-backup"]
    assert found["seen_before"] == first["end_time"] < found["seen_after"]
    one = listed(service, TABLES, orders, before_accident, table_name_like="EARL", database_name_like="post")
    (database,) = one["databases"]
    assert (one["total_tables"], database["name"], database["total_tables"]) == (1, "postgres", 1)
    assert database["schemas"] == [{"name": "public", "total_tables": 1, "tables": [{"name": "early"}]}]


def test_a_list_has_pages(service: ServiceUnderTest, orders: dict[str, Any], before_accident: int) -> None:
    everything = tables_in(listed(service, TABLES, orders, before_accident))
    pages = [
        tables_in(listed(service, f"{TABLES}?offset={offset}&limit=1", orders, before_accident))
        for offset in range(len(everything) + 1)
    ]
    assert [name for page in pages for name in page] == list(everything)
    assert pages[-1] == {}


def test_the_databases_of_a_moment_are_listed(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    found = listed(service, DATABASES, orders, before_accident, database_name_like="postgres")
    (database,) = found["databases"]
    assert database == {"name": "postgres", "total_tables": found["total_tables"]}
    body = {"instance_ids": [orders["id"]], "restore_time": before_accident, "instance_name_like": "ORD"}
    answer = post(service, DATABASES, body)
    assert (answer["database_limit"], answer["table_limit"], len(answer["instances"])) == (2000, 2000, 1)
    assert post(service, DATABASES, body | {"instance_name_like": "nothing"})["instances"] == []


def test_a_backup_of_an_older_openrds_tells_nothing(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    (first,) = [one for one in backups(service, orders["id"]) if one["name"] == "first-backup"]
    path = folder(service, orders["id"]) / first["id"] / NAME
    hidden = path.rename(path.with_name("hidden"))
    try:
        found = listed(service, TABLES, orders, before_accident)
    finally:
        hidden.rename(path)
    assert found["seen_before"] == "" < found["seen_after"]
    tables = tables_in(found)
    assert (tables["early"], tables["orders"]) == (None, None), "one look marks nothing"


@pytest.mark.parametrize(
    ("path", "changes", "expected", "said"),
    [
        (TABLES, {"restore_time": 1}, (400, "DBS.200001"), "restore_time must be within"),
        (TABLES, {"restore_time": 2**62}, (400, "DBS.200001"), "Unix milliseconds"),
        (TABLES, {"restore_time": now() + 3_600_000}, (400, "DBS.200001"), "restore_time must be within"),
        (TABLES, {"instance_ids": []}, (400, "DBS.200001"), "1 to 10 ids"),
        (TABLES, {"instance_ids": [UNKNOWN_INSTANCE] * 11}, (400, "DBS.200001"), "1 to 10 ids"),
        (TABLES, {"instance_ids": [UNKNOWN_INSTANCE]}, (404, "DBS.200002"), UNKNOWN_INSTANCE),
        (TABLES, {"instance_ids": ["orders"]}, (400, "DBS.280404"), ""),
        (f"{TABLES}?limit=0", {}, (400, "DBS.200001"), "limit"),
        ("mysql/instances/history/tables", {}, (400, "DBS.200001"), "is of PostgreSQL"),
        ("oracle/instances/history/tables", {}, (400, "DBS.200042"), "no engine oracle"),
        ("mariadb/instances/history/databases", {}, (400, "DBS.200001"), "is of PostgreSQL"),
        (DATABASES, {"restore_time": 1}, (400, "DBS.200001"), "restore_time must be within"),
        (DATABASES, {"instance_ids": [UNKNOWN_INSTANCE]}, (404, "DBS.200002"), UNKNOWN_INSTANCE),
    ],
)
def test_what_is_wrong_with_a_question_is_said(
    service: ServiceUnderTest,
    orders: dict[str, Any],
    before_accident: int,
    path: str,
    changes: dict[str, Any],
    expected: tuple[int, str],
    said: str,
) -> None:
    body = {"instance_ids": [orders["id"]], "restore_time": before_accident, **changes}
    status, code, message = refusal(service, "POST", path, body)
    assert (status, code) == expected
    assert said in message


def test_another_projects_instance_tells_nothing(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    other = replace(service, project="other")
    ids = {"instance_ids": [orders["id"]]}
    for path in (TABLES, DATABASES):
        assert refusal(other, "POST", path, ids | {"restore_time": before_accident})[0] == 404
    when = {"restore_time": "2026-02-03T04:05:06+0000"}
    assert refusal(other, "POST", "instances/fast-restore", ids | when)[0] == 404
    ended = {"workflow_id": "0" * 32, "workflow_name": "RestoreTablePostgresql"}
    assert refusal(other, "POST", f"instances/{orders['id']}/get-restore-tables", ended)[0] == 404


def test_no_restore_is_made_faster(
    service: ServiceUnderTest, orders: dict[str, Any], before_accident: int
) -> None:
    moment = dt.datetime.fromtimestamp(before_accident / 1000, dt.UTC).isoformat()
    body = {"instance_ids": [orders["id"]], "restore_time": moment.replace("+00:00", "Z")}
    answer = post(service, "instances/fast-restore", body)
    assert answer["support_fast_restore_list"] == [
        {
            "instance_id": orders["id"],
            "is_support_fast_table_restore": False,
            "is_support_fast_database_restore": False,
        }
    ]
    for wrong in ("1999-01-01T00:00:00Z", "yesterday"):
        body = {"instance_ids": [orders["id"]], "restore_time": wrong}
        assert refusal(service, "POST", "instances/fast-restore", body)[:2] == (400, "DBS.200001")
