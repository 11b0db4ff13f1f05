"""Restores of instances with a standby and read replicas, through the API."""

import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from openrds.hosts.processes import RECORD, find
from support.backups import (
    back_up,
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
from support.children import child_named
from support.means import needs_forwarding
from support.service import ServiceUnderTest, fresh, wait_for
from support.writer import connect

pytestmark = [pytest.mark.xdist_group("backups"), needs_forwarding]

HA: dict[str, Any] = {
    "flavor_ref": "rds.pg.n1.medium.2.ha",
    "availability_zone": "local-1a,local-1a",
    "ha": {"mode": "Ha", "replication_mode": "sync"},
}


@pytest.fixture(scope="module")
def service(backup_service: ServiceUnderTest) -> ServiceUnderTest:
    return backup_service


@pytest.fixture(scope="module")
def pair(service: ServiceUnderTest) -> dict[str, Any]:
    created = service.create(name="pair", **HA)
    back_up(service, created["id"], "of-the-pair")
    return created


class Death(NamedTuple):
    """Of a primary: `moment` is one before it, in milliseconds, and `log` where the log of that moment is archived."""

    moment: int
    log: Path


@pytest.fixture(scope="module")
def death(service: ServiceUnderTest, pair: dict[str, Any]) -> Death:
    """The primary of the pair is killed, has not archived its latest log, and is replaced by its standby."""
    primary = nodes(service, pair)["master"]
    server = find(service.data_dir / "nodes" / primary / RECORD)
    assert server is not None
    child_named(server.pid, "archiver").suspend()
    with connect(pair) as connection:
        connection.execute("create table orders as select generate_series(1, 100) as id")
        moment = between_commits()
        connection.execute("delete from orders")
    with service.superuser(primary, pair["port"]) as connection:
        ((segment,),) = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchall()
        # The standby, when it is a primary, archives the latest one that it has.
        connection.execute("create table filler as select pg_switch_wal()")
        connection.execute("drop table filler")
        connection.execute("select pg_switch_wal()")
    log = folder(service, pair["id"]) / "wal" / segment
    assert not log.exists()
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: nodes(service, pair)["slave"] == primary, 60, "the standby's turn")
    wait_for(lambda: service.instance(pair["id"])["status"] == "ACTIVE", 60)
    assert log.exists()
    return Death(moment, log)


def nodes(service: ServiceUnderTest, pair: dict[str, Any]) -> dict[str, str]:
    """The ids of the nodes by their roles."""
    return {node["role"]: node["id"] for node in service.instance(pair["id"])["nodes"]}


def between_commits() -> int:
    time.sleep(0.01)
    moment = now()
    time.sleep(0.01)
    return moment


def test_the_log_goes_on_over_the_death_of_a_primary(
    service: ServiceUnderTest, pair: dict[str, Any], death: Death
) -> None:
    with connect(pair) as connection:
        connection.execute("insert into orders select generate_series(1, 200)")
        after_death = between_commits()
        connection.execute("delete from orders")
    job = restore_tables(service, tables_of(pair["id"], after_death, ("orders", "orders_after")))
    assert job["status"] == "Completed", job
    assert (rows(pair, "orders_after"), rows(pair, "orders")) == (200, 0)


@pytest.fixture(scope="module")
def restored(service: ServiceUnderTest, pair: dict[str, Any], death: Death) -> dict[str, Any]:
    """A new pair, as the first was before its primary died."""
    point = {"instance_id": pair["id"], "type": "timestamp", "restore_time": death.moment}
    return restored_to_new(service, "pair-again", point, password=None, **HA)


def test_a_moment_is_restored_to_a_new_pair(service: ServiceUnderTest, restored: dict[str, Any]) -> None:
    assert (restored["type"], restored["ha"]) == ("Ha", {"replication_mode": "sync"})
    assert set(nodes(service, restored)) == {"master", "slave"}
    assert rows(restored, "orders") == 100
    nothing_left_over(service)


def test_moments_that_lost_log_leads_to_are_claimed_no_more(
    service: ServiceUnderTest, pair: dict[str, Any], restored: dict[str, Any], death: Death
) -> None:
    back_up(service, pair["id"], "after-the-change")
    times = f"instances/{pair['id']}/restore-time"
    begin = service.get(times)["restore_time"][0]["start_time"]
    death.log.unlink()
    answer = service.call("POST", f"instances/{pair['id']}/action", {"restart": {}}, headers=fresh())
    service.completed(answer.json()["job_id"])
    (range_,) = service.get(times)["restore_time"]
    assert range_["start_time"] > begin, "it begins with the second backup"
    body = {"instances": [tables_of(pair["id"], begin, ("orders", "orders_never"))]}
    assert refusal(service, "POST", "instances/batch/restore/tables", body)[:2] == (400, "DBS.200001")


def test_a_backup_is_restored_onto_a_pair_with_a_replica(
    service: ServiceUnderTest, pair: dict[str, Any], restored: dict[str, Any]
) -> None:
    body = {
        "name": "replica-of-pair",
        "replica_of_id": pair["id"],
        "flavor_ref": "rds.pg.n1.medium.2.rr",
        "volume": {"type": "CLOUDSSD"},
        "availability_zone": "local-1a",
    }
    answer = post(service, "instances", body, status=202)
    service.completed(answer["job_id"])
    replica = service.instance(answer["instance"]["id"])
    backup = back_up(service, restored["id"], "of-the-restored-pair")
    source = {"instance_id": restored["id"], "backup_id": backup["id"]}
    wrong = {"source": source, "target": {"instance_id": replica["id"]}}
    assert refusal(service, "POST", "instances/recovery", wrong)[:2] == (409, "DBS.280406")

    body = {"source": source, "target": {"instance_id": pair["id"]}}
    answer = post(service, "instances/recovery", body)
    assert service.instance(replica["id"])["status"] in ("RESTORING", "ACTIVE")
    service.completed(answer["job_id"], 120)
    assert rows(pair, "orders") == rows(replica, "orders") == 100
    assert {service.instance(one["id"])["status"] for one in (pair, replica)} == {"ACTIVE"}
    nothing_left_over(service)

    answer = service.call("PUT", f"instances/{pair['id']}/failover", {}, headers=fresh())
    service.completed(answer.json()["workflowId"])
    with connect(pair) as connection:
        connection.execute("insert into orders values (101)")
    wait_for(lambda: rows(replica, "orders") == 101, 30, "the replica to follow the new primary")
    for instance in (pair, restored):
        service.delete(instance["id"])
