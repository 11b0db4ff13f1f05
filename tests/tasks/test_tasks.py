"""Tasks as such, with operations made for the test: fencing, retries, unwinding, the watchdog, progress, retention."""

import datetime as dt
import itertools
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
import uuid_utils

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import NodeRole
from openrds.domain.instance_values import Node
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import NoParameters
from openrds.operations.steps.nodes import each_node, the_standby
from openrds.store.database import Row, Writer
from openrds.tasks.accept import Work, accept
from openrds.tasks.center import percent_done
from openrds.tasks.operation import Ending, Operation, Step, StepContext, StepFailed, TaskContext
from openrds.tasks.runner import Runner
from openrds.tasks.watchdog import GRACE, return_lost_steps
from support.nodes import node_on
from support.service import wait_for
from support.workbench import Workbench

Context = StepContext[Any, NoParameters]
Body = Callable[[Context], Any]


def operation(*steps: Step[Any, Any], ended: list[str] | None = None) -> Operation[Any, NoParameters]:
    """An operation named `test` whose end is noted in `ended`."""
    notes = ended if ended is not None else []

    def completed(context: TaskContext[NoParameters], _connection: Writer, _seen: None) -> dict[str, Any]:
        notes.append("completed")
        return {"outputs": dict(context.outputs)}

    def failed(_context: TaskContext[NoParameters], _connection: Writer, _seen: None) -> None:
        notes.append("failed")

    return Operation(
        key="test",
        name=TaskName.RESTART,
        parameters=NoParameters,
        steps=steps,
        on_completed=Ending(completed),
        on_failed=Ending(failed),
    )


def submit(
    bench: Workbench,
    work: Operation[Any, Any],
    instance_id: str | None = None,
    project_id: str = "",
    nodes: Sequence[Node] = (),
) -> UUID:
    with bench.store.transaction() as connection:
        return accept(
            connection,
            bench.queue,
            Work(
                operation=work,
                name="TestPostgresqlInstance",
                project_id=project_id or bench.project_id,
                instance_id=instance_id or f"{uuid_utils.uuid4().hex}in03",
                instance_name="test",
                nodes=nodes or [node_on("local")],
                parameters=NoParameters(),
                entities={"aim": "seen from the start"},
            ),
        )


def runner(bench: Workbench, work: Operation[Any, Any]) -> Runner:
    return Runner(bench.store, bench.queue, {work.key: work}, bench.resources)


def run(bench: Workbench, work: Operation[Any, Any]) -> Row:
    task_id = submit(bench, work)
    return bench.run(task_id, {work.key: work})


def jobs(bench: Workbench, task_id: UUID) -> list[str]:
    """Whether its step waits or is at work; empty when it is not in the queue."""
    rows = bench.store.rows(b"select worker from due_step where task_id = %s", [task_id])
    return ["waits" if row["worker"] is None else "at work" for row in rows]


def fail_times(count: int) -> Body:
    calls = itertools.count()

    def body(_context: Context) -> None:
        if next(calls) < count:
            raise RuntimeError("not yet")

    return body


def nothing(_context: Context) -> None:
    pass


def test_outputs_reach_later_steps_and_the_end(workbench: Workbench) -> None:
    seen: dict[str, Any] = {}
    work = operation(
        Step("first", lambda _: {"number": 42}),
        Step("second", lambda context: seen.update(context.outputs["first"])),
    )
    task = run(workbench, work)
    assert task["status"] == "Completed"
    assert seen == {"number": 42}
    assert task["entities"] == {
        "aim": "seen from the start",
        "outputs": {"first": {"number": 42}, "second": {}},
    }
    assert task["parameters"] == {}, "what a task was told may be secret, and is forgotten at its end"


PAIR = [node_on("local", "i"), node_on("local", "i", NodeRole.SLAVE)]
ABROAD = [node_on("local", "i"), node_on("abroad", "i", NodeRole.SLAVE)]


def nodes_of(bench: Workbench, task_id: UUID) -> list[tuple[str, str, str]]:
    return [(step["name"], step["node_id"], step["host"]) for step in bench.steps(task_id)]


