"""How soon an accepted task runs, and what a step costs that does nothing: five no-op steps, one task at a time."""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uuid_utils

from bench.figures import Figure, percentile, spread
from bench.noop import NOOP
from openrds.domain.task import TaskName
from openrds.operations.intake import NoParameters
from openrds.tasks.accept import Work, accept
from support.service import wait_for
from support.workbench import Workbench, running_workbench

TASKS = 300


def measure() -> Iterator[Figure]:
    with running_workbench() as bench:
        worker = subprocess.Popen(
            [sys.executable, "-m", "bench.noop"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(bench.brief.encode())
        worker.stdin.flush()
        worker.stdout.readline()
        try:
            _run(bench, 20)
            begun = time.time()
            starts, steps = _run(bench, TASKS)
            took = time.time() - begun
        finally:
            worker.stdin.close()
            worker.wait(15)
            worker.stdout.close()
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


def _run(bench: Workbench, tasks: int) -> tuple[list[float], list[float]]:
    """Seconds from acceptance to the first step, and from each step to the next."""
    starts, steps = [], []
    for number in range(tasks):
        accepted = time.time()
        work = Work(
            operation=NOOP,
            name=TaskName.RESTART.value,
            project_id=bench.project_id,
            instance_id=f"{uuid_utils.uuid4().hex}in03",
            instance_name=f"noop-{number}",
            host=bench.resources.settings.host,
            parameters=NoParameters(),
        )
        with bench.store.transaction() as connection:
            task_id = accept(connection, bench.queue, work)
        wait_for(lambda task_id=task_id: bench.task(task_id)["status"] == "Completed", 30)
        times = [step["started_at"].timestamp() for step in bench.steps(task_id)]
        starts.append(times[0] - accepted)
        steps.extend(later - earlier for earlier, later in itertools.pairwise(times))
    return starts, steps
