"""How soon an accepted task runs, and what a step costs that does nothing: five no-op steps, one task at a time.

After each task comes a bare transaction of three updates on the same store: the least that recording a step could be.
"""

import itertools
import statistics
import time
from collections.abc import Iterator

import psycopg
import uuid_utils

from bench.figures import Figure, percentile, spread
from bench.noop import NOOP, work
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import NoParameters
from openrds.tasks.accept import Work, accept
from support.forked import forked
from support.nodes import node_on
from support.service import wait_for
from support.workbench import Workbench, running_workbench

TASKS = 300


def measure() -> Iterator[Figure]:
    with running_workbench() as bench, forked(work, bench.brief):
        _run(bench, 20)
        begun = time.time()
        starts, steps, bare = _run(bench, TASKS)
        took = time.time() - begun
    yield Figure(
        "accepted to first step running, median",
        statistics.median(starts) * 1000,
        30,
        " ms",
        detail=spread(starts, "ms", 1000),
    )
    yield Figure("accepted to first step running, 99th percentile", percentile(starts, 99) * 1000, 150, " ms")
    yield Figure(
        "no-op step, median",
        statistics.median(steps) * 1000,
        10,
        " ms",
        detail=f"{spread(steps, 'ms', 1000)}; {TASKS} tasks in {took:.1f} s",
    )
    yield Figure(
        "no-op step / a bare transaction of three updates, medians",
        statistics.median(steps) / statistics.median(bare),
        5,
        detail=f"bare {spread(bare, 'ms', 1000)}",
    )


def _run(bench: Workbench, tasks: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds from acceptance to the first step, from each step to the next, and of a bare transaction after each."""
    starts, steps, bare = [], [], []
    plain = psycopg.connect(bench.store.dsn, autocommit=True)
    plain.execute(
        "create table if not exists bench as select id, 0 as value from generate_series(1, 3) as id"
    )
    for number in range(tasks):
        accepted = time.time()
        work = Work(
            operation=NOOP,
            name=TaskName.RESTART.value,
            project_id=bench.project_id,
            instance_id=f"{uuid_utils.uuid4().hex}in03",
            instance_name=f"noop-{number}",
            nodes=[node_on(bench.resources.host.name)],
            parameters=NoParameters(),
        )
        with bench.store.transaction() as connection:
            task_id = accept(connection, bench.queue, work)
        wait_for(lambda task_id=task_id: bench.task(task_id)["status"] == "Completed", 30)
        times = [step["started_at"].timestamp() for step in bench.steps(task_id)]
        starts.append(times[0] - accepted)
        steps.extend(later - earlier for earlier, later in itertools.pairwise(times))
        bare.append(_three_updates(plain))
    plain.close()
    return starts, steps, bare


def _three_updates(connection: psycopg.Connection) -> float:
    begun = time.perf_counter()
    with connection.transaction():
        for row in range(1, 4):
            connection.execute(b"update bench set value = value + 1 where id = %s", [row])
    return time.perf_counter() - begun
