"""Instances with a standby, through the API: made, changed, switched over, and what dies is replaced."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from openrds.domain.capacity import GB
from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.processes import RECORD, find
from openrds.hosts.user import ServerUser
from support.children import child_named
from support.means import WHY_NO_CGROUPS, limits_of
from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.writer import Writer, connect

_CANNOT_PASS_ON = choose_forwarder("auto", Path("/tmp/x"), ServerUser.choose()).refusal

pytestmark = pytest.mark.skipif(bool(_CANNOT_PASS_ON), reason=_CANNOT_PASS_ON)

HA: dict[str, Any] = {
    "flavor_ref": "rds.pg.n1.medium.2.ha",
    "availability_zone": "local-1a,local-1a",
    "ha": {"mode": "Ha", "replication_mode": "sync"},
}


#: Which node has all that is acknowledged.
_CONFIRMING = "select application_name from pg_stat_replication where sync_state in ('sync', 'quorum')"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    """Of their own: the tests kill servers, and look at all tasks."""
    with running_service(spare_data_dirs="0") as running:
        yield running


@pytest.fixture(scope="module")
def answer(service: ServiceUnderTest) -> dict[str, Any]:
    """To the call that made the pair, after one that only asked whether it might."""
    body = service.create_body(name="pair", **HA, dry_run=True)
    assert service.call("POST", "instances", body, headers=fresh()).status_code == 202
    answer = service.call("POST", "instances", {**body, "dry_run": False}, headers=fresh()).json()
    service.completed(answer["job_id"])
    return answer


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest, answer: dict[str, Any]) -> dict[str, Any]:
    return service.instance(answer["instance"]["id"])


def role(service: ServiceUnderTest, instance: dict[str, Any], wanted: str) -> str:
    """The id of the node that has this role now."""
    nodes = service.instance(instance["id"])["nodes"]
    (found,) = (node["id"] for node in nodes if node["role"] == wanted)
    return found


def kill(service: ServiceUnderTest, node_id: str) -> None:
    process = find(service.data_dir / "nodes" / node_id / RECORD)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)


def put(service: ServiceUnderTest, instance: dict[str, Any], path: str, body: Any) -> Any:
    answer = service.call("PUT", f"instances/{instance['id']}/{path}", body, headers=fresh())
    return answer.status_code, answer.json()


def set_mode(service: ServiceUnderTest, instance: dict[str, Any], mode: str) -> None:
    status, answer = put(service, instance, "failover/mode", {"mode": mode})
    assert (status, answer["replicationMode"]) == (200, mode)
    service.completed(answer["workflowId"])
    assert service.instance(instance["id"])["ha"] == {"replication_mode": mode}


def tasks(service: ServiceUnderTest, instance: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return service.get(f"tasklist?instance_id={instance['id']}&name={name}")["tasks"]


def settled(service: ServiceUnderTest, instance: dict[str, Any], name: str, count: int) -> None:
    """So many tasks of this name have ended well, and nothing runs any more."""

    def all_done() -> bool:
        ended = [task for task in tasks(service, instance, name) if task["status"] == "Completed"]
        running = service.get(f"tasklist?instance_id={instance['id']}&status=Running")["total_count"]
        return len(ended) >= count and running == 0

    wait_for(all_done, 60, f"{count} {name}")
    assert service.instance(instance["id"])["status"] == "ACTIVE"


def test_a_pair_is_created(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    assert instance["type"] == "Ha"
    assert instance["ha"] == {"replication_mode": "sync"}
    assert instance["switch_strategy"] == "reliability"
    assert len(instance["private_ips"]) == 1
    assert [node["role"] for node in instance["nodes"]] == ["master", "slave"]
    (task,) = tasks(service, instance, "CreatePostgresqlSingleHAInstance")
    assert task["status"] == "Completed"
    job = service.job(task["id"])
    assert job["entities"]["instance"]["type"] == "Ha"
    assert job["entities"]["instance"]["endpoint"] == f"{instance['private_ips'][0]}:5432"
    with connect(instance) as connection:
        assert connection.execute("select pg_is_in_recovery()").fetchone() == (False,)


def test_the_answer_names_the_mode(answer: dict[str, Any]) -> None:
    assert answer["instance"]["ha"] == {"mode": "Ha", "replication_mode": "sync"}
    assert answer["instance"]["availability_zone"] == "local-1a,local-1a"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"availability_zone": "local-1a"}, "DBS.280244"),
        ({"availability_zone": "local-1a,nowhere"}, "DBS.200025"),
        ({"flavor_ref": "rds.pg.n1.medium.2"}, "DBS.200053"),
        ({"ha": {"mode": "Cluster", "replication_mode": "sync"}}, "DBS.200051"),
        ({"ha": {"mode": "Ha", "replication_mode": "semisync"}}, "DBS.200043"),
        ({"ha": None, "flavor_ref": "rds.pg.n1.medium.2"}, "DBS.280244"),
    ],
)
def test_what_makes_no_pair_is_refused(service: ServiceUnderTest, changes: dict[str, Any], code: str) -> None:
    body = service.create_body(name="no-pair", **{**HA, **changes})
    answer = service.call("POST", "instances", body, headers=fresh())
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


def test_a_switchover_loses_nothing_and_cuts_who_is_connected(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    standby = role(service, instance, "slave")
    before = connect(instance)
    with Writer(instance) as writer:
        writer.wait_for_one_after(0)
        status, answer = put(service, instance, "failover", {})
        assert (status, answer["instanceId"], answer["nodeId"]) == (200, instance["id"], standby)
        job = service.completed(answer["workflowId"])
        writer.wait_for_one_after(time.monotonic())
    assert job["name"] == "SwitchoverPostgresqlInstance"
    assert job["entities"] == {"switch_strategy": "reliability"}
    assert role(service, instance, "master") == standby
    with pytest.raises(psycopg.OperationalError):
        before.execute("create table stray (x int)")
    assert not writer.lost()
    assert service.instance(instance["id"])["private_ips"] == instance["private_ips"]


def test_another_flavor_cuts_writers_off_once_and_loses_nothing(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """Larger and smaller again, with a read replica that is as small as both at first."""
    replica = service.create(
        name="small-copy",
        replica_of_id=instance["id"],
        flavor_ref="rds.pg.n1.medium.2.rr",
        availability_zone="local-1a",
    )
    for flavor, connections, limits in (
        ("rds.pg.n1.large.2.ha", "409", ["200000", str(4 * GB)]),
        ("rds.pg.n1.medium.2.ha", "204", ["100000", str(2 * GB)]),
    ):
        standby = role(service, instance, "slave")
        with Writer(instance) as writer:
            writer.wait_for_one_after(0)
            action = {"resize_flavor": {"spec_code": flavor}}
            answer = service.call("POST", f"instances/{instance['id']}/action", action, headers=fresh())
            assert service.completed(answer.json()["job_id"])["name"] == "ResizePostgresqlFlavor"
            writer.wait_for_one_after(time.monotonic())
        assert writer.connections == 2
        assert not writer.lost()
        assert role(service, instance, "master") == standby
        assert service.instance(instance["id"])["flavor_ref"] == flavor
        with connect(instance) as primary, connect(replica) as copy:
            count = primary.execute("select count(*) from written").fetchone()
            wait_for(lambda c=copy, n=count: c.execute("select count(*) from written").fetchone() == n)
            for connection in (primary, copy):
                assert connection.execute("show max_connections").fetchone() == (connections,)
            (follower,) = primary.execute(_CONFIRMING).fetchall()
        assert follower == (role(service, instance, "slave"),)
        for node in instance["nodes"]:
            assert WHY_NO_CGROUPS or limits_of(node["id"]) == limits
    service.delete(replica["id"])


@pytest.mark.skipif(psutil.virtual_memory().total > 60 * GB, reason="this machine has memory for any flavor")
def test_a_flavor_that_no_server_starts_with_cuts_nobody_off(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    before = service.instance(instance["id"])
    with Writer(instance) as writer:
        writer.wait_for_one_after(0)
        action = {"resize_flavor": {"spec_code": "rds.pg.n1.8xlarge.8.ha"}}
        answer = service.call("POST", f"instances/{instance['id']}/action", action, headers=fresh())
        job = service.ended(answer.json()["job_id"])
        writer.wait_for_one_after(time.monotonic())
    assert job["status"] == "Failed"
    assert job["fail_reason"].startswith("restart standby failed: ")
    assert writer.connections == 1
    after = service.instance(instance["id"])
    # The writer goes on.
    assert after == {**before, **{name: after[name] for name in ("updated", "storage_used_space")}}


def test_a_killed_primary_is_replaced_and_comes_back(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    name = "SwitchoverPostgresqlInstance"
    before = len(tasks(service, instance, name))
    old, new = role(service, instance, "master"), role(service, instance, "slave")
    with Writer(instance) as writer:
        writer.wait_for_one_after(0)
        kill(service, old)
        writer.wait_for_one_after(time.monotonic())
        settled(service, instance, name, before + 1)
        writer.wait_for_one_after(time.monotonic())
    assert (role(service, instance, "master"), role(service, instance, "slave")) == (new, old)
    assert not writer.lost()


def test_a_killed_standby_is_brought_back_and_writes_go_on(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    standby = role(service, instance, "slave")
    with Writer(instance) as writer:
        writer.wait_for_one_after(0)
        kill(service, standby)
        settled(service, instance, "RebuildPostgresqlSlave", 1)
        writer.wait_for_one_after(time.monotonic())
    assert not writer.lost()
    # It confirms again, so that it may take over again.
    kill(service, role(service, instance, "master"))
    wait_for(lambda: role(service, instance, "master") == standby, 30, "the standby's turn")
    settled(service, instance, "SwitchoverPostgresqlInstance", 1)
    assert not writer.lost()


def test_a_switchover_to_a_standby_that_hangs_fails_and_the_primary_serves(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    primary, standby = role(service, instance, "master"), role(service, instance, "slave")
    receiver = find(service.data_dir / "nodes" / standby / RECORD)
    assert receiver is not None
    set_mode(service, instance, "async")
    os.kill(receiver.pid, signal.SIGSTOP)
    try:
        status, answer = put(service, instance, "failover", {})
        assert status == 200
        job = service.ended(answer["workflowId"])
    finally:
        os.kill(receiver.pid, signal.SIGCONT)
    assert job["status"] == "Failed"
    assert "standby" in job["fail_reason"]
    assert role(service, instance, "master") == primary
    assert service.instance(instance["id"])["status"] == "ACTIVE"
    with connect(instance) as connection:
        connection.execute("create table still_serving (x int)")


def test_what_an_asynchronous_primary_wrote_last_is_rescued(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """The standby hears of nothing for a while, in which more is written than the network holds back."""
    set_mode(service, instance, "async")
    primary, standby = role(service, instance, "master"), role(service, instance, "slave")
    server = find(service.data_dir / "nodes" / standby / RECORD)
    assert server is not None
    receiver = child_named(server.pid, "walreceiver")
    before = len(tasks(service, instance, "SwitchoverPostgresqlInstance"))
    receiver.suspend()
    try:
        with connect(instance) as connection:
            connection.execute("create table late as select repeat('x', 500) from generate_series(1, 100000)")
        kill(service, primary)
    finally:
        receiver.resume()
    wait_for(lambda: role(service, instance, "master") == standby, 60, "the standby's turn")
    settled(service, instance, "SwitchoverPostgresqlInstance", 1)
    assert len(tasks(service, instance, "SwitchoverPostgresqlInstance")) == before + 1
    with connect(instance) as connection:
        assert connection.execute("select count(*) from late").fetchone() == (100000,)


def test_a_switchover_may_be_forced(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    standby = role(service, instance, "slave")
    _, answer = put(service, instance, "failover", {"force": True})
    service.completed(answer["workflowId"])
    assert role(service, instance, "master") == standby


def test_mode_and_strategy_are_changed(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    for mode in ("async", "sync"):
        set_mode(service, instance, mode)
    assert put(service, instance, "failover/strategy", {"repairStrategy": "availability"}) == (200, {})
    assert service.instance(instance["id"])["switch_strategy"] == "availability"
    for path, body, code in (
        ("failover/mode", {"mode": "semisync"}, "DBS.200043"),
        ("failover/strategy", {"repairStrategy": "luck"}, "DBS.200001"),
    ):
        status, answer = put(service, instance, path, body)
        assert (status, answer["error_code"]) == (400, code)


def test_both_nodes_restart(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    begun = [find(service.data_dir / "nodes" / node["id"] / RECORD) for node in instance["nodes"]]
    answer = service.call("POST", f"instances/{instance['id']}/action", {"restart": {}}, headers=fresh())
    service.completed(answer.json()["job_id"])
    now = [find(service.data_dir / "nodes" / node["id"] / RECORD) for node in instance["nodes"]]
    assert all(now)
    assert not set(begun) & set(now)
    with connect(instance) as connection:
        connection.execute("create table after_restart (x int)")


def test_a_service_that_was_down_brings_both_back(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    before = len(tasks(service, instance, "RestartPostgresqlInstance"))
    assert service.down().returncode == 0
    service.start()
    wait_for(lambda: service.instance(instance["id"])["status"] == "ACTIVE", 60)

    def serves() -> bool:
        try:
            with connect(instance) as connection:
                connection.execute("create table if not exists back (x int)")
        except psycopg.Error:
            return False
        return True

    wait_for(serves, 60, "the endpoint's answer")
    settled(service, instance, "RestartPostgresqlInstance", before + 1)


def test_a_single_instance_gets_a_standby_while_it_serves(service: ServiceUnderTest) -> None:
    single = service.create(name="alone")
    check_refusals_without_standby(service, single)
    with Writer(single) as writer:
        writer.wait_for_one_after(0)
        with connect(single) as connection:
            started = connection.execute("select pg_postmaster_start_time()").fetchone()
            body = {"single_to_ha": {"az_code_new_node": "local-1a"}}
            answer = service.call("POST", f"instances/{single['id']}/action", body, headers=fresh())
            assert answer.status_code == 202, answer.text
            job = service.completed(answer.json()["job_id"])
            assert connection.execute("select pg_postmaster_start_time()").fetchone() == started
    assert job["name"] == "ModifyPostgresqlSingleToHAInstance"
    assert job["entities"]["instance"]["type"] == "Ha"
    pair = service.instance(single["id"])
    assert (pair["type"], pair["flavor_ref"]) == ("Ha", "rds.pg.n1.medium.2.ha")
    assert pair["private_ips"] == single["private_ips"]
    assert pair["ha"] == {"replication_mode": "async"}
    answer = service.call("POST", f"instances/{single['id']}/action", body, headers=fresh())
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.280406")
    # From now on the endpoint is passed on, since the one that listens there becomes the standby.
    _, answer = put(service, pair, "failover", {})
    service.completed(answer["workflowId"])
    assert not writer.lost()
    service.delete(single["id"])


def check_refusals_without_standby(service: ServiceUnderTest, single: dict[str, Any]) -> None:
    for path, body in (
        ("failover", {}),
        ("failover/mode", {"mode": "sync"}),
        ("failover/strategy", {"repairStrategy": "availability"}),
    ):
        status, answer = put(service, single, path, body)
        assert (status, answer["error_code"]) == (409, "DBS.280406")
    nowhere = {"single_to_ha": {"az_code_new_node": "nowhere"}}
    answer = service.call("POST", f"instances/{single['id']}/action", nowhere, headers=fresh())
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200025")
