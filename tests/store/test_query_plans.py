"""In a store that has much of everything, what is asked again and again reads little of it.

Each statement is run, once planned for its own values and once for any, and the store's own counters say what it read:
no table of many rows from one end to the other, functions, triggers and foreign keys included.
"""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from plans import HOT, NOW, RARE, Hot
from psycopg.rows import dict_row

from openrds.store.queries import Queries
from support.workbench import running_workbench

#: A table with so many rows has many.
_MANY = 150

Connection = psycopg.Connection[dict[str, Any]]

_FILLING = (Path(__file__).parent / "filling.sql").read_bytes()

_READ = b"""
select class.oid, class.relname, class.relkind, pg_stat_get_xact_numscans(class.oid) as scans,
       case when class.relkind = 'i' then pg_stat_get_xact_tuples_returned(class.oid)
            else pg_stat_get_xact_tuples_fetched(class.oid) + pg_stat_get_xact_tuples_returned(class.oid) end as rows,
       class.reltuples as all_rows
from pg_class as class where relkind in ('r', 'i') and relnamespace = 'public'::regnamespace
"""


class Reading(NamedTuple):
    """`whole` are the tables of many rows that were read from one end to the other, `most` the most rows of any."""

    whole: set[str]
    most: int


@pytest.fixture(scope="module")
def store() -> Iterator[Connection]:
    """Everything is done in one transaction, and what a statement did undone."""
    with (
        running_workbench() as bench,
        psycopg.connect(bench.store.dsn, row_factory=dict_row, autocommit=True) as connection,
    ):
        with connection.transaction():
            connection.execute("select set_config('tests.now', %s, true)", [NOW.isoformat()])
            connection.execute(_FILLING)
        connection.execute("analyze")
        connection.execute("set max_parallel_workers_per_gather = 0")
        yield connection


def statements() -> dict[str, bytes]:
    files = (resources.files("openrds.store") / "sql").iterdir()
    nouns = sorted(Path(file.name).stem for file in files if file.name.endswith(".sql"))
    return {
        f"{noun}.{name}": getattr(queries, name)
        for noun in nouns
        for queries in [Queries(noun)]
        for name in queries.names()
    }


STATEMENTS = statements()


def test_each_statement_is_hot_or_rare() -> None:
    assert not HOT.keys() & RARE.keys()
    assert HOT.keys() | RARE.keys() == STATEMENTS.keys()


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_reads_no_large_table_as_a_whole(store: Connection, name: str, mode: str) -> None:
    hot = HOT[name]

    reading = read_by(store, STATEMENTS[name], hot, mode)

    plan = plan_of(store, STATEMENTS[name], hot, mode)
    assert reading.whole <= hot.whole, plan
    assert reading.most <= hot.most, plan


def test_the_counters_tell_of_a_table_that_is_read_as_a_whole(store: Connection) -> None:
    """Also where a function does it."""
    for statement in (b"select * from instance where name = %(name)s", b"select * from wrong_task_counts()"):
        reading = read_by(store, statement, Hot(), "force_custom_plan")
        assert reading.whole
        assert reading.most > 3000


def read_by(store: Connection, statement: bytes, hot: Hot, mode: str) -> Reading:
    with store.transaction(force_rollback=True):
        store.execute(f"set local plan_cache_mode = {mode}".encode())
        before = {row["oid"]: row for row in store.execute(_READ)}
        store.execute(statement, hot.arguments(statement), prepare=True)
        after = store.execute(_READ).fetchall()
    whole, most = set(), 0
    for row in after:
        was = before.get(row["oid"], {"scans": 0, "rows": 0})
        most = max(most, row["rows"] - was["rows"])
        if row["relkind"] == "r" and row["scans"] > was["scans"] and row["all_rows"] >= _MANY:
            whole.add(re.sub(r"_\d{8}$", "", row["relname"]))
    return Reading(whole, most)


def plan_of(store: Connection, statement: bytes, hot: Hot, mode: str) -> str:
    with store.transaction(force_rollback=True):
        store.execute(f"set local plan_cache_mode = {mode}".encode())
        rows = store.execute(b"explain " + statement, hot.arguments(statement)).fetchall()
    return "\n".join(row["QUERY PLAN"] for row in rows)
