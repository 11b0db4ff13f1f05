"""A made-up history of tasks, of any length, written straight into the store: to see how it serves when it is full.

The history is what a month of use leaves: half of it in one project, a few instances with most of the tasks, few
failures, orders here and there. All tasks have ended. Its instances are gone; only their tasks are left.
"""

import datetime as dt
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context

import psycopg
from psycopg import sql

from openrds.domain.engine import RULES, EngineName
from openrds.domain.task import RETENTION, TaskStatus, lowest_id_at
from openrds.tasks.operation import Output

#: Tasks by name, `{}` for the engine's token, and how many of a thousand are such; the names are the contract's.
_NAMES = {
    "Restart{}Instance": 310,
    "Create{}SingleHAInstance": 150,
    "Delete{}Instance": 130,
    "Reset{}Password": 90,
    "Enlarge{}Volume": 70,
    "Resize{}Instance": 60,
    "{}BindEIP": 50,
    "{}UnbindEIP": 40,
    "Create{}ReplicaInstance": 30,
    "{}SwitchOver": 25,
    "SingleToHa{}Instance": 20,
    "Restore{}NewInstance": 15,
    "Modify{}Port": 7,
    "RestoreTable{}": 3,
}
_ENGINES = {EngineName.MYSQL: 50, EngineName.POSTGRESQL: 40, EngineName.SQLSERVER: 10}
_STEPS = ("allocate address", "create volume", "initialise data", "start server", "check endpoint")
_REASONS = (
    "start server failed: the server did not answer within 60 s",
    "create volume failed: no space left on device",
    "check endpoint failed: connection refused",
)
_FAILED_OF_A_THOUSAND = 30
_ORDERED_OF_A_THOUSAND = 40
_TASKS_OF_AN_INSTANCE = 500
#: An instance runs one task at a time: the busiest one starts one a minute.
_MOST_TASKS_OF_AN_INSTANCE = int(RETENTION / dt.timedelta(minutes=1))
_OTHER_PROJECTS = 200
#: Draws are made from tables of this size, a power of two.
_DRAWS = 1 << 16

_COLUMNS = (
    "id", "project_id", "operation", "name", "instance_id", "instance_name", "order_id", "status", "parameters",
    "entities", "fail_reason", "created_at", "changed_at", "ended_at", "progress", "steps",
)  # fmt: skip
_SECONDS = [f"{millisecond / 1000:06.3f}" for millisecond in range(60_000)]


@dataclass(frozen=True)
class Part:
    """The tasks of a stretch of time, in one partition."""

    dsn: str
    begin: dt.datetime
    end: dt.datetime
    tasks: int
    seed: int
    instances: tuple[tuple[str, str, str, int], ...]  # project, id, name, how many draws


def write_history(dsn: str, project_id: str, tasks: int, *, seed: int, processes: int) -> None:
    """Write so many ended tasks of the last month, half of them of the project. No other session may use the store."""
    now = dt.datetime.now(dt.UTC)
    begin = now - RETENTION + dt.timedelta(minutes=10)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select create_task_partitions(%s, %s)", [begin, now])
        instances = _make_instances(random.Random(seed), project_id, tasks)  # noqa: S311
        parts = list(_parts(dsn, begin, now, tasks, seed, instances))
        # Forked workers would share the connection.
        with get_context("spawn").Pool(min(processes, len(parts))) as pool:
            for _ in pool.imap_unordered(_write_part, parts):
                pass
        connection.execute("select recount_tasks()")


