"""Which nodes steps are of: see `openrds.tasks.operation.Step`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from openrds.domain.instance_values import Instance, Node
from openrds.operations.steps.resources import Resources
from openrds.tasks.operation import Of, P, StepContext

Undo = Callable[[StepContext[Resources, P]], None]


def each_node(nodes: Sequence[Node], _parameters: Any) -> Sequence[Node]:
    """All that the task holds, the primary of its instance first."""
    return nodes


def the_standby(nodes: Sequence[Node], _parameters: Any) -> Sequence[Node]:
    """The other node of the task's instance."""
    return [node for node in nodes[1:] if node.instance_id == nodes[0].instance_id]


def named(parameter: str) -> Of:
    """The node whose id is a parameter of the task."""

    def of(nodes: Sequence[Node], parameters: Any) -> Sequence[Node]:
        return [node for node in nodes if node.id == getattr(parameters, parameter)]

    return of


def node_of(context: StepContext[Resources, P]) -> tuple[Instance, Node]:
    """The node that a step is of, and the instance that has it: the task's, or another that the task holds.

    Raises:
        StepFailed: it is gone.
    """
    view = context.resources.view
    node = view.find_node(context.node_id)
    return view.instance(node.instance_id), node


def once_at_the_end(undo: Undo[P]) -> Undo[P]:
    """Undo what was done to each node at once, when the primary's turn comes: it was the first, and is the last."""

    @functools.wraps(undo)
    def run(context: StepContext[Resources, P]) -> None:
        if context.node_id == context.resources.view.primary(context.instance_id).id:
            undo(context)

    return run
