"""Scheduled events, over a change of roles: a follower runs none, and what it gets from its upstream says no more
whether they were to run there. So a primary notes which were not, in a table that its followers get too.

One that was promoted and could not have them run says so in a file, until it has: what rests on it meanwhile is not
what its clients let rest.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from openrds.engines.binlog.sessions import (
    Connection,
    ended_after,
    escaped,
    execute,
    named,
    rows,
    scalar,
    session,
)
from openrds.engines.protocol import NodeSpec

_NOTED = "SELECT place, name FROM mysql.openrds_resting_events"
_FORGET = "DELETE FROM mysql.openrds_resting_events"
_NOTE = "INSERT INTO mysql.openrds_resting_events VALUES (%s, %s)"
_MAKE_NOTES = (
    "CREATE TABLE IF NOT EXISTS mysql.openrds_resting_events "
    "(place VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL, PRIMARY KEY (place, name)) "
    "ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
)
_HAS_NOTES = (
    "SELECT 1 FROM information_schema.tables "
    "WHERE table_schema = 'mysql' AND table_name = 'openrds_resting_events'"
)
_EVENTS = (
    "SELECT event_schema AS place, event_name AS name, definer AS definer, status AS status "
    "FROM information_schema.events WHERE status <> 'ENABLED' ORDER BY 1, 2"
)
#: In the data directory, as what is said of its role.
_PUT_OFF = "openrds.events-put-off"
#: Seconds, as a commit may wait for a standby that is away.
_NOTING_SECONDS = 5.0
#: `SLAVESIDE_DISABLED`, in newer versions `REPLICA_SIDE_DISABLED`: those that a follower got from its upstream.
_OF_FOLLOWERS = "SIDE"


class _Resting(NamedTuple):
    place: str
    name: str


def note(node: NodeSpec) -> None:
    """
    Note which events of a primary are not to run. Nothing is written where that has not changed.

    Raises:
        EngineError: it does not answer, or takes no writes.
    """
    with session(node) as connection:
        resting = {_Resting(row["place"], row["name"]) for row in rows(connection, _EVENTS)}
        if resting == _noted(connection):
            return
    with ended_after(node, _NOTING_SECONDS) as connection:
        execute(connection, _MAKE_NOTES)
        with _transaction(connection):
            execute(connection, _FORGET)
            for one in sorted(resting):
                execute(connection, _NOTE, *one)


def wake(node: NodeSpec) -> None:
    """
    Have the events run that ran on the server whose place this one took; they stay their definers'.

    Raises:
        EngineError: it does not answer, or takes no writes.
    """
    with session(node, logged=True) as connection:
        resting = _noted(connection)
        for row in rows(connection, _EVENTS):
            if _OF_FOLLOWERS not in row["status"]:
                continue
            word = "DISABLE" if _Resting(row["place"], row["name"]) in resting else "ENABLE"
            user, _, host = row["definer"].rpartition("@")
            definer = f"{escaped(connection, user)}@{escaped(connection, host)}"
            execute(connection, f"ALTER DEFINER = {definer} EVENT {named(row['place'], row['name'])} {word}")
    with node.user.acting():
        _mark(node).unlink(missing_ok=True)


def put_off(node: NodeSpec) -> None:
    """Say that the events of a new primary do not run yet."""
    node.user.write(_mark(node), "", drafts=node.folder)


def is_put_off(node: NodeSpec) -> bool:
    with node.user.acting():
        return _mark(node).is_file()


def _mark(node: NodeSpec) -> Path:
    return node.data_dir / _PUT_OFF


def _noted(connection: Connection) -> set[_Resting]:
    if not scalar(connection, _HAS_NOTES):
        return set()
    return {_Resting(row["place"], row["name"]) for row in rows(connection, _NOTED)}


@contextlib.contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    execute(connection, "START TRANSACTION")
    yield
    execute(connection, "COMMIT")