def _make_instances(rng: random.Random, project_id: str, tasks: int) -> tuple[tuple[str, str, str, int], ...]:
    """Zipf's law, but for the busiest; half of the draws fall on the project."""
    count = max(2, tasks // _TASKS_OF_AN_INSTANCE // 2)
    most = max(1, _DRAWS * min(tasks, _MOST_TASKS_OF_AN_INSTANCE) // tasks)
    others = [f"{rng.getrandbits(128):032x}" for _ in range(_OTHER_PROJECTS)]
    weights = [1 / rank for rank in range(1, count + 1)]
    instances = []
    for is_other in (False, True):
        left = _DRAWS // 2
        scale = left / sum(weights)
        for number, weight in enumerate(weights):
            draws = min(left, most, max(1, round(weight * scale)))
            owner = (
                others[min(int(rng.paretovariate(0.7)) - 1, _OTHER_PROJECTS - 1)] if is_other else project_id
            )
            instances.append(
                (owner, f"{rng.getrandbits(128):032x}in0{rng.choice('134')}", f"db-{number}", draws)
            )
            left -= draws
            if left <= 0:
                break
        while left > 0:  # what the busiest were not given goes to all
            place = rng.randrange(len(instances))
            owner, id_, name, draws = instances[place]
            if (owner != project_id) == is_other and draws < most:
                instances[place] = (owner, id_, name, draws + 1)
                left -= 1
    return tuple(instances)


def _parts(
    dsn: str,
    begin: dt.datetime,
    end: dt.datetime,
    tasks: int,
    seed: int,
    instances: tuple[tuple[str, str, str, int], ...],
) -> Iterator[Part]:
    """One for each week, Monday to Monday."""
    done, start = 0, begin
    for number in itertools.count():
        monday = (start + dt.timedelta(days=7 - start.weekday())).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        stop = min(monday, end)
        until = tasks if stop == end else int(tasks * ((stop - begin) / (end - begin)))
        yield Part(dsn, start, stop, until - done, seed + number, instances)
        done, start = until, stop
        if stop == end:
            return


def _write_part(part: Part) -> None:
    """Fill a new table, and put it in the place of the partition, with what was in that."""
    monday = (part.begin - dt.timedelta(days=part.begin.weekday())).date()
    name = f"task_{monday:%Y%m%d}"
    week = dt.datetime.combine(monday, dt.time(), dt.UTC)
    names = {
        "old": sql.Identifier(name),
        "new": sql.Identifier(f"new_{name}"),
        "first": sql.Literal(str(lowest_id_at(week))),
        "beyond": sql.Literal(str(lowest_id_at(week + dt.timedelta(days=7)))),
    }
    with psycopg.connect(part.dsn, options="-c maintenance_work_mem=256MB") as connection:
        for statement in (
            "create table {new} (like {old} including defaults)",
            "alter table {new} add constraint week check (id >= {first} and id < {beyond})",
            "insert into {new} select * from {old}",
        ):
            connection.execute(sql.SQL(statement).format(**names))
        columns = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
        copy_in = sql.SQL("copy {new} ({columns}) from stdin (freeze)").format(columns=columns, **names)
        with connection.cursor().copy(copy_in) as copy:
            for rows in _rows(part):
                copy.write(rows)
        for statement in (
            "alter table {new} add primary key (id)",
            "create index on {new} (project_id, id desc) include (name, status) where not hidden",
            "create index on {new} (instance_id, id desc) include (project_id, name, status) where not hidden",
            "create index on {new} (order_id, id desc) where order_id <> ''",
            "create index on {new} (id) where status = 'Running'",
            "lock table only task",  # one part after the other
            "drop table {old}",
            "alter table {new} rename to {old}",
            "alter table task attach partition {old} for values from ({first}) to ({beyond})",
            "alter table {old} drop constraint week",
            "analyze {old}",
        ):
            connection.execute(sql.SQL(statement).format(**names))


def _rows(part: Part) -> Iterator[bytes]:
    """The lines for COPY, some thousands at a time."""
    rng = random.Random(part.seed)  # noqa: S311
    bits = rng.getrandbits
    instances = [
        f"{project}\t{{}}\t{id_}\t{name}".split("{}")
        for project, id_, name, draws in part.instances
        for _ in range(draws)
    ]
    rng.shuffle(instances)
    kinds = _make_kinds(rng)
    first = part.begin.timestamp() * 1000
    stride = (part.end.timestamp() * 1000 - first) / max(part.tasks, 1)
    mask, seconds = _DRAWS - 1, _SECONDS
    minute_of, minute = -1, ""
    lines: list[str] = []
    for number in range(part.tasks):
        draw = bits(96)
        moment = int(first + number * stride)
        if moment // 60_000 != minute_of:
            minute_of = moment // 60_000
            minute = dt.datetime.fromtimestamp(minute_of * 60, dt.UTC).strftime("%Y-%m-%d %H:%M:")
        begun = moment % 60_000
        ended = min(begun + (draw & 4095), 59_999)
        half = (begun + ended) // 2
        owner, instance = instances[draw & mask]
        start, middle, end = (
            minute + seconds[begun] + "+00",
            minute + seconds[half] + "+00",
            minute + seconds[ended] + "+00",
        )
        name, tail = kinds[(draw >> 16) & mask]
        random_part = f"{draw >> 24:018x}"
        order = f"CS{moment}{chr(65 + draw % 26)}" if (draw >> 32) % 1000 < _ORDERED_OF_A_THOUSAND else ""
        lines.append(
            f"{moment:012x}7{random_part[:3]}8{random_part[3:]}\t{owner}{name}{instance}\t{order}\t"
            f"{tail % (start, end, end, start, middle, middle, end)}\n"
        )
        if len(lines) == 4096:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()


def _make_kinds(rng: random.Random) -> list[tuple[str, str]]:
    """For each draw: operation and name, and the columns after the order, with places for seven times."""
    kinds = []
    names = rng.choices(list(_NAMES), list(_NAMES.values()), k=_DRAWS)
    engines = rng.choices(list(_ENGINES), list(_ENGINES.values()), k=_DRAWS)
    for name, engine in zip(names, engines, strict=True):
        failed = rng.randrange(1000) < _FAILED_OF_A_THOUSAND
        status = TaskStatus.FAILED if failed else TaskStatus.COMPLETED
        entities = json.dumps(
            {"instance": {"type": "Single", "datastore": {"type": engine.value.lower(), "version": "15"}}}
        )
        reason = rng.choice(_REASONS) if failed else ""
        steps: list[Output] = [
            {
                "name": step, "status": "Failed" if failed and place else "Completed", "host": "local", "attempts": 1,
                "error": reason if place else "", "started_at": "%s", "ended_at": "%s",
            }
            for place, step in enumerate(rng.sample(_STEPS, 2))
        ]  # fmt: skip
        tail = "\t".join((status, "{}", entities, reason, "%s", "%s", "%s", "100", json.dumps(steps)))
        operation = name.replace("{}", "").lower()
        kinds.append((f"{operation}\t{name.format(RULES[engine].task_token)}", tail))
    return kinds
