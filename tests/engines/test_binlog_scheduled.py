"""Scheduled events of MySQL and MariaDB over a change of roles: they run where the primary is, and nowhere else."""

from dataclasses import replace

import pytest

from openrds.engines.binlog.sessions import rows, session

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("MariaDB", "MySQL")]

EVENTS = """
CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01 00:00:00' DO SELECT 'a' || 'b';
CREATE EVENT `odd näme` ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01 00:00:00' DO SELECT 1;
CREATE EVENT resting ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01 00:00:00' DISABLE DO SELECT 1
"""


def events(server):
    with session(server.node) as connection:
        found = rows(
            connection,
            "SELECT event_name AS name, status AS status, definer AS definer, sql_mode AS sql_mode, "
            "event_definition AS body FROM information_schema.events WHERE event_schema = 'app'",
        )
    return {row["name"]: row for row in found}


def statuses(server):
    return {name: row["status"] for name, row in events(server).items()}


def test_events_run_where_the_primary_is_and_those_that_rested_rest(trial, eventually):
    one = trial.started()
    two = trial.standby_of(one)
    with trial.client(one) as client:
        client.execute("USE app")
        client.execute("SET sql_mode = 'ANSI'")
        for statement in EVENTS.strip().split(";\n"):
            client.execute(statement)
    one.replication.prepare_successor()
    before = events(one)
    assert statuses(one) == {"hourly": "ENABLED", "odd näme": "ENABLED", "resting": "DISABLED"}

    for old, new in ((one, two), (two, one)):
        new.replication.await_position(old.replication.demote(), 30)
        new.replication.promote()
        new.replication.take_up()
        old.node, new.node = (
            replace(old.node, upstream=new.node.as_upstream(is_equal=True)),
            replace(new.node, upstream=None),
        )
        trial.engine.server(old.node).replication.rejoin()

        assert events(new) == before
        eventually(lambda old=old: "ENABLED" not in statuses(old).values())


@pytest.mark.of_engines("MariaDB")
def test_events_of_a_primary_without_room_run_once_there_is_some(trial):
    """What has to wait until then is not taken for what rests."""
    one = trial.started()
    two = trial.standby_of(one)
    with trial.client(one) as client:
        for statement in EVENTS.strip().split(";\n"):
            client.execute(statement.replace("'a' || 'b'", "1"))
    one.replication.prepare_successor()
    expected = statuses(one)
    two.node = replace(two.node, read_only=True)
    two.replication.await_position(one.replication.demote(), 30)
    two.replication.promote()
    two.replication.take_up()
    two.node = replace(two.node, upstream=None)
    for _ in range(2):
        two.replication.prepare_successor()
    assert "ENABLED" not in statuses(two).values()

    two.set_read_only(False)

    assert statuses(two) == expected
    two.replication.prepare_successor()
    three = trial.standby_of(two)
    three.replication.await_position(two.replication.demote(), 30)
    three.replication.promote()
    three.replication.take_up()
    assert statuses(three) == expected
