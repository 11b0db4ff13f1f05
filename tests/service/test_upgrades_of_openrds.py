"""A data directory of the version before is taken over with its instances running, and goes on."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.processes import RECORD, Process, find
from openrds.hosts.user import ServerUser
from support.backups import back_up, post, restored_to_new, rows
from support.dialects import DIALECTS, POSTGRESQL, Dialect
from support.engines import found
from support.folders import short_folder
from support.older import BEFORE, OlderService, unpacked_wheel
from support.service import ALL_ENGINES, ServiceUnderTest, fresh, running_service, session

_CAN_PASS_ON = not choose_forwarder("auto", Path("/tmp/x"), ServerUser.choose()).refusal


@dataclass
class Before:
    """What there was when the older version was stopped."""

    instances: dict[Dialect, dict[str, Any]] = field(default_factory=dict)
    pair: dict[str, Any] | None = None
    backups: dict[Dialect, str] = field(default_factory=dict)
    servers: dict[str, Process] = field(default_factory=dict)
    schema: int = 0
    tasks: int = 0
    unfinished: str = ""


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    place = short_folder()
    yield unpacked_wheel(BEFORE, place)
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(start=False, **ALL_ENGINES) as running:
        yield running


@pytest.fixture(scope="module")
def before(service: ServiceUnderTest, package: Path) -> Iterator[Before]:
    """Made and filled by the older version; then the newer one is started."""
    older = OlderService(service.data_dir, service.options, package=package)
    older.start()
    made = Before()
    for dialect in filter(lambda one: found(one.engine), DIALECTS.values()):
        name = f"db-{dialect.engine.value.lower()}"
        made.instances[dialect] = instance = older.create(dialect, name=name)
        with session(instance) as client:
            client.execute(dialect.rows("before_backup", 1000))
        made.backups[dialect] = back_up(older, instance["id"], f"of-{name}")["id"]
        with session(instance) as client:
            client.execute(dialect.rows("after_backup", 300))
    if _CAN_PASS_ON:
        two: dict[str, Any] = {
            "flavor_ref": POSTGRESQL.flavor(kind="ha"),
            "availability_zone": "local-1a,local-1a",
            "ha": {"mode": "Ha", "replication_mode": POSTGRESQL.synchronous},
        }
        made.pair = older.create(name="pair", **two)
    made.schema = _schema_version(older)
    made.servers = _servers(older)
    made.tasks = older.get("tasklist?limit=1")["total_count"]
    # A worker that stands still leaves it for the next version.
    older.child("worker").suspend()
    restarted = made.instances[POSTGRESQL]["id"]
    made.unfinished = post(older, f"instances/{restarted}/action", {"restart": {}}, status=202)["job_id"]
    older.kill_service()
    service.start()
    yield made


def _schema_version(service: ServiceUnderTest) -> int:
    with psycopg.connect(service.store_dsn) as store:
        row = store.execute("select max(number) from schema_version").fetchone()
    assert row is not None
    return int(row[0])


def _servers(service: ServiceUnderTest) -> dict[str, Process]:
    """Of instances, by node."""
    running = {record.parent.name: find(record) for record in service.data_dir.glob(f"nodes/*/{RECORD}")}
    return {node: process for node, process in running.items() if process is not None}


def test_servers_go_on_and_so_does_the_task_that_ran(service: ServiceUnderTest, before: Before) -> None:
    assert before.schema < _schema_version(service)
    assert service.completed(before.unfinished)["name"] == "RestartPostgresqlInstance"
    assert service.get("tasklist?limit=1")["total_count"] == before.tasks + 1
    restarted = before.instances[POSTGRESQL]["nodes"][0]["id"]
    others = {node: process.pid for node, process in before.servers.items() if node != restarted}
    assert {node: process.pid for node, process in _servers(service).items() if node != restarted} == others
    for dialect, instance in before.instances.items():
        assert service.instance(instance["id"])["status"] == "ACTIVE"
        assert (rows(instance, "before_backup"), rows(instance, "after_backup")) == (1000, 300), dialect


def test_what_is_new_works_with_what_was_there(service: ServiceUnderTest, before: Before) -> None:
    for dialect, instance in before.instances.items():
        path = f"instances/{instance['id']}"
        body = {"name": "shop"} if dialect is POSTGRESQL else {"name": "shop", "character_set": "utf8mb4"}
        post(service, f"{path}/database", body)
        listed = service.get(f"{path}/database/detail?page=1&limit=100")["databases"]
        assert "shop" in [one["name"] for one in listed]
        assert service.get(f"{path}/configurations")["configuration_parameters"]
        assert service.get(f"{path}/ssl-cert/download-link")
        with session(instance) as client:
            client.execute(dialect.rows("since_the_upgrade", 50))
        point = {"type": "backup", "instance_id": instance["id"], "backup_id": before.backups[dialect]}
        again = restored_to_new(service, f"again-{dialect.engine.value.lower()}", point, dialect)
        assert rows(again, "before_backup") == 1000


def test_a_pair_changes_its_roles_and_all_can_be_deleted(service: ServiceUnderTest, before: Before) -> None:
    if before.pair is not None:
        answer = service.call("PUT", f"instances/{before.pair['id']}/failover", {}, headers=fresh())
        assert answer.status_code == 200, answer.text
        service.completed(answer.json()["workflowId"], 120)
        service.delete(before.pair["id"])
    for instance in before.instances.values():
        service.delete(instance["id"])