def test_a_step_is_planned_for_each_node_that_it_is_of(workbench: Workbench) -> None:
    done: list[str] = []

    def note(context: Context) -> dict[str, str]:
        done.append(context.node_id)
        return {context.node_id: "done"}

    work = operation(
        Step("each", note, of=each_node), Step("standby", nothing, of=the_standby), Step("primary", nothing)
    )
    primary, standby = PAIR
    task_id = submit(workbench, work, nodes=PAIR)
    planned = [
        ("each", primary.id, "local"),
        ("each", standby.id, "local"),
        ("standby", standby.id, "local"),
        ("primary", primary.id, "local"),
    ]
    assert nodes_of(workbench, task_id) == planned
    task = workbench.run(task_id, {work.key: work})
    assert done == [primary.id, standby.id]
    assert task["entities"]["outputs"]["each"] == {primary.id: "done", standby.id: "done"}
    assert nodes_of(workbench, task_id) == planned, "it is told of a task that has ended too"


def test_what_was_done_for_each_node_is_undone_for_each_last_first(workbench: Workbench) -> None:
    undone: list[str] = []

    def fail(_context: Context) -> None:
        raise StepFailed("on purpose")

    work = operation(
        Step("each", nothing, undo=lambda context: undone.append(context.node_id), of=each_node),
        Step("failing", fail),
    )
    task = workbench.run(submit(workbench, work, nodes=PAIR), {work.key: work})
    assert task["status"] == "Failed"
    assert undone == [node.id for node in reversed(PAIR)]


def test_a_step_is_due_on_the_host_of_its_node(workbench: Workbench) -> None:
    work = operation(Step("here", nothing), Step("there", nothing, of=the_standby))
    task_id = submit(workbench, work, nodes=ABROAD)
    runner(workbench, work).run_step(task_id)
    due = workbench.store.rows(b"select host from due_step where task_id = %s", [task_id])
    assert [row["host"] for row in due] == ["abroad"]
    runner(workbench, work).run_step(task_id)
    assert workbench.task(task_id)["status"] == "Completed"


def test_a_step_that_this_version_does_not_know_fails_its_task(workbench: Workbench) -> None:
    """It was planned by another one, which did something before that."""
    undone: list[str] = []
    first = Step[Any, NoParameters]("first", nothing, undo=lambda _: undone.append("first"))
    older, newer = operation(first, Step("second", nothing)), operation(first)
    task = workbench.run(submit(workbench, older), {newer.key: newer})
    assert task["status"] == "Failed"
    assert "has no such step" in task["fail_reason"]
    assert undone == ["first"]


def test_an_acceptance_that_is_rolled_back_leaves_nothing(workbench: Workbench) -> None:
    work = operation(Step("only", nothing))
    with pytest.raises(ZeroDivisionError), workbench.store.transaction() as connection:
        task_id = accept(
            connection,
            workbench.queue,
            Work(work, "Test", workbench.project_id, "i", "i", [node_on("local")], NoParameters()),
        )
        raise ZeroDivisionError
    assert jobs(workbench, task_id) == []
    assert workbench.store.rows(b"select id from task where id = %s", [task_id]) == []
    assert workbench.store.rows(b"select task_id from instance_lock where task_id = %s", [task_id]) == []


def test_an_instance_has_one_task_at_a_time(workbench: Workbench) -> None:
    work = operation(Step("only", nothing))
    task_id = submit(workbench, work, "busy")
    with pytest.raises(Refusal, match=str(task_id)) as refused:
        submit(workbench, work, "busy")
    assert refused.value.error is ErrorCode.INSTANCE_BUSY
    workbench.run(task_id, {work.key: work})
    workbench.run(submit(workbench, work, "busy"), {work.key: work})


def test_an_outdated_attempt_records_nothing(workbench: Workbench) -> None:
    """A worker that was paused in a step comes back after its successor has done the step, and the next one."""
    attempts = itertools.count(1)

    def slow(_context: Context) -> dict[str, int]:
        attempt = next(attempts)
        if attempt == 1:
            # Paused here: meanwhile another worker is given the task, and gets on with it.
            runner(workbench, work).run_step(task_id)
            runner(workbench, work).run_step(task_id)
        return {"attempt": attempt}

    work = operation(Step("slow", slow), Step("next", nothing), Step("last", nothing))
    task_id = submit(workbench, work)
    runner(workbench, work).run_step(task_id)
    first, second, third = workbench.steps(task_id)
    assert (first["status"], first["attempts"]) == ("Completed", 2)
    assert (second["status"], third["status"]) == ("Completed", "Planned")
    task = workbench.run(task_id, {work.key: work})
    assert task["status"] == "Completed"
    assert task["entities"]["outputs"]["slow"] == {"attempt": 2}


