"""Servers that live and serve nobody."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from openrds.hosts.processes import RECORD, Process, find
from support.means import needs_forwarding
from support.service import ServiceUnderTest, running_service, wait_for
from support.writer import Writer, connect


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(spare_data_dirs="1", hang_timeout="0.6") as running:
        yield running


def process_of(service: ServiceUnderTest, node_id: str) -> Process:
    process = find(service.data_dir / "nodes" / node_id / RECORD)
    assert process is not None
    return process


def ended_well(service: ServiceUnderTest, instance: dict[str, Any], name: str) -> None:
    """A task of this name was run though nobody asked for it, and the instance is at rest again."""

    def is_over() -> bool:
        tasks = service.get(f"tasklist?instance_id={instance['id']}&name={name}")["tasks"]
        return [task["status"] for task in tasks] == ["Completed"]

    wait_for(is_over, 60, name)
    wait_for(lambda: service.instance(instance["id"])["status"] == "ACTIVE", 60)


def test_a_single_server_that_hangs_is_started_again(service: ServiceUnderTest) -> None:
    instance = service.create(name="single")
    with connect(instance) as client:
        client.execute("create table kept as select 7 as x")
        hung = process_of(service, instance["nodes"][0]["id"])
        hung.send(signal.SIGSTOP)
        ended_well(service, instance, "RestartPostgresqlInstance")

        assert not hung.is_alive()
        with pytest.raises(psycopg.OperationalError):
            client.execute("insert into kept values (8)")
    with connect(instance) as client:
        assert client.execute("select x from kept").fetchall() == [(7,)]
    service.delete(instance["id"])


@needs_forwarding
def test_a_primary_that_hangs_is_replaced_and_comes_back(service: ServiceUnderTest) -> None:
    instance = service.create(
        name="pair",
        flavor_ref="rds.pg.n1.medium.2.ha",
        availability_zone="local-1a,local-1a",
        ha={"mode": "Ha", "replication_mode": "sync"},
    )
    (standby,) = (node["id"] for node in instance["nodes"] if node["role"] == "slave")
    with Writer(instance) as writer:
        writer.wait_for_one_after(0)
        process_of(service, primary_of(service, instance)).send(signal.SIGSTOP)
        ended_well(service, instance, "SwitchoverPostgresqlInstance")
        writer.wait_for_one_after(time.monotonic())
    assert primary_of(service, instance) == standby
    assert not writer.lost()

    # Now the other one, which is the standby.
    (standby,) = (node["id"] for node in instance["nodes"] if node["id"] != standby)
    process_of(service, standby).send(signal.SIGSTOP)
    ended_well(service, instance, "RebuildPostgresqlSlave")
    service.delete(instance["id"])


def primary_of(service: ServiceUnderTest, instance: dict[str, Any]) -> str:
    nodes = service.instance(instance["id"])["nodes"]
    (found,) = (node["id"] for node in nodes if node["role"] == "master")
    return found
