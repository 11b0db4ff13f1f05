"""Accept work: one transaction writes the task, its steps, the instance's lock and the first step's job."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils
from psycopg.types.json import Jsonb

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Node
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Output, Step
from openrds.tasks.queue import Queue

_sql = Queries("tasks")


@dataclass(frozen=True)
class Work:
    """A task to be: what to do to which instance.

    `nodes` are those of all instances that it holds, of its own first, and of that the primary.
    `name` is the contract's task name, `entities` what a caller sees of its aim from the start. `also_held` are the
    ids of other instances that nothing else may change meanwhile.
    """

    operation: Operation[Any, Any]
    name: str
    project_id: str
    instance_id: str
    instance_name: str
    nodes: Sequence[Node]
    parameters: msgspec.Struct
    entities: Output = field(default_factory=dict)
    order_id: str = ""
    also_held: Sequence[str] = ()


def accept(connection: Writer, queue: Queue, work: Work) -> UUID:
    """Write a task that will run once the caller's transaction commits, and return its id.

    Raises:
        Refusal: INSTANCE_BUSY, when another task holds the instance.
    """
    task_id = UUID(str(uuid_utils.uuid7()))
    for instance_id in (work.instance_id, *work.also_held):
        take_lock(connection, instance_id, task_id)
    connection.execute(
        _sql.insert_task,
        {
            "id": task_id,
            "project_id": work.project_id,
            "operation": work.operation.key,
            "name": work.name,
            "instance_id": work.instance_id,
            "instance_name": work.instance_name,
            "order_id": work.order_id,
            "parameters": Jsonb(msgspec.to_builtins(work.parameters)),
            "entities": Jsonb(work.entities),
            "now": _moment_of(task_id),
        },
    )
    planned = _plan(work)
    connection.execute(
        _sql.insert_steps,
        {
            "task_id": task_id,
            "operation": work.operation.key,
            "names": [step.name for step, _ in planned],
            "node_ids": [node.id for _, node in planned],
            "hosts": [node.host for _, node in planned],
            "first_guesses": [step.expected for step, _ in planned],
        },
    )
    queue.enqueue(connection, task_id, work.project_id, planned[0][1].host)
    return task_id


def _plan(work: Work) -> list[tuple[Step[Any, Any], Node]]:
    return [(step, node) for step in work.operation.steps for node in step.of(work.nodes, work.parameters)]


def take_lock(connection: Writer, instance_id: str, task_id: UUID) -> None:
    lock = {"instance_id": instance_id, "task_id": task_id}
    if connection.execute(_sql.take_lock, lock).fetchone() is None:
        check_free(connection, instance_id)
        raise Refusal(ErrorCode.INSTANCE_BUSY)


def check_free(connection: Writer, instance_id: str) -> None:
    """
    Raises:
        Refusal: INSTANCE_BUSY, naming the task that holds the instance.
    """
    holder = connection.execute(_sql.lock_holder, [instance_id]).fetchone()
    if holder is not None:
        running = f"{holder['name']} ({holder['id']})"
        raise Refusal(
            ErrorCode.INSTANCE_BUSY, f"{running} is running on the instance; wait until it has ended."
        )


def _moment_of(task_id: UUID) -> dt.datetime:
    """The creation time is the id's own, so that windows on ids and on times agree."""
    return dt.datetime.fromtimestamp((task_id.int >> 80) / 1000, tz=dt.UTC)
