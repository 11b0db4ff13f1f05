"""Tasks are served for a month. Then the floor passes them, and a week of them that is below it is dropped."""

import datetime as dt
import logging

import psycopg
from psycopg import sql

from openrds.domain.task import RETENTION, lowest_id_at
from openrds.store.database import Store
from openrds.store.queries import Queries
from openrds.tasks.counting import add_changes

logger = logging.getLogger(__name__)

_sql = Queries("tasks")

#: Tasks that the floor passes in one step. Nobody can change a task meanwhile.
_STRIDE = 1_000_000
#: A lock that stops others is waited for only this long, and tried again in the next round, in milliseconds.
_LOCK_TIMEOUT = 20
#: For how long ahead there are partitions.
_AHEAD = dt.timedelta(weeks=4)


def forget_expired(store: Store, now: dt.datetime | None = None) -> None:
    """Stop to serve what is older than a month, and drop what nobody needs any more."""
    moment = now or dt.datetime.now(dt.UTC)
    try:
        _raise_floor(store, moment - RETENTION)
        for name in _passed_partitions(store):
            _drop_partition(store, name)
    except psycopg.errors.LockNotAvailable:
        logger.debug("others are at work on the tasks; expired ones are forgotten in the next round")


def prepare_partitions(store: Store) -> None:
    """Have a partition for every task that is accepted during the next weeks."""
    store.rows(_sql.create_partitions, {"ahead": _AHEAD})


def _raise_floor(store: Store, moment: dt.datetime) -> None:
    oldest = lowest_id_at(moment)
    while True:
        # What is counted already is passed by the block, not one by one.
        add_changes(store)
        rows = store.rows(_sql.tasks_from_floor, {"oldest": oldest, "tasks": _STRIDE})
        with store.transaction() as connection:
            _limit_waiting(connection)
            connection.execute(_sql.raise_floor, [rows[0]["id"] if rows else oldest])
        if not rows:
            return


def _passed_partitions(store: Store) -> list[str]:
    return [row["name"] for row in store.rows(_sql.passed_partitions)]


def _drop_partition(store: Store, name: str) -> None:
    """Drop a week of tasks, unless one of them still runs.

    It is detached first: that stops readers of the table, so it gives way to them; to remove the files takes longer,
    and stops nobody.
    """
    partition = sql.Identifier(name)
    with store.transaction() as connection:
        _limit_waiting(connection)
        running = sql.SQL("select from {} where status = 'Running' limit 1").format(partition)
        if connection.execute(running).fetchone() is not None:
            return
        connection.execute(sql.SQL("alter table task detach partition {}").format(partition))
    with store.transaction() as connection:
        connection.execute(sql.SQL("drop table {}").format(partition))
    logger.info("the tasks of %s are older than a month and were dropped", name)


def _limit_waiting(connection: psycopg.Connection[dict[str, object]]) -> None:
    connection.execute(f"set local lock_timeout = {_LOCK_TIMEOUT}")
