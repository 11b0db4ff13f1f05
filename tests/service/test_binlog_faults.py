"""Faults of servers that follow by their binary logs, as a user meets them."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from openrds.domain.engine import EngineName
from openrds.domain.task import TaskName
from openrds.engines.binlog.sessions import SUPERUSER
from openrds.engines.family import password_of
from openrds.hosts.processes import RECORD, Process, find
from openrds.service import places
from support.dialects import DIALECTS, Dialect
from support.engines import needs_engine
from support.means import WHY_NO_FORWARDING, needs_images
from support.service import ALL_ENGINES, ServiceUnderTest, fresh, running_service, session, wait_for
from support.writer import Writer

FOLLOWERS = {EngineName.MARIADB: "show slave hosts", EngineName.MYSQL: "show replicas"}
#: Within which a commit is acknowledged again when the standby that was to confirm it has died; it takes 0.3 s.
RESUMED_SECONDS = 10.0

ENGINES = [
    pytest.param(engine, marks=needs_engine(engine), id=engine)
    for engine in (EngineName.MARIADB, EngineName.MYSQL)
]

pytestmark = pytest.mark.grouped_by("dialect")


@pytest.fixture(scope="module", params=ENGINES)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(**ALL_ENGINES, hang_timeout="0.6") as running:
        yield running


@pytest.fixture(scope="module")
def pair(service: ServiceUnderTest, dialect: Dialect) -> dict[str, Any]:
    if WHY_NO_FORWARDING:
        pytest.skip(WHY_NO_FORWARDING)
    made = service.create(
        dialect,
        flavor_ref=dialect.flavor(kind="ha"),
        availability_zone="local-1a,local-1a",
        ha={"mode": "Ha", "replication_mode": "semisync"},
    )
    with session(made) as client:
        client.execute("create table kept as select 7 as x")
    return made


def node(service: ServiceUnderTest, instance: dict[str, Any], role: str) -> str:
    (found,) = (one["id"] for one in service.instance(instance["id"])["nodes"] if one["role"] == role)
    return str(found)


def process_of(service: ServiceUnderTest, node_id: str) -> Process:
    process = find(service.data_dir / "nodes" / node_id / RECORD)
    assert process is not None
    return process


def completed(service: ServiceUnderTest, instance: dict[str, Any], name: str) -> int:
    """How many tasks of this name have; none runs, and the instance is at rest."""
    if service.get(f"tasklist?instance_id={instance['id']}&status=Running")["total_count"]:
        return -1
    if service.instance(instance["id"])["status"] != "ACTIVE":
        return -1
    found = service.get(f"tasklist?instance_id={instance['id']}&name={name}")["tasks"]
    return [task["status"] for task in found].count("Completed")


def await_task(service: ServiceUnderTest, instance: dict[str, Any], name: str, count: int = 1) -> None:
    wait_for(lambda: completed(service, instance, name) == count, 60, f"{count} {name}")


def test_writes_go_on_when_who_confirms_them_is_killed(
    service: ServiceUnderTest, dialect: Dialect, pair: dict[str, Any]
) -> None:
    standby = node(service, pair, "slave")
    with Writer(pair) as writer:
        writer.wait_for_one_after(0)
        process_of(service, standby).send(signal.SIGKILL)
        writer.wait_for_one_after(time.monotonic() + 0.1, RESUMED_SECONDS)
        await_task(service, pair, TaskName.REBUILD_STANDBY.on(dialect.engine))
        writer.wait_for_one_after(time.monotonic())
        # It has all that was acknowledged, also while nobody waited for it, and takes over.
        process_of(service, node(service, pair, "master")).send(signal.SIGKILL)
        await_task(service, pair, TaskName.SWITCHOVER.on(dialect.engine))
        writer.wait_for_one_after(time.monotonic())
    assert node(service, pair, "master") == standby
    assert not writer.lost()


def test_a_server_that_does_not_stop_keeps_no_task(service: ServiceUnderTest, pair: dict[str, Any]) -> None:
    """A switchover fails, as nobody knows the last thing that was written; a restart ends it by force."""
    primary = node(service, pair, "master")
    process_of(service, primary).send(signal.SIGSTOP)
    answer = service.call("PUT", f"instances/{pair['id']}/failover", {}, headers=fresh())
    job = service.ended(answer.json()["workflowId"])
    assert (job["status"], node(service, pair, "master")) == ("Failed", primary)
    assert service.instance(pair["id"])["status"] == "ACTIVE"

    hung = process_of(service, primary)
    hung.send(signal.SIGSTOP)
    answer = service.call("POST", f"instances/{pair['id']}/action", {"restart": {}}, headers=fresh())
    service.completed(answer.json()["job_id"])

    assert not hung.is_alive()
    with session(pair) as client:
        assert client.execute("select x from kept") == [(7,)]


def test_a_replica_whose_log_is_gone_or_that_has_what_nobody_has_is_copied_anew(
    service: ServiceUnderTest, dialect: Dialect, pair: dict[str, Any]
) -> None:
    replica = replica_of(service, dialect, pair)
    replica_node = replica["nodes"][0]["id"]
    errant = "create table app.errant as select 1 as x"
    as_superuser(service, pair, replica_node, "set sql_log_bin = 1", "set global read_only = 0", errant)
    process_of(service, replica_node).send(signal.SIGKILL)
    wait_for(
        lambda: not has(dialect, replica, "errant") and has(dialect, replica, "kept"),
        60,
        "the errant table to be gone",
    )

    wait_for(lambda: service.instance(replica["id"])["status"] == "ACTIVE", 60)
    worker = service.child("worker")
    worker.suspend()
    process_of(service, replica_node).send(signal.SIGKILL)
    with session(pair) as client:
        client.execute("create table later as select 8 as x")
    primary = node(service, pair, "master")
    wait_for(lambda: not followed_by(service, pair, primary, replica_node), 30, "its session to end")
    as_superuser(service, pair, primary, "flush binary logs", "flush binary logs")
    as_superuser(service, pair, primary, f"purge binary logs to '{last_log(service, pair, primary)}'")
    worker.resume()

    wait_for(lambda: has(dialect, replica, "later"), 60, "what was written meanwhile")
    wait_for(lambda: service.instance(replica["id"])["status"] == "ACTIVE", 60)
    assert has(dialect, replica, "kept")
    service.delete(replica["id"])


@needs_images
def test_a_volume_that_is_full_in_the_middle_of_a_commit_loses_nothing(dialect: Dialect) -> None:
    """The server waits or dies, as it likes; nobody makes it read-only before."""
    with running_service(**ALL_ENGINES, volumes="xfs", monitor_interval="0.2") as service:
        instance = service.create(dialect)
        folder = service.data_dir / "nodes" / instance["nodes"][0]["id"]
        with session(instance) as client:
            client.execute("create table kept (id int auto_increment primary key, x longblob)")
        worker = service.child("worker")
        worker.suspend()
        take(folder / "filler", free(folder) - 4 * 2**20)
        acknowledged = 0

        def insert() -> None:
            nonlocal acknowledged
            with contextlib.suppress(dialect.Error), session(instance, seconds=5) as client:
                for _ in range(40):
                    client.execute("insert into kept (x) values (repeat('x', 500000))")
                    acknowledged += 1

        inserting = threading.Thread(target=insert)
        inserting.start()
        wait_for(lambda: free(folder) < 2**20 or not inserting.is_alive(), 30)
        worker.resume()

        wait_for(lambda: service.instance(instance["id"])["status"] == "STORAGE FULL", 60)
        inserting.join(60)
        assert not inserting.is_alive() and acknowledged < 40
        wait_for(lambda: has(dialect, instance, "kept"), 30)
        with session(instance) as client, pytest.raises(dialect.Error, match=dialect.read_only):
            client.execute("create table refused (x int)")
        body = {"enlarge_volume": {"size": 60}}
        answer = service.call("POST", f"instances/{instance['id']}/action", body, headers=fresh())
        service.completed(answer.json()["job_id"])

        assert service.instance(instance["id"])["status"] == "ACTIVE"
        with session(instance) as client:
            client.execute("create table accepted (x int)")
            # What was not acknowledged may be there all the same.
            assert client.execute("select count(*) from kept") in ([(acknowledged,)], [(acknowledged + 1,)])


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def take(path: Path, size: int) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def replica_of(service: ServiceUnderTest, dialect: Dialect, primary: dict[str, Any]) -> dict[str, Any]:
    body = {
        "name": "copy",
        "replica_of_id": primary["id"],
        "flavor_ref": dialect.flavor(kind="rr"),
        "volume": {"type": "CLOUDSSD"},
        "availability_zone": "local-1a",
    }
    answer = service.call("POST", "instances", body, headers=fresh())
    assert answer.status_code == 202, answer.text
    service.completed(answer.json()["job_id"])
    return service.instance(answer.json()["instance"]["id"])


def has(dialect: Dialect, instance: dict[str, Any], table: str) -> bool:
    """Not while its server is down, either."""
    with contextlib.suppress(dialect.Error), session(instance, seconds=5) as client:
        return bool(client.execute("select 1 from information_schema.tables where table_name = %s", [table]))
    return False


def as_superuser(
    service: ServiceUnderTest, instance: dict[str, Any], node_id: str, *statements: str
) -> list[dict[str, Any]]:
    """The rows of the last statement, said in a session of the service's own account on a node's server."""
    with psycopg.connect(service.store_dsn) as store:
        found = store.execute("select secret from instance where id = %s", [instance["id"]]).fetchone()
    assert found is not None
    connection = pymysql.connect(
        unix_socket=str(places.socket_root(service.data_dir) / node_id / "server.sock"),
        user=SUPERUSER,
        password=password_of(found[0], SUPERUSER),
        autocommit=True,
        cursorclass=pymysql.cursors.DictCursor,
    )
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def followed_by(service: ServiceUnderTest, instance: dict[str, Any], node_id: str, follower: str) -> bool:
    shown = FOLLOWERS[instance["datastore"]["type"]]
    return follower in {row["Host"] for row in as_superuser(service, instance, node_id, shown)}


def last_log(service: ServiceUnderTest, instance: dict[str, Any], node_id: str) -> str:
    return str(as_superuser(service, instance, node_id, "show binary logs")[-1]["Log_name"])
