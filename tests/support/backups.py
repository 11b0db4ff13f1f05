"""What the tests of backups and of restores ask of a service."""

import datetime as dt
from pathlib import Path
from typing import Any

from support.dialects import POSTGRESQL, Dialect
from support.service import PASSWORD, ServiceUnderTest, fresh, session, wait_for

UNKNOWN_INSTANCE = "0123456789abcdef" * 2 + "in03"
UNKNOWN_BACKUP = "0123456789abcdef" * 2 + "br03"


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


def rows(instance: dict[str, Any], table: str, password: str = PASSWORD, database: str | None = None) -> int:
    with session(instance, password=password, database=database) as client:
        ((count,),) = client.execute(f"select count(*) from {table}")
        return int(count)


def nothing_left_over(service: ServiceUnderTest) -> None:
    assert not (service.data_dir / "scratch").exists()
    for node in (service.data_dir / "nodes").glob("*"):
        assert {path.name for path in node.iterdir()} <= {"data", "log", "process", "upstream.pass"}


def restored_to_new(
    service: ServiceUnderTest,
    name: str,
    point: dict[str, Any],
    dialect: Dialect = POSTGRESQL,
    **changes: Any,
) -> dict[str, Any]:
    body = service.create_body(dialect, name=name, **{"datastore": None, **changes})
    answer = post(service, "instances", {**body, "restore_point": point}, status=202)
    assert service.instance(answer["instance"]["id"])["status"] in ("BUILD", "ACTIVE")
    job = service.completed(answer["job_id"], 120)
    assert job["name"] == dialect.task_name("Restore{}NewInstance")
    return service.instance(answer["instance"]["id"])


def tables_of(
    instance_id: str,
    moment: int,
    *names: tuple[str, str],
    dialect: Dialect = POSTGRESQL,
    schema: str | None = None,
) -> dict[str, Any]:
    tables = [{"old_name": old, "new_name": new} for old, new in names]
    where = dialect.schema if schema is None else schema
    within = {"schemas": [{"schema": where, "tables": tables}]} if dialect.schema else {"tables": tables}
    databases = [{"database": dialect.database, **within}]
    return {"instance_id": instance_id, "restore_time": moment, "databases": databases}


def restore_tables(service: ServiceUnderTest, wanted: dict[str, Any]) -> dict[str, Any]:
    answer = post(service, "instances/batch/restore/tables", {"instances": [wanted]})
    ((instance_id, job_id),) = (one.values() for one in answer["restore_result"])
    assert instance_id == wanted["instance_id"]
    return service.ended(job_id, 120)
