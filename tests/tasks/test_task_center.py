"""The task center over a long history: answers are exact while tasks are written, and touch few rows."""

import asyncio
import datetime as dt
import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
import uuid_utils
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from openrds.domain.instance import NodeRole
from openrds.domain.task import RETENTION, TaskStatus, lowest_id_at
from openrds.store import migrate as migration
from openrds.store.database import Reads, Row, Session, Store, Writer
from openrds.store.instances import insert_node
from openrds.store.queries import Queries
from openrds.store.records import insert_record
from openrds.tasks import center
from openrds.tasks.center import TaskFilter, TaskPage
from openrds.tasks.counting import add_changes, recount, wrong_counts
from openrds.tasks.history import write_history
from openrds.tasks.lookups import Lookups
from openrds.tasks.retention import forget_expired
from support.instances import an_instance
from support.workbench import Workbench, running_workbench

TASKS = 200_000
#: Bytes of a week that is small: some hundred tasks.
SMALL = 64 * 8192


@pytest.fixture(scope="module")
def whole() -> Iterator[Workbench]:
    """A long history, half of it in the workbench's project."""
    with running_workbench() as running:
        write_history(running.store.dsn, running.project_id, TASKS, seed=7, processes=2)
        yield running


@pytest.fixture(scope="module")
def bench(whole: Workbench) -> Workbench:
    """The same as another project: enough for two levels of counts, and few enough to look through all for a model."""
    (other,) = whole.store.rows(
        b"select project_id from task where project_id <> %s group by 1 order by count(*) desc limit 1",
        [whole.project_id],
    )
    return replace(whole, project_id=other["project_id"])


@pytest.fixture
def fresh() -> Iterator[Workbench]:
    with running_workbench() as running:
        yield running


class Snapshot(Reads):
    """Reads of one transaction that sees one moment."""

    def __init__(self, connection: Writer) -> None:
        self.connection = connection
        self.statements = 0
        self.fails = False

    async def rows(self, statement: bytes, parameters: Any = ()) -> list[Row]:
        await asyncio.sleep(0)  # as where a store is waited for, others get to ask
        self.statements += 1
        if self.fails:
            raise psycopg.OperationalError("on purpose")
        return self.connection.execute(statement, parameters).fetchall()


