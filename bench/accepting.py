"""What a trigger costs who accepts a task: with it and without, in turns."""

import contextlib
import datetime as dt
import statistics
import time
from collections.abc import Iterator
from typing import Any

import uuid_utils

from bench.figures import Figure, spread
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import NoParameters
from openrds.store.database import Store
from openrds.tasks.accept import Work, accept
from openrds.tasks.operation import Ending, Operation, Step
from openrds.tasks.queue import Queue
from support.nodes import node_on


def cost_of(name: str, trigger: str, store: Store, *, tasks: int, rounds: int) -> Figure:
    """Of a trigger on the table of tasks; so many of these are accepted in each half of a round."""
    ending: Ending[Any, Any, None] = Ending(lambda _context, _connection, _seen: None)
    work: Operation[Any, Any] = Operation(
        key="bench",
        name=TaskName.RESTART,
        parameters=NoParameters,
        steps=(Step("only", lambda _: None),),
        on_completed=ending,
        on_failed=ending,
    )
    # Of a host that is not there, so that nobody runs it.
    queue, nodes = Queue(), [node_on("nowhere")]

    def accept_some() -> float:
        begun = time.perf_counter()
        for _ in range(tasks):
            instance = f"{uuid_utils.uuid4().hex}in03"
            task = Work(work, "Bench", "bench", instance, "i", nodes, NoParameters())
            with store.transaction() as connection:
                accept(connection, queue, task)
        return time.perf_counter() - begun

    accept_some()
    ratios = []
    for _ in range(rounds):
        with_trigger = accept_some()
        with _without(trigger, store):
            ratios.append(with_trigger / accept_some())
    return Figure(name, statistics.median(ratios), 1.15, detail=spread(ratios, ""))


@contextlib.contextmanager
def _without(trigger: str, store: Store) -> Iterator[None]:
    today = dt.datetime.now(dt.UTC).date()
    partition = f"task_{today - dt.timedelta(days=today.weekday()):%Y%m%d}"

    def alter(what: str) -> None:
        store.rows(f"alter table {partition} {what} trigger {trigger}".encode())

    alter("disable")
    try:
        yield
    finally:
        alter("enable")
