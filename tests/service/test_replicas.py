"""Read replicas, through the API: they follow their primary, answer queries, and go with it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psutil
import psycopg
import pytest
from test_instances import connect

from openrds.hosts.addresses import is_answering
from openrds.hosts.processes import RECORD, Process, find
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service, wait_for

FLAVOR = "rds.pg.n1.medium.2.rr"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service() as running:
        yield running


@pytest.fixture(scope="module")
def primary(service: ServiceUnderTest) -> dict[str, Any]:
    created = service.create(name="replicated", flavor_ref="rds.pg.n1.medium.4")
    with connect(created) as connection:
        connection.execute("create table orders as select generate_series(1, 1000) as id")
    return created


def body(primary_id: str, **changes: Any) -> dict[str, Any]:
    """As Terraform sends it: without a size, and without what is the primary's."""
    fields = {
        "name": "copy",
        "replica_of_id": primary_id,
        "flavor_ref": FLAVOR,
        "volume": {"type": "CLOUDSSD"},
        "availability_zone": "local-1a",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def replicate(service: ServiceUnderTest, primary_id: str, **changes: Any) -> dict[str, Any]:
    answer = service.call("POST", "instances", body(primary_id, **changes), headers=fresh())
    assert answer.status_code == 202, answer.text
    job = service.completed(answer.json()["job_id"])
    assert job["name"] == "CreatePostgresqlReplicaInstance"
    assert job["entities"]["instance"]["replica_of"] == primary_id
    return service.instance(answer.json()["instance"]["id"])


@pytest.fixture(scope="module")
def replica(service: ServiceUnderTest, primary: dict[str, Any]) -> dict[str, Any]:
    return replicate(service, primary["id"])


def count(instance: dict[str, Any]) -> int:
    with connect(instance) as connection:
        return connection.execute("select count(*) from orders").fetchone()[0]


def test_a_replica_has_what_its_primary_has(
    service: ServiceUnderTest, primary: dict[str, Any], replica: dict[str, Any]
) -> None:
    assert (replica["type"], replica["status"]) == ("Replica", "ACTIVE")
    assert replica["datastore"] == primary["datastore"]
    assert replica["volume"]["size"] == primary["volume"]["size"]
    assert replica["related_instance"] == [{"id": primary["id"], "type": "replica_of"}]
    assert [node["role"] for node in replica["nodes"]] == ["readreplica"]
    related = service.instance(primary["id"])["related_instance"]
    assert related == [{"id": replica["id"], "type": "replica"}]
    assert replica["private_ips"] != primary["private_ips"]


def test_it_follows_and_refuses_to_write(primary: dict[str, Any], replica: dict[str, Any]) -> None:
    with connect(primary) as connection:
        connection.execute("insert into orders select generate_series(1001, 2000)")
    wait_for(lambda: count(replica) == count(primary), what="the replica to catch up")
    with connect(replica) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("insert into orders values (0)")


def test_its_lag_is_visible(
    service: ServiceUnderTest, primary: dict[str, Any], replica: dict[str, Any]
) -> None:
    for instance in (primary, replica):
        status = wait_for(
            lambda instance=instance: normal(service, instance["id"]), 30, "the followers to be looked at"
        )
        (node,) = status["nodes"]
        assert (node["instance_id"], node["role"]) == (replica["id"], "readreplica")
        assert node["streaming"] and node["seen_at"] and node["lag_bytes"] >= 0


def normal(service: ServiceUnderTest, instance_id: str) -> dict[str, Any] | None:
    status = service.get(f"instances/{instance_id}/replication/status")
    return status if status["replication_status"] == "normal" else None


def test_a_replica_that_died_comes_back_and_catches_up(
    service: ServiceUnderTest, primary: dict[str, Any], replica: dict[str, Any]
) -> None:
    process = find(service.data_dir / "nodes" / replica["nodes"][0]["id"] / RECORD)
    assert process is not None
    process.send(9)
    with connect(primary) as connection:
        connection.execute("insert into orders select generate_series(2001, 3000)")

    def caught_up() -> bool:
        try:
            return count(replica) == count(primary)
        except psycopg.OperationalError:
            return False

    wait_for(caught_up, 40, "the replica to be restarted")
    wait_for(lambda: service.instance(replica["id"])["status"] == "ACTIVE")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"replica_of_id": "0" * 32 + "in03"}, 404, "DBS.200002"),
        ({"replica_of_id": "nonsense"}, 400, "DBS.280404"),
        ({"flavor_ref": "rds.pg.n1.medium.2"}, 400, "DBS.200053"),
        ({"name": "1"}, 400, "DBS.200021"),
        ({"availability_zone": "mars"}, 400, "DBS.200025"),
        ({"volume": {"type": "FLOPPY"}}, 400, "DBS.200026"),
        ({"region": "elsewhere"}, 400, "DBS.200024"),
    ],
)
def test_what_is_refused(
    service: ServiceUnderTest, primary: dict[str, Any], changes: dict[str, Any], status: int, code: str
) -> None:
    answer = service.call("POST", "instances", body(primary["id"], **changes), headers=fresh())
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text


