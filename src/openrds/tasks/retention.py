"""Tasks are served for a month. Then the floor passes them, and a week of them that is below it is dropped."""

import datetime as dt
import logging
import time
from collections.abc import Callable
from functools import partial
from uuid import UUID

import psycopg
from psycopg import sql

from openrds.domain.task import RETENTION, lowest_id_at
from openrds.store.database import Store, Writer
from openrds.store.queries import Queries
from openrds.tasks.counting import add_changes

logger = logging.getLogger(__name__)

_sql = Queries("tasks")

#: Tasks that the floor passes in one step. Nobody can change a task meanwhile.
_STRIDE = 100_000
#: Seconds that others have for themselves after each step.
_PAUSE = 0.05
#: A lock that stops others is waited for only this long, in milliseconds, and so many times, with a pause between;
#: then it is left for the next round.
_LOCK_TIMEOUT = 20
_ATTEMPTS = 5
#: For how long ahead there are partitions.
_AHEAD = dt.timedelta(weeks=4)


def forget_expired(store: Store, now: dt.datetime | None = None) -> None:
    """Stop to serve what is older than a month, and drop what nobody needs any more."""
    moment = now or dt.datetime.now(dt.UTC)
    try:
        _raise_floor(store, moment - RETENTION)
        for name in _names(store, _sql.passed_partitions):
            _detach_partition(store, name)
    except psycopg.errors.LockNotAvailable:
        logger.debug("others are at work on the tasks; expired ones are forgotten in the next round")
    # Removing the files takes long, and stops nobody. Others who are at it may have been quicker.
    for name in _names(store, _sql.detached_partitions):
        store.rows(sql.SQL("drop table if exists {}").format(sql.Identifier(name)).as_bytes())
        logger.info("the tasks of %s are older than a month and were dropped", name)


def prepare_partitions(store: Store) -> None:
    """Have a partition for every task that is accepted during the next weeks."""
    store.rows(_sql.create_partitions, {"ahead": _AHEAD})


def _raise_floor(store: Store, moment: dt.datetime) -> None:
    oldest = lowest_id_at(moment)
    while True:
        # What is counted already is passed by the block, not one by one.
        add_changes(store)
        rows = store.rows(_sql.tasks_from_floor, {"oldest": oldest, "tasks": _STRIDE})
        _stopping_others(store, partial(_pass_tasks, rows[0]["id"] if rows else oldest))
        if not rows:
            return
        time.sleep(_PAUSE)


def _pass_tasks(oldest: UUID, connection: Writer) -> None:
    connection.execute(_sql.raise_floor, [oldest])


def _detach_partition(store: Store, name: str) -> None:
    """Take a week of tasks out of the table, unless one of them still runs."""
    partition = sql.Identifier(name)

    def detach(connection: Writer) -> None:
        running = sql.SQL("select from {} where status = 'Running' limit 1").format(partition)
        if connection.execute(running).fetchone() is None:
            connection.execute(sql.SQL("alter table task detach partition {}").format(partition))

    _stopping_others(store, detach)


def _stopping_others(store: Store, work: Callable[[Writer], None]) -> None:
    """One transaction with locks that stop others: it gives way to those who are there before.

    Raises:
        psycopg.errors.LockNotAvailable: there is always somebody.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with store.transaction() as connection:
                connection.execute(f"set local lock_timeout = {_LOCK_TIMEOUT}")
                # Nobody is to wait for the disk too. What a crash of the store forgets is done again.
                connection.execute("set local synchronous_commit = off")
                work(connection)
                return
        except psycopg.errors.LockNotAvailable:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE)


def _names(store: Store, statement: bytes) -> list[str]:
    return [row["name"] for row in store.rows(statement)]
