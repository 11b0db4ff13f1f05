"""What the operations say of themselves: who asks for them, and that each status has a way back to rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from openrds.domain.instance import InstanceStatus as Status
from openrds.domain.statuses import ALLOWED, Action
from openrds.domain.task import TaskName
from openrds.operations.registry import OPERATIONS
from openrds.tasks.operation import Ending, Operation

ALL = list(OPERATIONS.values())

#: What instances are while an operation runs on them.
BUSY = {one.status for one in ALL if one.status is not None}


def endings(one: Operation[Any, Any]) -> tuple[Ending[Any, Any, Any], ...]:
    return one.on_completed, one.on_failed


#: What endings leave. An instance without room is STORAGE FULL in the place of ACTIVE.
AT_REST = {status for one in ALL for ending in endings(one) for status in ending.statuses} | {
    Status.STORAGE_FULL
}


def next_to(status: Status) -> Iterator[Status]:
    """What an instance becomes when something that is allowed is asked for, and goes well."""
    for one in ALL:
        if one.action is not None and status in ALLOWED[one.action]:
            yield from one.on_completed.statuses


def reachable_from(start: Status) -> set[Status]:
    found: set[Status] = set()
    todo = [start]
    while todo:
        status = todo.pop()
        if status not in found:
            found.add(status)
            todo.extend(next_to(status))
    return found


@pytest.mark.parametrize("one", [one for one in ALL if one.status], ids=lambda one: one.key)
def test_who_gives_a_status_takes_it_back_however_it_ends(one: Operation[Any, Any]) -> None:
    assert all(ending.statuses for ending in endings(one))


def test_no_ending_leaves_what_only_a_running_task_gives() -> None:
    assert not AT_REST & BUSY


@pytest.mark.parametrize("status", sorted(AT_REST))
def test_each_status_at_rest_allows_something(status: Status) -> None:
    assert any(status in allowed for allowed in ALLOWED.values())


def test_only_what_was_never_made_does_not_come_to_serve() -> None:
    """All others do by what a caller may ask for, even if openrds itself did nothing."""
    assert {status for status in AT_REST if Status.ACTIVE not in reachable_from(status)} == {
        Status.CREATE_FAIL
    }
    assert Status.CREATE_FAIL in ALLOWED[Action.DELETE]


def test_what_may_run_is_said_of_no_other_statuses_than_there_are() -> None:
    assert frozenset[Status]().union(*ALLOWED.values()) <= AT_REST | BUSY


def test_each_action_is_asked_for_by_an_operation() -> None:
    assert {one.action for one in ALL if one.action is not None} == set(Action)


def test_each_name_of_a_task_is_an_operation_s() -> None:
    assert {name for one in ALL for name in (one.name, *one.also_named)} == set(TaskName)


def test_keys_are_those_of_the_registry() -> None:
    assert [one.key for one in ALL] == list(OPERATIONS)
    assert len({one.key for one in ALL}) == len(ALL)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_a_step_is_found_by_its_name(one: Operation[Any, Any]) -> None:
    names = [step.name for step in one.steps]
    assert len(set(names)) == len(names)
    assert [one.step(name) for name in names] == list(one.steps)
