"""What an operation is made of: steps with their undo, and what happens when the task ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from openrds.domain.deadline import ORDINARY, Deadline
from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Node
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.store.database import Writer

R = TypeVar("R")
P = TypeVar("P", bound=msgspec.Struct)
S = TypeVar("S")

#: What a step hands to later steps and to a second run of itself: JSON values by name.
Output = Mapping[str, Any]
#: Which nodes a step is of: among those of the instances that its task holds, the primary of its own first, and by
#: what the task was told.
Of = Callable[[Sequence[Node], Any], Sequence[Node]]


class StepFailed(Exception):  # noqa: N818 - the outcome of a step, not a fault in the program
    """The step cannot succeed however often it is tried; the message becomes the task's `fail_reason`."""


@dataclass(frozen=True)
class TaskContext(Generic[P]):
    """What is known of a task: its parameters, and the outputs of its steps, keyed by their names."""

    task_id: UUID
    project_id: str
    instance_id: str
    parameters: P
    outputs: Mapping[str, Output]


@dataclass(frozen=True)
class StepContext(TaskContext[P], Generic[R, P]):
    """What a step knows: its task, the node that it is of, the outputs of the steps before it, and the means to act.

    `node_id` is empty where a task ends. `resources` is whatever the service gives its operations.
    """

    node_id: str
    resources: R


def the_primary(nodes: Sequence[Node], _parameters: Any) -> Sequence[Node]:
    """The node that served the clients of the task's instance when it was accepted."""
    return nodes[:1]


def nothing_to_undo(_context: StepContext[Any, Any]) -> None:
    """For a step that leaves nothing behind, or that is final."""


@dataclass(frozen=True)
class Step(Generic[R, P]):
    """One idempotent piece of an operation, about one node and done by the host of that.

    It is planned for each node that it is `of`, one after the other; each has the same name.
    `do` and `undo` may each be called again after they were cut off at any point, or after they were done but
    not recorded; they must then find what is done and go on. `undo` is also called for a step that failed
    half-way. `attempts` bounds the tries of `do`; `expected` is a first guess of its seconds, replaced by what
    this installation measures. Either is given up at its `deadline`: see `openrds.domain.deadline`.
    Behind a `final` step there is no way back: what is undone then leaves the instance whole, or saying that it is not.
    """

    name: str
    do: Callable[[StepContext[R, P]], Output | None]
    undo: Callable[[StepContext[R, P]], None] = nothing_to_undo
    of: Of = the_primary
    attempts: int = 3
    expected: float = 0.05
    deadline: Deadline = ORDINARY
    final: bool = False


def nothing_to_see(_context: StepContext[Any, Any]) -> Any:
    """For an ending that needs to know no more than its task."""


@dataclass(frozen=True)
class Ending(Generic[R, P, S]):
    """How a task ends: what must be seen for it is looked at first, and then it is written down.

    `look` may ask servers, the host and the store, and may be called again. `write` gets what it saw, inside the
    transaction that ends the task, and acts by its connection alone: it has no resources. It returns what the task's
    `entities` gain, if it went well. `statuses` are those in which it may leave an instance; with none it is left as
    it is, or is no more.
    """

    write: Callable[[TaskContext[P], Writer, S], Output | None]
    look: Callable[[StepContext[R, P]], S] = nothing_to_see
    statuses: frozenset[InstanceStatus] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[R, P]):
    """A kind of task. `key` names it in the store and must never change.

    `name` is the contract's, and `also_named` what else its tasks may be called. `action` is what the table of
    statuses is asked before a caller gets it: nothing for what openrds alone begins, and where there is no instance
    yet. `status` is what the instance is while it runs: nothing where it stays what it was. With `keeps_parameters` the
    record of a completed task tells what was done, so they hold nothing secret.

    Its endings settle what becomes of the instance. Of one that is not `cancellable` the operator alone decides.
    """

    key: str
    name: TaskName
    also_named: tuple[TaskName, ...] = ()
    action: Action | None = None
    cancellable: bool = True
    status: InstanceStatus | None = None
    parameters: type[P]
    keeps_parameters: bool = False
    steps: tuple[Step[R, P], ...]
    on_completed: Ending[R, P, Any]
    on_failed: Ending[R, P, Any]

    def step(self, name: str) -> Step[R, P]:
        """The step of that name; one that was planned by another version, and is no more, fails."""
        return next((step for step in self.steps if step.name == name), Step(name, _is_no_more))


def _is_no_more(_context: StepContext[Any, Any]) -> None:
    raise StepFailed("this version of openrds has no such step; ask for it again")
