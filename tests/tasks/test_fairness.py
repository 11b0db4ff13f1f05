"""Slots are shared fairly between projects, and a step has a deadline, whatever it waits for."""

import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from test_tasks import nothing, operation, submit
from test_worker import SOON, running_worker

from openrds.domain.deadline import Deadline
from openrds.engines.postgresql.sessions import superuser_session
from openrds.hosts import commands
from openrds.hosts.processes import Process
from openrds.service.means import choose_users
from openrds.service.private_store import open_private_store
from openrds.store.database import Row
from openrds.tasks import worker as worker_module
from openrds.tasks.operation import Operation, Step, StepContext
from openrds.tasks.slots import Slots
from support.service import wait_for
from support.workbench import Workbench

SOON_OVER = Deadline(0.3)
NEVER = "3600"


@pytest.fixture(autouse=True)
def strict_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_DEADLINE_INTERVAL", 0.05)


class Gate:
    """Steps of some projects wait at it, those of others pass."""

    def __init__(self, *blocked: str) -> None:
        self.blocked = blocked
        self.waiting: set[UUID] = set()
        self._open = threading.Event()

    def pass_through(self, context: StepContext[Any, Any]) -> None:
        if context.project_id in self.blocked:
            self.waiting.add(context.task_id)
            self._open.wait()

    def open(self) -> None:
        self._open.set()

    def operation(self) -> Operation[Any, Any]:
        return operation(Step("first", self.pass_through), Step("second", nothing))


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate("greedy")
    yield gate
    gate.open()


def ended(bench: Workbench, task_id: UUID) -> Row:
    def look() -> Row | None:
        task = bench.task(task_id)
        return None if task["status"] == "Running" else task

    return wait_for(look, SOON, "the task")


def test_a_project_that_blocks_all_it_can_keeps_no_other_waiting(workbench: Workbench, gate: Gate) -> None:
    work = gate.operation()
    with running_worker(workbench, work):
        blocked = [submit(workbench, work, project_id="greedy") for _ in range(5)]
        wait_for(lambda: len(gate.waiting) == 2, SOON, "all slots are taken")
        for _ in range(3):
            others = [submit(workbench, work, project_id="modest") for _ in range(2)]
            assert [ended(workbench, task)["status"] for task in others] == ["Completed"] * 2
        assert len(gate.waiting) == 2
        gate.open()
        assert [ended(workbench, task)["status"] for task in blocked] == ["Completed"] * 5


def test_many_projects_that_block_keep_no_other_waiting(workbench: Workbench, gate: Gate) -> None:
    gate.blocked = tuple(f"greedy {number}" for number in range(5))
    work = gate.operation()
    with running_worker(workbench, work):
        blocked = [submit(workbench, work, project_id=project) for project in gate.blocked for _ in range(2)]
        wait_for(lambda: len(gate.waiting) >= 5, SOON, "each project has one at work")
        assert ended(workbench, submit(workbench, work, project_id="modest"))["status"] == "Completed"
        gate.open()
        assert [ended(workbench, task)["status"] for task in blocked] == ["Completed"] * 10


def test_the_project_that_has_the_least_at_work_comes_first(workbench: Workbench) -> None:
    """Twenty tasks of one project wait when another's comes: it is the next but one."""
    order: list[str] = []

    def note(context: StepContext[Any, Any]) -> None:
        order.append(context.project_id)
        time.sleep(0.01)

    work = operation(Step("only", note))
    many = [submit(workbench, work, project_id="greedy") for _ in range(20)]
    one = submit(workbench, work, project_id="modest")
    with running_worker(workbench, work, concurrency=1):
        for task_id in [*many, one]:
            ended(workbench, task_id)
    assert order.index("modest") <= 1


def test_the_oldest_task_of_a_project_is_finished_first(workbench: Workbench) -> None:
    order: list[UUID] = []
    work = operation(*(Step(name, lambda context: order.append(context.task_id)) for name in "abc"))
    tasks = [submit(workbench, work) for _ in range(4)]
    with running_worker(workbench, work, concurrency=1):
        for task_id in tasks:
            ended(workbench, task_id)
    assert order == [task_id for task_id in tasks for _ in range(3)]


def test_a_step_that_cannot_be_ended_keeps_no_slot(workbench: Workbench, gate: Gate) -> None:
    """Its task fails when it has really ended, and not before."""
    work = operation(Step("stuck", gate.pass_through, deadline=SOON_OVER))
    with running_worker(workbench, work, concurrency=1):
        stuck = submit(workbench, work, project_id="greedy")
        wait_for(lambda: gate.waiting, SOON, "it is stuck")
        second = submit(workbench, work, project_id="greedy")
        wait_for(lambda: len(gate.waiting) == 2, SOON, "the next one of the same project")
        assert workbench.task(stuck)["status"] == "Running"
        gate.open()
        # Having done its work after all, it is as good as any.
        assert {ended(workbench, task)["status"] for task in (stuck, second)} == {"Completed"}


def test_threads_are_bounded() -> None:
    slots = Slots(2)
    for number in range(slots.threads):
        assert slots.room() is not None
        slots.hold(uuid4(), f"project {number}")
    assert slots.room() is None


def test_a_program_is_killed_at_the_deadline_of_its_step(workbench: Workbench) -> None:
    started: list[int] = []
    undone: list[str] = []

    def run_program(_context: StepContext[Any, Any]) -> None:
        # The program is a child of a child, as initdb's are.
        with commands.running(
            ["sh", "-c", f"sleep {NEVER} & echo $!; wait"], stdout=subprocess.PIPE
        ) as shell:
            assert shell.stdout is not None
            started.append(int(shell.stdout.readline()))
            shell.wait()

    work = operation(
        Step("hang", run_program, undo=lambda _: undone.append("hang"), deadline=SOON_OVER, attempts=5)
    )
    with running_worker(workbench, work):
        task = ended(workbench, submit(workbench, work))
    assert task["status"] == "Failed"
    assert task["fail_reason"].startswith("hang failed: it was given up after 0.3 s")
    assert len(started) == 1, "what was given up is not tried again"
    assert undone == ["hang"]
    wait_for(lambda: Process.of(started[0]) is None, SOON, "the program is dead")


def test_a_statement_is_cancelled_at_the_deadline_of_its_step(workbench: Workbench) -> None:
    node = open_private_store(workbench.resources.settings, choose_users(workbench.resources.settings)).node

    def ask(_context: StepContext[Any, Any]) -> None:
        with superuser_session(node) as connection:
            connection.execute("select pg_sleep(%s)", [NEVER])

    work = operation(Step("ask", ask, deadline=SOON_OVER))
    with running_worker(workbench, work):
        task = ended(workbench, submit(workbench, work))
    assert task["status"] == "Failed"
    assert "given up after 0.3 s" in task["fail_reason"]


def test_a_step_that_gets_on_may_take_long(workbench: Workbench) -> None:
    """As long as its program moves bytes; one that stands still is given up."""
    busy, idle = "for i in $(seq 20); do echo $i; sleep 0.1; done", f"sleep {NEVER}"
    for script, status in ((busy, "Completed"), (idle, "Failed")):
        step = Step("copy", lambda _, script=script: run_shell(script), deadline=Deadline(600, idle=0.5))
        work = operation(step)
        with running_worker(workbench, work):
            assert ended(workbench, submit(workbench, work))["status"] == status


def run_shell(script: str) -> None:
    commands.run(["sh", "-c", script])