@pytest.mark.parametrize("goes_well", [True, False])
def test_what_must_be_seen_for_the_end_is_looked_at_before_anything_is_locked(
    workbench: Workbench, goes_well: bool
) -> None:
    written: list[str] = []

    def look(context: Context) -> str:
        """Another one may have the task's row now."""
        workbench.store.rows(b"select from task where id = %s for update nowait", [context.task_id])
        return "seen"

    ending: Ending[Any, NoParameters, str] = Ending(
        lambda _context, _connection, seen: written.append(seen), look
    )
    work = replace(
        operation(Step("only", nothing if goes_well else fail_times(10))),
        on_completed=ending,
        on_failed=ending,
    )
    assert run(workbench, work)["status"] == ("Completed" if goes_well else "Failed")
    assert written == ["seen"]


def test_an_outdated_attempt_looks_at_nothing(workbench: Workbench) -> None:
    """Who looks may resume a server, which is somebody else's by then."""
    attempts = itertools.count(1)
    looks: list[Context] = []

    def slow(_context: Context) -> None:
        if next(attempts) == 1:
            runner(workbench, work).run_step(task_id)

    ending: Ending[Any, NoParameters, None] = Ending(lambda _context, _connection, _seen: None, looks.append)
    work = replace(operation(Step("only", slow)), on_completed=ending)
    task_id = submit(workbench, work)
    assert workbench.run(task_id, {work.key: work})["status"] == "Completed"
    assert len(looks) == 1


def test_a_step_is_tried_again(workbench: Workbench) -> None:
    task = run(workbench, operation(Step("flaky", fail_times(2), attempts=3)))
    (step,) = workbench.steps(task["id"])
    assert (task["status"], step["status"], step["attempts"]) == ("Completed", "Completed", 3)
    assert step["error"] == "not yet", "the timeline shows what the last failed attempt said"


def test_a_step_that_cannot_succeed_is_not_tried_again(workbench: Workbench) -> None:
    def hopeless(_context: Context) -> None:
        raise StepFailed("no disk")

    ended: list[str] = []
    task = run(workbench, operation(Step("hopeless", hopeless, attempts=5), ended=ended))
    (step,) = workbench.steps(task["id"])
    assert (task["status"], task["fail_reason"]) == ("Failed", "hopeless failed: no disk")
    assert step["attempts"] == 2, "once to do, once to undo"
    assert ended == ["failed"]


def test_steps_are_undone_last_first_from_the_failed_one(workbench: Workbench) -> None:
    undone: list[str] = []
    steps = [
        Step(name, body, undo=lambda _context, name=name: undone.append(name), attempts=1)
        for name, body in (("a", nothing), ("b", nothing), ("c", fail_times(1)), ("d", nothing))
    ]
    task = run(workbench, operation(*steps))
    assert undone == ["c", "b", "a"]
    assert [step["status"] for step in workbench.steps(task["id"])] == [
        "Undone",
        "Undone",
        "Undone",
        "Planned",
    ]


def test_an_undo_that_fails_does_not_stop_the_others(workbench: Workbench) -> None:
    undone: list[str] = []

    def stuck(_context: Context) -> None:
        raise RuntimeError("stuck")

    task = run(
        workbench,
        operation(
            Step("a", nothing, undo=lambda _: undone.append("a")),
            Step("b", nothing, undo=stuck, attempts=1),
            Step("c", fail_times(1), attempts=1),
        ),
    )
    assert undone == ["a"]
    assert task["status"] == "Failed"
    assert task["fail_reason"] == "c failed: not yet Then it could not be undone: b: stuck"
    assert [step["status"] for step in workbench.steps(task["id"])] == ["Undone", "UndoFailed", "Undone"]


def test_a_step_that_takes_its_worker_down_is_given_up(workbench: Workbench) -> None:
    class Killed(BaseException):
        """As if the process had died: nothing of it is recorded."""

    def deadly(_context: Context) -> None:
        raise Killed

    work = operation(Step("deadly", deadly))
    task_id = submit(workbench, work)
    for _ in range(10):
        with pytest.raises(Killed):
            runner(workbench, work).run_step(task_id)
    task = workbench.run(task_id, {work.key: work})
    assert (task["status"], task["fail_reason"]) == (
        "Failed",
        "deadly failed: the worker died in it 10 times",
    )


