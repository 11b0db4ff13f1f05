"""Where calls that change something come in: find the instance, check that the call may run, accept its task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, Wanted, is_instance_id
from openrds.domain.instance_values import Instance
from openrds.domain.settings import Settings
from openrds.domain.statuses import check_allowed
from openrds.domain.task import TaskName
from openrds.operations.intake.quotas import check_tasks
from openrds.operations.intake.sight import Sight
from openrds.operations.steps.status import set_status, set_wanted
from openrds.store.database import Writer
from openrds.store.instances import lock_instance, nodes_of
from openrds.tasks.accept import Work, accept, check_free
from openrds.tasks.operation import Operation, Output
from openrds.tasks.queue import Queue


class NoParameters(msgspec.Struct, frozen=True):
    """For an operation that is told all by the instance it runs on."""


def check_writable(instance: Instance) -> None:
    """
    Raises:
        Refusal: STATUS_FORBIDS, its owner had it made read-only, and what is to be done writes as others do.
    """
    if instance.read_only:
        raise Refusal(
            ErrorCode.STATUS_FORBIDS,
            "The instance is read-only; PUT readonly-status lets it be written again.",
        )


@dataclass(frozen=True)
class Intake:
    """A mutating call while it is being accepted: its transaction and its project.

    `by_caller`: what a project may have running bounds it. What openrds does by itself is not bounded.
    """

    connection: Writer
    queue: Queue
    settings: Settings
    project_id: str
    by_caller: bool = False
    sight: Sight | None = None

    def instance(self, instance_id: str, *, frozen_too: bool = False) -> Instance:
        """The instance, locked until the call is accepted.

        Raises:
            Refusal: INSTANCE_ID_FORMAT, INSTANCE_NOT_FOUND or, as nothing of it is a caller's to change then, FROZEN.
        """
        if not is_instance_id(instance_id):
            raise Refusal(
                ErrorCode.INSTANCE_ID_FORMAT, "An instance id is 32 hexadecimal digits, `in` and 2 digits."
            )
        found = lock_instance(self.connection, instance_id, self.project_id)
        if found is None:
            raise Refusal(ErrorCode.INSTANCE_NOT_FOUND, f"There is no instance {instance_id}.")
        if found.status is InstanceStatus.FROZEN and self.by_caller and not frozen_too:
            raise Refusal(ErrorCode.FROZEN)
        return found

    def admit(self, instance_id: str, operation: Operation[Any, Any]) -> Instance:
        """The instance, locked, on which an operation may run now.

        Raises:
            Refusal: there is none, or not now: see `instance` and `check`.
        """
        found = self.instance(instance_id, frozen_too=True)
        self.check(found, operation)
        return found

    def check(self, instance: Instance, operation: Operation[Any, Any]) -> None:
        """Refuse an operation while a task holds the instance, or when its status does not allow it.

        Raises:
            Refusal: INSTANCE_BUSY, FROZEN or STATUS_FORBIDS.
        """
        assert operation.action is not None, f"no caller asks for {operation.key}"
        check_free(self.connection, instance.id)
        check_allowed(operation.action, instance.status)

    def accept(
        self,
        instance: Instance,
        operation: Operation[Any, Any],
        parameters: msgspec.Struct | None = None,
        entities: Output | None = None,
        also_held: Sequence[str] = (),
        *,
        name: TaskName | None = None,
        keeps_status: bool = False,
    ) -> UUID:
        """Accept a task on an instance, which has the operation's status from now on. The task may hold others too.

        `name` is another of the names of the operation. With `keeps_status` the instance stays what it is.

        Raises:
            Refusal: INSTANCE_BUSY; QUOTA, when the project has as many tasks as it may have.
        """
        if self.by_caller:
            check_tasks(self.connection, self.project_id, self.settings)
        work = Work(
            operation=operation,
            name=(name or operation.name).on(instance.engine),
            project_id=instance.project_id,
            instance_id=instance.id,
            instance_name=instance.name,
            nodes=[node for id_ in (instance.id, *also_held) for node in nodes_of(self.connection, id_)],
            parameters=parameters or NoParameters(),
            entities=entities or {},
            also_held=also_held,
        )
        task_id = accept(self.connection, self.queue, work)
        if not keeps_status and operation.status not in (None, instance.status):
            self.set_status(instance, operation.status)
        return task_id

    def attempt(self, instance_id: str, submit: Callable[["Intake", str], UUID]) -> UUID | None:
        """The task, or None where the call is refused: then nothing of it is written."""
        try:
            with self.connection.transaction():
                return submit(self, instance_id)
        except Refusal:
            return None

    def set_status(self, instance: Instance, status: InstanceStatus, *, deleting: bool = False) -> None:
        set_status(self.connection, instance.id, status, deleting=deleting)

    def set_wanted(self, instance: Instance, wanted: Wanted) -> None:
        set_wanted(self.connection, instance.id, wanted)
