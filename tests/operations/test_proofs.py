"""Six proofs over every registered operation, on real servers of each engine that there is.

Each step may run twice; a failure at each step, and a task that is cancelled in it, unwinds to nothing left; each undo
may run twice; a worker killed
before and after each step is succeeded by another, and the last one finishes the task; servers that die before and
after each step are brought back by whoever needs them, and the task succeeds.
"""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.errors import Refusal
from openrds.domain.instance import Confirmation, InstanceStatus, NodeRole, Wanted
from openrds.domain.instance_values import Node
from openrds.operations.intake.cancelling import cancel
from openrds.operations.registry import OPERATIONS
from openrds.operations.steps.replication import replicates_synchronously
from openrds.operations.steps.resources import Resources
from openrds.tasks.operation import Operation, Step, StepContext, StepFailed
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.mortal_worker import mortal_worker
from support.prepared import Prepared
from support.repositories import running_workbench_with_repository
from support.scenarios import SCENARIOS, Scenario
from support.service import wait_for
from support.workbench import Footprint, Operations, Workbench

#: The cases of an operation follow one another, so that an instance that was prepared for one serves the next.
pytestmark = pytest.mark.grouped_by("engine", "key")

#: What PostgreSQL has no use for.
OF_OTHERS = {"set_remote_connection"}
#: In these, engines do their own. The others are the same with any, and proved with PostgreSQL.
OWN = {
    "back_up",
    "change_accounts",
    "change_parameters",
    "change_replication_mode",
    "create_ha_instance",
    "create_instance",
    "create_replica",
    "rebuild_standby",
    "recycle_instance",
    "reset_password",
    "resize_pair",
    "restore_databases",
    "restore_instance",
    "restore_new_instance",
    "restore_tables",
    "set_remote_connection",
    "single_to_ha",
    "switch_ssl",
    "switchover",
    "upgrade_major",
}
#: Of them those that are proved in each way with an engine whose servers take seconds to start.
HARDEST = {"restore_tables", "single_to_ha", "switchover"}

Choice = dict[EngineName, set[str]]
OF_POSTGRESQL = OPERATIONS.keys() - OF_OTHERS
ALL: Choice = {EngineName.POSTGRESQL: OF_POSTGRESQL, EngineName.MARIADB: OWN, EngineName.MYSQL: OWN}
FEWER: Choice = {**ALL, EngineName.MYSQL: HARDEST}
#: Where each step takes the time in which servers start.
SLOWEST: Choice = {**FEWER, EngineName.MARIADB: HARDEST | OF_OTHERS}
FEWEST: Choice = {**FEWER, EngineName.MARIADB: OWN & OF_OTHERS, EngineName.MYSQL: set()}


def of_operations(choice: Choice) -> pytest.MarkDecorator:
    cases = [
        pytest.param(engine, key, id=f"{engine}-{key}", marks=needs_engine(engine))
        for engine, keys in choice.items()
        for key in OPERATIONS
        if key in keys
    ]
    return pytest.mark.parametrize(("engine", "key"), cases)


def of_steps(choice: Choice) -> pytest.MarkDecorator:
    cases = [
        pytest.param(engine, key, place, id=f"{engine}-{key}-{name}", marks=needs_engine(engine))
        for engine, keys in choice.items()
        for key in OPERATIONS
        if key in keys
        for place, name in enumerate(step.name.replace(" ", "_") for step in OPERATIONS[key].steps)
    ]
    return pytest.mark.parametrize(("engine", "key", "position"), cases)


#: Seconds in which every instance that is to serve must serve again.
BACK = 60.0

Body = Callable[[StepContext[Any, Any]], Any]


@pytest.fixture(scope="module")
def workbench() -> Iterator[Workbench]:
    """With a backup repository: a folder."""
    with running_workbench_with_repository() as bench:
        yield bench


@pytest.fixture
def bench(workbench: Workbench, engine: EngineName) -> Workbench:
    return workbench.speaking(DIALECTS[engine])


@pytest.fixture(scope="module")
def prepared(workbench: Workbench) -> Iterator[Prepared]:
    instances = Prepared(workbench)
    yield instances
    instances.clean_up()


def test_every_operation_has_a_scenario() -> None:
    assert SCENARIOS.keys() == OPERATIONS.keys()


def test_each_operation_is_proved() -> None:
    assert set().union(*ALL.values()) == OPERATIONS.keys()
    assert OPERATIONS.keys() >= OWN
    assert HARDEST <= OWN