def test_the_store_going_away_is_not_the_steps_failure(workbench: Workbench) -> None:
    calls = itertools.count()

    def cut_off(_context: Context) -> None:
        if next(calls) == 0:
            raise psycopg.OperationalError("the connection is lost")

    work = operation(Step("cut off", cut_off, attempts=1))
    task_id = submit(workbench, work)
    with pytest.raises(psycopg.OperationalError):
        runner(workbench, work).run_step(task_id)
    assert workbench.run(task_id, {work.key: work})["status"] == "Completed"


def test_the_watchdog_queues_what_fell_out_of_the_queue(workbench: Workbench) -> None:
    work = operation(Step("only", nothing))
    task_id = submit(workbench, work)
    with workbench.store.transaction() as connection:
        connection.execute(b"delete from due_step where task_id = %s", [task_id])
        late = dt.timedelta(seconds=GRACE + 1)
        connection.execute(
            b"update task set changed_at = now() - %s::interval where id = %s", [late, task_id]
        )
    return_lost_steps(workbench.store, workbench.queue, worker_timeout=1)
    assert jobs(workbench, task_id) == ["waits"]
    return_lost_steps(workbench.store, workbench.queue, worker_timeout=1)
    assert jobs(workbench, task_id) == ["waits"], "what is queued is not queued twice"
    workbench.run(task_id, {work.key: work})


@pytest.mark.parametrize("silent", [True, False])
def test_the_watchdog_returns_the_steps_of_silent_workers_only(workbench: Workbench, silent: bool) -> None:
    work = operation(Step("only", nothing))
    task_id = submit(workbench, work)
    age = dt.timedelta(seconds=5 if silent else 0)
    with workbench.store.transaction() as connection:
        worker = uuid.uuid4()
        connection.execute(
            b"insert into worker (id, host, seen_at) values (%s, 'local', now() - %s::interval)",
            [worker, age],
        )
        connection.execute(b"update due_step set worker = %s where task_id = %s", [worker, task_id])
    return_lost_steps(workbench.store, workbench.queue, worker_timeout=2)
    assert jobs(workbench, task_id) == (["waits"] if silent else ["at work"])
    workbench.run(task_id, {work.key: work})


def test_progress_never_goes_back_and_follows_what_steps_took(workbench: Workbench) -> None:
    """On the second run the long step is known to be long, and is worth most of the way."""
    shown: list[int] = []

    def look(context: Context) -> None:
        (task,) = workbench.store.rows(
            b"select *, clock_timestamp() as now from task where id = %s", [context.task_id]
        )
        shown.append(percent_done(task))

    def long(context: Context) -> None:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            look(context)

    work = operation(Step("short", look), Step("long", long), Step("short again", look))
    work = replace(work, key="test_progress")
    run(workbench, work)
    assert shown == sorted(shown)
    shown.clear()
    run(workbench, work)
    assert shown == sorted(shown)
    # Loose, for a busy machine, on which a short step may not be one.
    assert shown[0] < 50 <= shown[-1] <= 99


def test_progress_stands_still_while_a_task_unwinds(workbench: Workbench) -> None:
    shown: list[int] = []

    def look(context: Context) -> None:
        (task,) = workbench.store.rows(
            b"select *, clock_timestamp() as now from task where id = %s", [context.task_id]
        )
        shown.append(percent_done(task))

    run(
        workbench,
        operation(
            Step("a", look, undo=look),
            Step("b", look, undo=look),
            Step("c", fail_times(1), undo=look, attempts=1),
        ),
    )
    assert shown == sorted(shown)
    assert len(set(shown[2:])) == 1


def test_a_waiting_worker_is_woken_at_once(workbench: Workbench) -> None:
    """Acceptance notifies; nobody waits for a poll. The bound is loose, for a busy machine."""
    with psycopg.connect(workbench.store.dsn, autocommit=True) as listener:
        listener.execute("listen openrds_due")
        work = operation(Step("only", nothing))
        task_id = submit(workbench, work)
        (note, *_) = wait_for(lambda: list(listener.notifies(timeout=5, stop_after=1)), 10)
        assert note.payload == "local"
    workbench.run(task_id, {work.key: work})