def test_what_a_replica_cannot_do(service: ServiceUnderTest, replica: dict[str, Any]) -> None:
    answer = service.call("POST", "instances", body(replica["id"]), headers=fresh())
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200055")
    answer = service.call(
        "POST", f"instances/{replica['id']}/password", {"db_user_pwd": PASSWORD}, headers=fresh()
    )
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.280406")
    policy = {"keep_days": 3, "start_time": "02:00-03:00", "period": "1"}
    answer = service.call("PUT", f"instances/{replica['id']}/backups/policy", {"backup_policy": policy})
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.280406")


def test_a_replica_allows_as_many_connections_as_its_primary(
    service: ServiceUnderTest, primary: dict[str, Any], replica: dict[str, Any]
) -> None:
    values = {"values": {"max_connections": "20"}}
    answer = service.call("PUT", f"instances/{replica['id']}/configurations", values, headers=fresh())
    assert answer.json() == {"restart_required": True}
    answer = service.call("POST", f"instances/{replica['id']}/action", {"restart": {}}, headers=fresh())
    service.completed(answer.json()["job_id"])
    with connect(replica) as connection:
        (in_force,) = connection.execute("SHOW max_connections").fetchone()
    for one in (primary, replica):
        assert service.get(f"instances/{one['id']}/parameter/max_connections")["value"] == in_force


def test_a_primary_lets_go_of_a_deleted_replica_and_takes_the_others_with_it(
    service: ServiceUnderTest,
) -> None:
    primary = service.create(name="short-lived")
    first, second = (replicate(service, primary["id"], name=f"copy-{number}") for number in range(2))

    service.delete(first["id"])
    related = service.instance(primary["id"])["related_instance"]
    assert [one["id"] for one in related] == [second["id"]]
    with connect(primary) as connection:
        slots = connection.execute("select slot_name from pg_replication_slots").fetchall()
    assert [second["nodes"][0]["id"] in name for (name,) in slots] == [True]

    service.delete(primary["id"])
    assert service.get(f"instances?id={second['id']}")["instances"] == []
    nodes = service.data_dir / "nodes"
    assert not [
        node for one in (primary, first, second) for node in one["nodes"] if (nodes / node["id"]).exists()
    ]
    with pytest.raises(psycopg.OperationalError):
        connect(second)


def test_a_replica_that_lost_touch_is_made_to_follow_again(
    service: ServiceUnderTest, primary: dict[str, Any], replica: dict[str, Any]
) -> None:
    """Its place in the primary's log is gone, with what it would still need of it."""
    node = replica["nodes"][0]["id"]
    process = find(service.data_dir / "nodes" / node / RECORD)
    assert process is not None
    primary_node = primary["nodes"][0]["id"]
    with service.superuser(primary_node, primary["port"]) as connection, held_still(process):
        connection.execute("select pg_terminate_backend(pid) from pg_stat_replication")
        drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active"
        wait_for(lambda: connection.execute(drop).rowcount, what="its slot to be free")
    with connect(primary) as connection:
        connection.execute("insert into orders select generate_series(3001, 4000)")
    wait_for(lambda: replica_count(replica) == count(primary), 60, "the replica to follow again")
    tasks = service.get(f"tasklist?instance_id={replica['id']}")["tasks"]
    assert "RebuildPostgresqlSlave" in {task["name"] for task in tasks}


def test_it_follows_its_primary_to_another_port_and_stops_and_starts_with_it(
    service: ServiceUnderTest, primary: dict[str, Any], replica: dict[str, Any]
) -> None:
    answer = service.call("PUT", f"instances/{primary['id']}/port", {"port": 5433}, headers=fresh())
    service.completed(answer.json()["workflowId"])
    primary = service.instance(primary["id"])
    write_and_wait(primary, replica)

    for what, status in (("shutdown", "SHUTDOWN"), ("startup", "ACTIVE")):
        answer = service.call("POST", f"instances/{replica['id']}/action/{what}", headers=fresh())
        assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.280406")
        assert primary["id"] in answer.json()["error_msg"]
        answer = service.call("POST", f"instances/{primary['id']}/action/{what}", headers=fresh())
        service.completed(answer.json()["job_id"])
        for one in (primary, replica):
            wait_for(lambda i=one, s=status: service.instance(i["id"])["status"] == s, what=status)
            assert is_answering(one["private_ips"][0], one["port"]) == (status == "ACTIVE")
            if status == "SHUTDOWN":
                seen = service.get(f"instances/{one['id']}/replication/status")
                assert (seen["replication_status"], seen["nodes"][0]["streaming"]) == ("abnormal", False)
                assert seen["abnormal_reason"].endswith("the instance is SHUTDOWN")
    write_and_wait(primary, replica)


def write_and_wait(primary: dict[str, Any], replica: dict[str, Any]) -> None:
    with connect(primary) as connection:
        connection.execute("insert into orders values (0)")
    wait_for(lambda: replica_count(replica) == count(primary), 60, "the replica to have it")


def replica_count(replica: dict[str, Any]) -> int:
    try:
        return count(replica)
    except psycopg.OperationalError:
        return -1


@contextlib.contextmanager
def held_still(server: Process) -> Iterator[None]:
    """A server whose processes do not run for a while."""
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            process.resume()