@of_operations(ALL)
def test_each_step_may_run_twice(bench: Workbench, prepared: Prepared, key: str) -> None:
    scenario, task_id = begin(bench, prepared, key)
    operations = changed(key, lambda step, _: replace(step, do=twice(step.do)))
    task = bench.run(task_id, operations)
    assert task["status"] == "Completed", task["fail_reason"]
    scenario.check(bench, task["instance_id"])
    leave(bench, prepared, scenario, task["instance_id"])


@of_steps(FEWEST)
def test_a_failure_at_each_step_leaves_nothing(
    bench: Workbench, prepared: Prepared, key: str, position: int
) -> None:
    """The step fails at once. That it has done its work before is tried with undos that run twice."""
    prove_unwinding(bench, prepared, key, position, fail_before, lambda undo: undo)


@of_steps(FEWER)
def test_each_undo_may_run_twice(bench: Workbench, prepared: Prepared, key: str, position: int) -> None:
    prove_unwinding(bench, prepared, key, position, fail_after, twice)


@of_steps(FEWEST)
def test_cancelled_at_each_step_nothing_is_left(
    bench: Workbench, prepared: Prepared, key: str, position: int
) -> None:
    """It is cancelled when the step begins, which does its work all the same. Where that is too late it is refused."""
    scenario = SCENARIOS[key]
    instance_id = prepared.take(bench, scenario.prepare)
    before = bench.footprint()
    task_id = bench.submit(lambda intake: scenario.submit(intake, instance_id, bench))
    refused: list[str] = []

    def cancel_first(body: Body) -> Body:
        def run(context: StepContext[Any, Any]) -> Any:
            try:
                bench.submit(lambda intake: cancel(intake, OPERATIONS, str(task_id), "somebody"))
            except Refusal as refusal:
                refused.append(str(refusal))
            return body(context)

        return run

    def change(step: Step[Any, Any], place: int) -> Step[Any, Any]:
        return replace(step, do=cancel_first(step.do)) if place == position else step

    task = bench.run(task_id, changed(key, change))
    if came_too_far(key, position) or not OPERATIONS[key].cancellable:
        assert (task["status"], len(refused) > 0) == ("Completed", True), task["fail_reason"]
        leave(bench, prepared, scenario, task["instance_id"])
    else:
        assert (task["status"], task["fail_reason"]) == ("Failed", "It was cancelled by somebody")
        assert not refused
        assert {step["status"] for step in bench.steps(task_id)} <= {"Undone", "Planned"}
        check_unwound(bench, scenario, task["instance_id"], before)
        prepared.give_back(bench, scenario.prepare, instance_id, left=task["instance_id"])


@of_operations(FEWER)
def test_workers_killed_at_each_step_are_succeeded(bench: Workbench, prepared: Prepared, key: str) -> None:
    """Of one task, each step kills a worker when it begins, and another when it is done but not recorded."""
    scenario, task_id = begin(bench, prepared, key)
    for step in bench.steps(task_id):
        for when in ("before", "after"):
            with mortal_worker(bench.brief, f"{key}:{step['name']}:{step['node_id']}:{when}") as doomed:
                doomed.join(60)
                assert doomed.exitcode == -signal.SIGKILL
            assert bench.task(task_id)["status"] == "Running"
    with mortal_worker(bench.brief):
        wait_for(lambda: bench.task(task_id)["status"] != "Running", 60, f"the end of {task_id}")
    task = bench.task(task_id)
    assert task["status"] == "Completed", task["fail_reason"]
    assert {step["attempts"] for step in bench.steps(task_id)} == {3}
    scenario.check(bench, task["instance_id"])
    leave(bench, prepared, scenario, task["instance_id"])


@pytest.mark.timeout(900)
@of_operations(SLOWEST)
def test_servers_that_die_at_each_step_are_brought_back(
    bench: Workbench, prepared: Prepared, key: str
) -> None:
    """All of them die twice in each step of one task, which ends well all the same."""
    scenario, task_id = begin(bench, prepared, key)
    # Nobody is to take this worker for dead, which lives.
    settings = replace(bench.resources.settings, worker_timeout=60.0)
    with mortal_worker(replace(bench.brief, settings=settings), f"{key}:*:*:servers"):
        wait_for(lambda: bench.task(task_id)["status"] != "Running", 600, f"the end of {task_id}")
        task = bench.task(task_id)
        assert task["status"] == "Completed", task["fail_reason"]
        wait_for(lambda: not down(bench), BACK, "all servers that shall serve to be there")
    scenario.check(bench, task["instance_id"])
    leave(bench, prepared, scenario, task["instance_id"])


