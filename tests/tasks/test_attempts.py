"""How often a step is tried, and how long is waited in between. The numbers are those of docs/architecture.md."""

import time
from collections.abc import Iterator

import pytest
from test_tasks import Context, operation, run, runner, submit

from openrds.tasks.operation import Step
from support.workbench import Workbench


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses that would be made, and are not."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    yield made


class Failing:
    """A body that always fails, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _context: Context) -> None:
        self.calls += 1
        raise RuntimeError(f"failure {self.calls}")


def test_a_step_is_tried_three_times_unless_it_says_otherwise(
    workbench: Workbench, pauses: list[float]
) -> None:
    body = Failing()
    task = run(workbench, operation(Step("only", body)))
    assert (task["status"], task["fail_reason"]) == ("Failed", "only failed: failure 3")
    assert body.calls == 3
    assert pauses == [0.2, 0.4]


@pytest.mark.parametrize("attempts", [1, 2, 8])
def test_a_step_is_tried_as_often_as_it_says(
    workbench: Workbench, pauses: list[float], attempts: int
) -> None:
    """The pause doubles, up to 3.2 seconds."""
    body = Failing()
    task = run(workbench, operation(Step("only", body, attempts=attempts)))
    assert task["status"] == "Failed"
    assert body.calls == attempts
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2][: attempts - 1]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_an_undo_is_tried_three_times(workbench: Workbench, pauses: list[float], attempts: int) -> None:
    """However often the step was tried."""
    body, undo = Failing(), Failing()
    task = run(workbench, operation(Step("only", body, undo=undo, attempts=attempts)))
    assert (task["status"], body.calls, undo.calls) == ("Failed", attempts, 3)
    assert task["fail_reason"].endswith("Then it could not be undone: only: failure 3")
    assert len(pauses) == attempts - 1 + 2


def test_an_undo_that_takes_its_worker_down_is_given_up_after_as_many_beginnings_again(
    workbench: Workbench,
) -> None:
    class Killed(BaseException):
        pass

    deaths: list[str] = []

    def deadly(_context: Context) -> None:
        deaths.append("undo")
        raise Killed

    work = operation(Step("only", Failing(), undo=deadly, attempts=1))
    task_id = submit(workbench, work)
    runner(workbench, work).run_step(task_id)
    while workbench.task(task_id)["status"] == "Running" and len(deaths) < 50:
        try:
            runner(workbench, work).run_step(task_id)
        except Killed:
            continue
    assert workbench.task(task_id)["status"] == "Failed"
    assert len(deaths) == 19, "20 beginnings, of which the first was that of the step"


def test_a_step_is_shown_for_what_is_done_with_it(workbench: Workbench) -> None:
    shown: list[list[str]] = []

    def look(context: Context) -> None:
        shown.append([step["status"] for step in workbench.steps(context.task_id)])

    steps = Step("first", look, undo=look), Step("second", Failing(), undo=look, attempts=1)
    task = run(workbench, operation(*steps))
    shown.append([step["status"] for step in workbench.steps(task["id"])])
    assert shown == [
        ["Running", "Planned"],
        ["Completed", "Undoing"],
        ["Undoing", "Undone"],
        ["Undone", "Undone"],
    ]
