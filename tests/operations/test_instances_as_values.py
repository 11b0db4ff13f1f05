"""Instances and nodes come back from the store as they were written, whichever statement brings them."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from openrds.domain.instance import (
    Confirmation,
    InstanceStatus,
    InstanceType,
    NodeRole,
    SwitchStrategy,
    Wanted,
)
from openrds.domain.instance_values import InstanceSpec, Seen
from openrds.store.database import Writer
from openrds.store.instances import (
    find_instance,
    insert_instance,
    insert_node,
    lock_free_instance,
    lock_instance,
    nodes_of,
    roster_of,
)
from support.instances import an_instance
from support.workbench import Workbench


def a_spec(bench: Workbench, **changes: object) -> InstanceSpec:
    like = an_instance(project_id=bench.project_id, **changes)
    return InstanceSpec(**{field: getattr(like, field) for field in InstanceSpec.__struct_fields__})


@contextmanager
def rolled_back(bench: Workbench) -> Iterator[Writer]:
    with bench.store.transaction() as connection, connection.transaction(force_rollback=True):
        yield connection


def test_an_instance_is_what_was_written_and_what_came_of_it(workbench: Workbench) -> None:
    spec = a_spec(
        workbench,
        type=InstanceType.HA,
        replication_mode="sync",
        switch_strategy=SwitchStrategy.RELIABILITY,
        tags={"b": "2", "a": ""},
        options={"character_set": "utf8mb4"},
        secret="of the family",
    )
    with rolled_back(workbench) as connection:
        insert_instance(connection, spec)
        found = find_instance(connection, spec.id)
        assert found is not None
        assert msgspec.structs.asdict(spec).items() <= msgspec.structs.asdict(found).items()
        assert list(found.tags) == ["b", "a"]
        assert (found.status, found.wanted, found.address) == (InstanceStatus.BUILD, Wanted.SERVING, None)
        assert lock_instance(connection, spec.id, workbench.project_id) == found
        assert lock_instance(connection, spec.id, "another project's") is None
        assert lock_free_instance(connection, spec.id) == found


def test_a_single_instance_has_no_strategy(workbench: Workbench) -> None:
    spec = a_spec(workbench)
    with rolled_back(workbench) as connection:
        insert_instance(connection, spec)
        found = find_instance(connection, spec.id)
        assert found is not None
        assert (found.switch_strategy, found.replication_mode, found.replica_of) == (None, None, None)


def test_a_node_is_the_same_by_itself_and_in_the_roster(workbench: Workbench) -> None:
    spec, host = a_spec(workbench), workbench.resources.host.name
    with rolled_back(workbench) as connection:
        insert_instance(connection, spec)
        insert_node(connection, "n2", spec.id, "db_node1", NodeRole.SLAVE, host, "local-1b")
        insert_node(connection, "n1", spec.id, "db_node0", NodeRole.MASTER, host, "local-1a")
        connection.execute(
            b"""update node set address = '127.0.0.9', confirmation = 'asked', used_bytes = 5,
                                replication = '{"streaming": true, "lag_seconds": 1}' where id = 'n2'"""
        )
        connection.execute(
            b"insert into public_address (address, instance_id, bound) values ('198.51.100.9', %s, true)",
            [spec.id],
        )
        primary, standby = nodes_of(connection, spec.id)
        assert (primary.id, primary.role, primary.address) == ("n1", NodeRole.MASTER, None)
        assert (standby.address, standby.public_address) == ("127.0.0.9", "198.51.100.9")
        assert (standby.confirmation, standby.used_bytes) == (Confirmation.ASKED, 5)
        assert standby.replication == Seen(streaming=True, lag_seconds=1.0)

        (one,) = roster_of(connection, host, [spec.id])
        assert one.instance == find_instance(connection, spec.id)
        assert one.nodes == (primary, standby)
        assert one.free
        assert roster_of(connection, "another host", None) == []


def test_what_the_store_cannot_mean_is_refused(workbench: Workbench) -> None:
    spec = a_spec(workbench)
    with rolled_back(workbench) as connection:
        insert_instance(connection, spec)
        connection.execute(b"update instance set status = 'FINE' where id = %s", [spec.id])
        with pytest.raises(msgspec.ValidationError, match="FINE"):
            find_instance(connection, spec.id)


def test_nothing_secret_is_in_a_log() -> None:
    assert "hidden" not in f"{an_instance(secret='hidden')!r}"