def down(bench: Workbench) -> list[str]:
    """The instances that are to serve and do not, or whose servers are just being brought back."""
    resources = bench.resources
    return [
        one.id
        for one in bench.instances()
        if one.wanted is Wanted.SERVING
        and (
            one.status is not InstanceStatus.ACTIVE
            or bench.footprint().locks
            or not all(serves(resources, one.id, node) for node in resources.view.nodes(one.id))
        )
    ]


def serves(resources: Resources, instance_id: str, node: Node) -> bool:
    """A standby of an instance that replicates synchronously confirms too."""
    synchronous = replicates_synchronously(resources.view.instance(instance_id))
    confirms = node.role != NodeRole.SLAVE or not synchronous or node.confirmation == Confirmation.YES
    return confirms and resources.node_server(instance_id, node.id).answers()


def prove_unwinding(
    bench: Workbench,
    prepared: Prepared,
    key: str,
    position: int,
    fail: Callable[[Body], Body],
    wrap_undo: Callable[[Body], Body],
) -> None:
    scenario = SCENARIOS[key]
    instance_id = prepared.take(bench, scenario.prepare)
    before = bench.footprint()
    task_id = bench.submit(lambda intake: scenario.submit(intake, instance_id, bench))

    def change(step: Step[Any, Any], place: int) -> Step[Any, Any]:
        step = replace(step, undo=wrap_undo(step.undo))
        return replace(step, do=fail(step.do)) if place == position else step

    task = bench.run(task_id, changed(key, change))
    assert task["status"] == "Failed"
    assert "on purpose" in task["fail_reason"]
    last_done = position - 1 if fail is fail_before else position
    if came_too_far(key, last_done):
        check_halted(bench, scenario, task["instance_id"])
        leave(bench, prepared, scenario, task["instance_id"])
    else:
        check_unwound(bench, scenario, task["instance_id"], before)
        prepared.give_back(bench, scenario.prepare, instance_id, left=task["instance_id"])


def leave(bench: Workbench, prepared: Prepared, scenario: Scenario, instance_id: str) -> None:
    if scenario.repeatable:
        prepared.give_back(bench, scenario.prepare, instance_id, left=instance_id)
    else:
        prepared.clean_up()


def check_unwound(bench: Workbench, scenario: Scenario, instance_id: str, before: Footprint) -> None:
    instance = bench.instance(instance_id)
    assert instance is not None
    assert bench.footprint() == before
    assert before.locks == 0
    assert instance.status == scenario.failed_status
    assert not instance.deleting
    scenario.check_failed(bench, instance_id)


def check_halted(bench: Workbench, scenario: Scenario, instance_id: str) -> None:
    """From a step behind which there is no way back the instance comes out whole, or says that it is not."""
    instance = bench.instance(instance_id)
    assert instance is not None
    assert bench.footprint().locks == 0
    assert instance.status in (InstanceStatus.ACTIVE, InstanceStatus.FAILED)
    if instance.status == InstanceStatus.ACTIVE:
        scenario.check_failed(bench, instance_id)


def came_too_far(key: str, last_done: int) -> bool:
    """Whether a step behind which there is no way back did something."""
    return any(step.final for step in OPERATIONS[key].steps[: last_done + 1])


def begin(bench: Workbench, prepared: Prepared, key: str) -> tuple[Scenario, UUID]:
    scenario = SCENARIOS[key]
    instance_id = prepared.take(bench, scenario.prepare)
    return scenario, bench.submit(lambda intake: scenario.submit(intake, instance_id, bench))


def changed(key: str, change: Callable[[Step[Any, Any], int], Step[Any, Any]]) -> Operations:
    operation: Operation[Any, Any] = OPERATIONS[key]
    steps = tuple(change(step, position) for position, step in enumerate(operation.steps))
    return {**OPERATIONS, key: replace(operation, steps=steps)}


def twice(body: Body) -> Body:
    def run(context: StepContext[Any, Any]) -> Any:
        body(context)
        return body(context)

    return run


def fail_before(_body: Body) -> Body:
    def run(_context: StepContext[Any, Any]) -> Any:
        raise StepFailed("on purpose")

    return run


def fail_after(body: Body) -> Body:
    def run(context: StepContext[Any, Any]) -> Any:
        body(context)
        raise StepFailed("on purpose")

    return run