@contextmanager
def snapshot(bench: Workbench) -> Iterator[Snapshot]:
    with psycopg.connect(bench.store.dsn, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield Snapshot(connection)


def page(reads: Reads, project_id: str, wanted: TaskFilter, offset: int, limit: int) -> TaskPage:
    return asyncio.run(center.list_tasks(reads, project_id, wanted, offset=offset, limit=limit))


def find(reads: Reads, project_id: str, ids: Sequence[Any]) -> list[Row | None]:
    """What is found of tasks that are asked for at the same time."""

    async def ask() -> list[Row | None]:
        lookups = Lookups(reads)
        return await asyncio.gather(*(center.find_task(lookups, project_id, str(id_)) for id_ in ids))

    return asyncio.run(ask())


def all_tasks(reads: Snapshot, project_id: str) -> list[Row]:
    """The naive model: every task that is served, newest first."""
    return reads.connection.execute(
        "select id, name, status, instance_id, order_id, created_at from task where project_id = %s and not hidden "
        "and id >= (select id from task_floor) order by id desc",
        [project_id],
    ).fetchall()


def matching(tasks: Sequence[Row], wanted: TaskFilter) -> list[Row]:
    def matches(task: Row) -> bool:
        return (
            (wanted.id is None or str(task["id"]) == wanted.id)
            and (wanted.instance_id is None or task["instance_id"] == wanted.instance_id)
            and (wanted.order_id is None or task["order_id"] == wanted.order_id)
            and (wanted.name is None or task["name"] == wanted.name)
            and (wanted.status is None or task["status"] == wanted.status)
            and (wanted.start_time is None or task["id"] >= lowest_id_at(wanted.start_time))
            and (
                wanted.end_time is None
                or task["id"] < lowest_id_at(wanted.end_time + dt.timedelta(milliseconds=1))
            )
        )

    return [task for task in tasks if matches(task)]


def check(
    reads: Snapshot, project_id: str, tasks: Sequence[Row], wanted: TaskFilter, rng: random.Random
) -> None:
    """Page by page to the end, or where that is far: the first pages, some in the middle, and the last."""
    expected = matching(tasks, wanted)
    limit = rng.randint(1, 50)
    offsets: Sequence[int] = range(0, len(expected) + limit, limit)
    if len(offsets) > 12:
        offsets = [0, limit, *rng.sample(offsets, 8), len(expected) - 1, len(expected)]
    for offset in offsets:
        found = page(reads, project_id, wanted, offset, limit)
        where = (wanted, offset, limit)
        assert found.total_count == len(expected), where
        assert list(found.actions) == sorted({task["name"] for task in expected}), where
        assert [task["id"] for task in found.tasks] == [
            task["id"] for task in expected[offset : offset + limit]
        ], where


def random_filter(tasks: Sequence[Row], rng: random.Random) -> TaskFilter:
    """Each field or none, with what some task has, so that there is something to find."""
    one, other = rng.choice(tasks), rng.choice(tasks)
    start, end = sorted((one["created_at"], other["created_at"]))
    bounds = rng.random()
    return TaskFilter(
        id=str(one["id"]) if rng.random() < 0.05 else None,
        instance_id=one["instance_id"] if rng.random() < 0.2 else None,
        order_id=one["order_id"] or None if rng.random() < 0.2 else None,
        name=one["name"] if rng.random() < 0.4 else None,
        status=TaskStatus(rng.choice((one["status"], "Failed", "Running"))) if rng.random() < 0.4 else None,
        start_time=start if bounds < 0.4 else None,
        end_time=end if bounds < 0.6 else None,
    )


class Author:
    """Writes tasks as the service does: begins them, ends them, deletes records, and lets the counts catch up."""

    def __init__(self, bench: Workbench, seed: int) -> None:
        self._bench = bench
        self._rng = random.Random(seed)
        self._running: list[UUID] = []
        self._ended: list[UUID] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.failure: BaseException | None = None

    def __enter__(self) -> "Author":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _write(self) -> None:
        try:
            while not self._stop.is_set():
                self.write_something()
        except BaseException as failure:
            self.failure = failure

    def write_something(self) -> None:
        choice = self._rng.random()
        if choice < 0.02:
            add_changes(self._bench.store)
            return
        with self._bench.store.transaction() as connection:
            if choice < 0.5 or not self._running:
                self._running.append(insert_task(connection, self._bench.project_id, self._rng))
            elif choice < 0.9 or not self._ended:
                task_id = self._running.pop(self._rng.randrange(len(self._running)))
                status = self._rng.choice(("Completed", "Completed", "Failed"))
                connection.execute(
                    "update task set status = %s, ended_at = now() where id = %s", [status, task_id]
                )
                self._ended.append(task_id)
            else:
                center.delete_record(connection, self._bench.project_id, str(self._ended.pop()))


def insert_task(
    connection: Writer, project_id: str, rng: random.Random, created: dt.datetime | None = None
) -> UUID:
    task_id = UUID(str(uuid_utils.uuid7()))
    if created is not None:
        task_id = UUID(int=lowest_id_at(created).int | (task_id.int & (2**80 - 1)))
    connection.execute(
        "insert into task (id, project_id, operation, name, instance_id, instance_name, order_id, parameters, "
        "created_at, changed_at) values (%s, %s, 'test', %s, %s, 'test', %s, '{}', %s, now())",
        [
            task_id,
            project_id,
            rng.choice(("RestartPostgresqlInstance", "CreatePostgresqlSingleHAInstance", "TestNew")),
            f"i{rng.randrange(5)}",
            rng.choice(("", "", "CS1")),
            dt.datetime.fromtimestamp((task_id.int >> 80) / 1000, tz=dt.UTC),
        ],
    )
    return task_id


@pytest.mark.parametrize("seed", range(4))
def test_every_answer_is_exact_while_tasks_are_written(bench: Workbench, seed: int) -> None:
    rng = random.Random(seed)
    with Author(bench, seed):
        for _ in range(4):
            with snapshot(bench) as reads:
                tasks = all_tasks(reads, bench.project_id)
                check(reads, bench.project_id, tasks, TaskFilter(), rng)
                for _ in range(15):
                    check(reads, bench.project_id, tasks, random_filter(tasks, rng), rng)
    assert wrong_counts(bench.store) == []


def test_the_whole_list_page_by_page(bench: Workbench) -> None:
    with Author(bench, 9), snapshot(bench) as reads:
        tasks = all_tasks(reads, bench.project_id)
        seen: list[Any] = []
        for offset in itertools.count(0, 50):
            found = page(reads, bench.project_id, TaskFilter(), offset, 50)
            if not found.tasks:
                break
            seen += [task["id"] for task in found.tasks]
        assert seen == [task["id"] for task in tasks]


def test_a_project_sees_its_own_tasks_only(bench: Workbench) -> None:
    with snapshot(bench) as reads:
        nothing = page(reads, "0" * 32, TaskFilter(), 0, 10)
        assert (nothing.tasks, nothing.total_count, nothing.actions) == ([], 0, [])
        one = all_tasks(reads, bench.project_id)[0]
        for wanted in (TaskFilter(id=str(one["id"])), TaskFilter(instance_id=one["instance_id"])):
            assert page(reads, "0" * 32, wanted, 0, 10).total_count == 0


def test_tasks_that_are_asked_for_at_once_are_found_together(whole: Workbench, bench: Workbench) -> None:
    """Each caller gets the one of his project, or none, with a few statements for all of them."""
    with snapshot(bench) as reads:
        tasks = all_tasks(reads, bench.project_id)[::50]
        foreign = all_tasks(reads, whole.project_id)[:20]
        reads.statements = 0
        unknown = [uuid_utils.uuid7() for _ in range(5)]
        found = find(reads, bench.project_id, [task["id"] for task in (*tasks, *foreign, tasks[0])] + unknown)
    assert [task and task["id"] for task in found] == [
        *(task["id"] for task in tasks),
        *(None for _ in foreign),
        tasks[0]["id"],
        *(None for _ in unknown),
    ]
    assert {task["project_id"] for task in found if task} == {bench.project_id}
    assert reads.statements <= 2 + len(found) // 100


def test_a_lookup_whose_session_was_ended_is_asked_again(bench: Workbench) -> None:
    with snapshot(bench) as reads:
        task_id = all_tasks(reads, bench.project_id)[0]["id"]

    async def ask() -> list[Row | None]:
        async with Session(bench.store.dsn) as session:
            lookups = Lookups(session)
            found = [await center.find_task(lookups, bench.project_id, str(task_id))]
            (row,) = await session.rows(b"select pg_backend_pid() as pid")
            bench.store.rows(b"select pg_terminate_backend(%s)", [row["pid"]])
            return [*found, await center.find_task(lookups, bench.project_id, str(task_id))]

    assert [task and task["id"] for task in asyncio.run(ask())] == [task_id, task_id]


def test_all_who_wait_for_a_store_that_fails_are_told(bench: Workbench) -> None:
    """And those who ask afterwards are answered."""

    async def ask(reads: Snapshot, lookups: Lookups) -> list[Any]:
        asked = (lookups.find(bench.project_id, task["id"]) for task in tasks)
        return await asyncio.gather(*asked, return_exceptions=True)

    async def fail_and_go_on(reads: Snapshot) -> tuple[list[Any], list[Any]]:
        lookups = Lookups(reads)
        reads.fails = True
        failed = await ask(reads, lookups)
        reads.fails = False
        return failed, await ask(reads, lookups)

    with snapshot(bench) as reads:
        tasks = all_tasks(reads, bench.project_id)[:10]
        failed, found = asyncio.run(fail_and_go_on(reads))
    assert all(isinstance(one, psycopg.OperationalError) for one in failed)
    assert [one["id"] for one in found] == [task["id"] for task in tasks]


def test_hot_questions_touch_few_rows(whole: Workbench) -> None:
    """Each keeps its index: no partition is read through, and what is counted is counted on an index alone."""
    add_changes(whole.store)
    with snapshot(whole) as reads:
        tasks = all_tasks(reads, whole.project_id)
    rng = random.Random(3)
    rare = TaskFilter(name="RestoreTableSqlserver", status=TaskStatus.FAILED)
    ordered = next(task for task in tasks[len(tasks) // 2 :] if task["order_id"])
    of_order = TaskFilter(order_id=ordered["order_id"])
    of_both = replace(of_order, instance_id=ordered["instance_id"])
    questions = [TaskFilter(), rare, of_order, of_both, *(random_filter(tasks, rng) for _ in range(60))]
    for wanted in questions:
        for offset in (0, len(tasks) // 2):
            scans, rows = touched(whole, wanted, offset)
            assert scans == 0, wanted
            # A page, and of the block that a window ends in, what was written since the last vacuum.
            assert rows < 2_000, wanted
    with snapshot(whole) as reads:
        find(reads, whole.project_id, [tasks[len(tasks) // 2]["id"]])
        assert table_use(reads) == (0, 1)


def test_a_week_of_another_project_costs_nothing(fresh: Workbench) -> None:
    """As each week is when it begins, it has tasks of hardly more than one project."""
    rng, now = random.Random(1), dt.datetime.now(dt.UTC)
    with fresh.store.transaction() as connection:
        mine = insert_task(connection, fresh.project_id, rng, now)
        other = "0" * 32
        for number in range(3_000):
            insert_task(connection, other, rng, now + dt.timedelta(milliseconds=1 + number))
    add_changes(fresh.store)
    with fresh.store.transaction() as connection:
        connection.execute("analyze task")
    with snapshot(fresh) as reads:
        # As where it has been asked before: a plan that is good for each project is made once.
        reads.connection.prepare_threshold = 0
        reads.connection.execute("set plan_cache_mode = force_generic_plan")
        found = page(reads, fresh.project_id, TaskFilter(), 0, 50)
        assert [task["id"] for task in found.tasks] == [mine]
        _, rows = table_use(reads)  # a partition without rows may be scanned
        assert rows < 50


def touched(bench: Workbench, wanted: TaskFilter, offset: int) -> tuple[int, int]:
    with snapshot(bench) as reads:
        page(reads, bench.project_id, wanted, offset, 50)
        return table_use(reads)


def table_use(reads: Snapshot) -> tuple[int, int]:
    """Sequential scans of partitions, and rows read of them in any way, in this transaction.

    A week that is empty, or has just begun, is read through at less cost than its index: only its rows count.
    """
    (use,) = reads.connection.execute(
        "select coalesce(sum(seq_scan) filter (where pg_relation_size(relid) > %s), 0)::int as scans, "
        "coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int as rows "
        "from pg_stat_xact_user_tables where relname ~ '^task_[0-9]{8}$'",
        [SMALL],
    ).fetchall()
    return use["scans"], use["rows"]


def test_counts_that_are_wrong_are_found_and_mended(fresh: Workbench) -> None:
    rng = random.Random(1)
    with fresh.store.transaction() as connection:
        for _ in range(20):
            insert_task(connection, fresh.project_id, rng)
    assert wrong_counts(fresh.store) == []
    add_changes(fresh.store)
    assert wrong_counts(fresh.store) == []
    with fresh.store.transaction() as connection:
        connection.execute("update task_count set tasks = tasks + 1 where name = 'TestNew' and level = 2")
    assert {(row["level"], row["counted"] - row["actual"]) for row in wrong_counts(fresh.store)} == {(2, 1)}
    recount(fresh.store)
    assert wrong_counts(fresh.store) == []


def test_many_writers_at_once_are_counted(fresh: Workbench) -> None:
    authors = [Author(fresh, seed) for seed in range(4)]

    def write(author: Author) -> None:
        for _ in range(700):
            author.write_something()

    threads = [threading.Thread(target=write, args=[author]) for author in authors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong_counts(fresh.store) == []
    add_changes(fresh.store)
    assert wrong_counts(fresh.store) == []
    assert fresh.store.rows(b"select from task_count_change") == []


class Overtaken(Store):
    """Where others drop the same tables, and are quicker."""

    def rows(self, statement: bytes, parameters: Any = ()) -> list[Row]:
        if statement.startswith(b"drop table"):
            super().rows(statement, parameters)
        return super().rows(statement, parameters)


def test_weeks_that_others_drop_meanwhile_are_gone_all_the_same(fresh: Workbench) -> None:
    begun = partitions(fresh)
    with Overtaken(fresh.store.dsn, connections=2) as store:
        forget_expired(store, dt.datetime.now(dt.UTC) + RETENTION + dt.timedelta(days=15))
    assert len(partitions(fresh)) < len(begun)


def test_tasks_older_than_a_month_are_forgotten(fresh: Workbench) -> None:
    """They are no longer served or counted; their week is dropped, but not while one of them runs."""
    write_history(fresh.store.dsn, fresh.project_id, 30_000, seed=2, processes=2)
    now = dt.datetime.now(dt.UTC)
    with fresh.store.transaction() as connection:
        running = insert_task(
            connection, fresh.project_id, random.Random(1), now - RETENTION + dt.timedelta(hours=1)
        )
        # More than a week from the running one and from the floor: its whole week is below, whatever day it is.
        ended = insert_task(connection, fresh.project_id, random.Random(1), now - dt.timedelta(days=20))
        connection.execute("update task set status = 'Completed', ended_at = now() where id = %s", [ended])
    later = now + dt.timedelta(days=20)
    with snapshot(fresh) as reads:
        kept = [
            row for row in all_tasks(reads, fresh.project_id) if row["id"] >= lowest_id_at(later - RETENTION)
        ]
    forget_expired(fresh.store, later)
    rng = random.Random(4)
    with snapshot(fresh) as reads:
        check(reads, fresh.project_id, kept, TaskFilter(), rng)
        for _ in range(20):
            check(reads, fresh.project_id, kept, random_filter(kept, rng), rng)
        assert find(reads, fresh.project_id, [ended]) == [None]
    assert wrong_counts(fresh.store) == []
    weeks = partitions(fresh)
    assert weeks[0].day == week_of(running).day
    assert week_of(ended) not in weeks
    with fresh.store.transaction() as connection:
        connection.execute("update task set status = 'Failed', ended_at = now() where id = %s", [running])
    forget_expired(fresh.store, later)
    assert week_of(running) not in partitions(fresh)
    assert wrong_counts(fresh.store) == []


def test_forgetting_gives_way_to_readers(fresh: Workbench) -> None:
    """A reader that takes long keeps a week from being dropped; others read on, and later it is dropped."""
    write_history(fresh.store.dsn, fresh.project_id, 3_000, seed=2, processes=1)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=15)
    before = partitions(fresh)
    with snapshot(fresh) as reads:
        served = all_tasks(reads, fresh.project_id)
        forget_expired(fresh.store, later)
        assert partitions(fresh) == before
        assert all_tasks(reads, fresh.project_id) == served
    forget_expired(fresh.store, later)
    assert partitions(fresh) != before


def test_a_week_that_was_detached_before_a_crash_is_dropped(fresh: Workbench) -> None:
    write_history(fresh.store.dsn, fresh.project_id, 1_000, seed=2, processes=1)
    with fresh.store.transaction() as connection:
        oldest = f"task_{partitions(fresh)[0]:%Y%m%d}"
        connection.execute(sql.SQL("alter table task detach partition {}").format(sql.Identifier(oldest)))
    forget_expired(fresh.store)
    assert fresh.store.rows(b"select to_regclass(%s) as found", [oldest]) == [{"found": None}]


def partitions(bench: Workbench) -> list[dt.date]:
    rows = bench.store.rows(
        b"select right(relid::regclass::text, 8) as day from pg_partition_tree('task') where isleaf order by 1"
    )
    return [dt.datetime.strptime(row["day"], "%Y%m%d").replace(tzinfo=dt.UTC).date() for row in rows]


def week_of(task_id: UUID) -> dt.date:
    day = dt.datetime.fromtimestamp((task_id.int >> 80) / 1000, tz=dt.UTC).date()
    return day - dt.timedelta(days=day.weekday())


@pytest.fixture
def older(fresh: Workbench, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty store as it was before the migration of that number; it is brought up to date by `migrate`."""
    name = f"older_{request.param}"
    with psycopg.connect(fresh.store.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    dsn = fresh.store.dsn.replace("dbname=postgres", f"dbname={name}")
    before = [one for one in migration.migrations() if one[0] < request.param]
    with monkeypatch.context() as patch:
        patch.setattr(migration, "migrations", lambda: before)
        migration.migrate(dsn)
    yield dsn


@pytest.mark.parametrize("older", [32], indirect=True)
def test_steps_that_were_planned_for_all_nodes_become_those_of_each(older: str) -> None:
    """Of tasks that run while openrds is brought up to date: none of their nodes is left out, or taken for another."""
    with psycopg.connect(older, row_factory=dict_row) as connection:
        connection.execute("insert into project values ('p', 'p', 'd', 'd')")
        host = {"name": "h", "availability_zone": "z", "forwarding": "", "memory_mb": 1}
        connection.execute(Queries("instances").set_host, host | {"installations": Jsonb([])})
        for id_, replica_of in (("pair", None), ("copy", "pair"), ("single", None)):
            # By the columns that there were.
            row = msgspec.to_builtins(an_instance(id=id_, replica_of=replica_of, switch_strategy=""))
            assert insert_record(connection, "instance", row)
        for id_, instance_id, role in (
            ("primary", "pair", NodeRole.MASTER),
            ("standby", "pair", NodeRole.SLAVE),
            ("replica", "copy", NodeRole.READ_REPLICA),
            ("first", "single", NodeRole.MASTER),
            ("second", "single", NodeRole.SLAVE),
        ):
            insert_node(connection, id_, instance_id, id_, role, "h", "z")
        plan(connection, "pair", "delete_instance", {}, ("stop server", "remove volume", "leave primary"))
        plan(
            connection,
            "single",
            "single_to_ha",
            {"standby_id": "second"},
            ("allocate address", "build standby"),
        )
    migration.migrate(older)
    with psycopg.connect(older) as connection:
        found = connection.execute(
            "select step.name, node_id, step.status from step join task on task.id = task_id "
            "order by task.operation, position"
        ).fetchall()
    assert found == [
        ("stop server", "primary", "Completed"),
        ("stop server", "standby", "Completed"),
        ("stop server", "replica", "Completed"),
        ("remove volume", "primary", "Planned"),
        ("remove volume", "standby", "Planned"),
        ("remove volume", "replica", "Planned"),
        ("leave primary", "primary", "Planned"),
        ("allocate address", "second", "Completed"),
        ("build standby", "second", "Planned"),
    ]


def plan(
    connection: Writer, instance_id: str, operation: str, parameters: dict[str, str], names: Sequence[str]
) -> None:
    """A task as it was written then, of which the first step is done."""
    task_id = insert_task(connection, "p", random.Random(1))
    connection.execute(
        "update task set instance_id = %s, operation = %s, parameters = %s where id = %s",
        [instance_id, operation, Jsonb(parameters), task_id],
    )
    for position, name in enumerate(names):
        connection.execute(
            "insert into step (task_id, position, name, host, status, expected) values (%s, %s, %s, 'h', %s, '1 s')",
            [task_id, position, name, "Planned" if position else "Completed"],
        )


@pytest.mark.parametrize("older", [2], indirect=True)
def test_an_older_store_keeps_its_tasks(fresh: Workbench, older: str) -> None:
    """A store of the first schema, with an ended task and a running one, is brought up to date."""
    with psycopg.connect(older, row_factory=dict_row) as connection:
        rng = random.Random(5)
        ended, running = (insert_task(connection, fresh.project_id, rng) for _ in range(2))
        connection.execute("update task set status = 'Completed', ended_at = now() where id = %s", [ended])
        for task_id, status in ((ended, "Completed"), (running, "Planned")):
            connection.execute(
                "insert into step (task_id, position, name, host, status, attempts, expected) "
                "values (%s, 0, 'only', 'local', %s, 1, '1 s')",
                [task_id, status],
            )
    migration.migrate(older)
    with psycopg.connect(older, row_factory=dict_row) as connection:
        reads = Snapshot(connection)
        check(reads, fresh.project_id, all_tasks(reads, fresh.project_id), TaskFilter(), rng)
        assert page(reads, fresh.project_id, TaskFilter(), 0, 10).total_count == 2
        for task_id, status in ((ended, "Completed"), (running, "Planned")):
            steps = asyncio.run(center.find_steps(reads, fresh.project_id, str(task_id)))
            assert [(step["name"], step["status"]) for step in steps] == [("only", status)]
        assert connection.execute("select count(*) as steps from step").fetchone() == {"steps": 1}
