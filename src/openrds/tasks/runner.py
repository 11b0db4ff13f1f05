"""Run a task one step at a time. Only this module writes the state of tasks and steps.

Each call takes the task's next step, does it, and in one transaction records it and makes the step after it
due. A step that keeps failing turns the task round: the steps that were done are undone, last first.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from openrds.domain.deadline import Countdown
from openrds.domain.task import StepStatus, TaskStatus
from openrds.store.database import Row, Store, Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, StepFailed, nothing_to_see
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("tasks")

_UNDO_ATTEMPTS = 3
#: Seconds to wait after the first failed attempt; it doubles with each further one.
_BACKOFF = 0.2

#: A step begun this often without an end takes its worker down with it, and is given up.
_MOST_BEGINNINGS = 10

_TO_DO = (StepStatus.PLANNED, StepStatus.RUNNING)
_TO_UNDO = (StepStatus.RUNNING, StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.UNDOING)


@dataclass(frozen=True)
class Attempt:
    """One try at one step: the right to record what came of it, until a later attempt begins."""

    task: Row
    steps: Sequence[Row]
    step: Row | None

    @property
    def task_id(self) -> UUID:
        id_: UUID = self.task["id"]
        return id_

    @property
    def undoing(self) -> bool:
        return bool(self.task["unwinding"])

    def followed_by(self, status: StepStatus) -> "Attempt":
        """The task as it stands once this attempt's step has its new status."""
        assert self.step is not None
        position = self.step["position"]
        steps = [step | {"status": status} if step["position"] == position else step for step in self.steps]
        unwinding = self.undoing or status is StepStatus.FAILED
        return Attempt(self.task | {"unwinding": unwinding}, steps, None)


#: Takes the next attempt of a worker, within a transaction.
Take = Callable[[Writer], Attempt | None]


def nothing_more(_connection: Writer) -> None:
    """For who runs one step alone."""


class Runner:
    """Runs steps for the operations it is given, with the resources it is given."""

    def __init__(
        self, store: Store, queue: Queue, operations: Mapping[str, Operation[Any, Any]], resources: object
    ) -> None:
        self._store = store
        self._queue = queue
        self._operations = operations
        self._resources = resources
        #: The attempts that are being made.
        self._countdowns: dict[Countdown, Attempt] = {}

    def run_step(self, task_id: UUID) -> None:
        """Take the next step of a task, and see it to a recorded end."""
        attempt = self._begin_anew(task_id)
        while attempt is not None:
            attempt = self.pursue(attempt)

    def begin(self, connection: Writer, task_id: UUID) -> Attempt | None:
        """Begin an attempt at whatever is due; nothing when the task has ended."""
        task = connection.execute(_sql.begin_attempt, [task_id]).fetchone()
        if task is None:
            return None
        if task["cancelled_by"] and not task["unwinding"]:
            self._turn_round(connection, task_id, _cancelled(task["cancelled_by"]))
            task = task | {"unwinding": True}
        steps = connection.execute(_sql.steps, [task_id]).fetchall()
        step = _due(task, steps)
        if step is not None:
            status = StepStatus.UNDOING if task["unwinding"] else StepStatus.RUNNING
            connection.execute(
                _sql.start_step, {"task_id": task_id, "position": step["position"], "status": status}
            )
            step = step | {"attempts": step["attempts"] + 1}
        return Attempt(task, steps, step)

    def pursue(self, attempt: Attempt, take: Take = nothing_more) -> Attempt | None:
        """Do or undo one step, and return the attempt that follows: another one at it, or else what `take` gives.

        `take` is called in the transaction that records how the step ended.
        """
        operation = self._operations[attempt.task["operation"]]
        context = self._context(operation, attempt)
        if attempt.step is None:
            # Nothing is due, yet the task has not ended: its end was cut off after the last step was recorded.
            go_on = self._what_follows(attempt, operation, context)
            return self._write(attempt, lambda connection, _: go_on(connection), take)
        step = operation.step(attempt.step["name"])
        try:
            _check_survivable(attempt.step, undoing=attempt.undoing)
            with self._timed(attempt, step):
                output = (step.undo if attempt.undoing else step.do)(context)
        except psycopg.OperationalError:
            # The store went away in the middle; who runs us makes the step due again when it answers.
            raise
        except Exception as error:
            return self._failed(attempt, operation, step, error, take)
        return self._succeeded(attempt, operation, context, output, take)

    def give_up_cancelled(self, task_id: UUID) -> None:
        """Give up the step that is being done of a task that was cancelled, so that it is undone.

        One behind which there is no way back is not.
        """
        for countdown, attempt in tuple(self._countdowns.items()):
            if attempt.task_id == task_id and not attempt.undoing and not self._step_of(attempt).final:
                logger.info("task %s: a step is given up, as the task was cancelled", task_id)
                countdown.expire()

    def give_up_overdue(self) -> set[UUID]:
        """Give up the steps that have had their time, and say of which tasks such ones have still not ended."""
        for countdown, attempt in tuple(self._countdowns.items()):
            if countdown.is_over():
                if not countdown.has_expired:
                    given = _allowance(countdown)
                    logger.warning("task %s: a step is given up after %s", attempt.task_id, given)
                countdown.expire()
        countdowns = tuple(self._countdowns.items())
        return {attempt.task_id for countdown, attempt in countdowns if countdown.has_expired}

    def _step_of(self, attempt: Attempt) -> Step[Any, Any]:
        assert attempt.step is not None
        return self._operations[attempt.task["operation"]].step(attempt.step["name"])

    @contextmanager
    def _timed(self, attempt: Attempt, step: Step[Any, Any]) -> Iterator[None]:
        """Time the step in the block. Whatever it fails with when it was given up, that is why."""
        countdown = Countdown(step.deadline)
        self._countdowns[countdown] = attempt
        try:
            with countdown.running():
                yield
        except Exception as error:
            if not countdown.has_expired:
                raise
            raise StepFailed(f"it was given up after {_allowance(countdown)} ({_message(error)})") from error
        finally:
            del self._countdowns[countdown]

    def _begin_anew(self, task_id: UUID) -> Attempt | None:
        with self._store.transaction() as connection:
            return self.begin(connection, task_id)

    def _succeeded(
        self,
        attempt: Attempt,
        operation: Operation[Any, Any],
        context: StepContext[Any, Any],
        output: Mapping[str, Any] | None,
        take: Take,
    ) -> Attempt | None:
        status = StepStatus.UNDONE if attempt.undoing else StepStatus.COMPLETED
        recorded = attempt.step or {}
        if output is not None:
            context = replace(context, outputs=_with(context.outputs, recorded["name"], output))
        go_on = self._what_follows(attempt.followed_by(status), operation, context)

        def record(connection: Writer, cancelled_by: str) -> None:
            self._record_step(connection, attempt, status, output=output, error=recorded["error"])
            if not attempt.undoing:
                connection.execute(_sql.record_duration, _place(attempt))
            if cancelled_by and not attempt.undoing:
                self._turn_round(connection, attempt.task_id, _cancelled(cancelled_by))
                self._make_due(connection, attempt, recorded)
            else:
                go_on(connection)

        return self._write(attempt, record, take)

    def _failed(
        self,
        attempt: Attempt,
        operation: Operation[Any, Any],
        step: Step[Any, Any],
        error: Exception,
        take: Take,
    ) -> Attempt | None:
        assert attempt.step is not None
        tries, message = attempt.step["attempts"], _message(error)
        if isinstance(error, StepFailed):
            logger.warning("task %s: %s: %s", attempt.task_id, step.name, error)
        else:
            logger.exception("task %s: %s failed, attempt %d", attempt.task_id, step.name, tries)
        # Undoing counts its own tries from where doing ended, so it gets the full number of them.
        limit = step.attempts + _UNDO_ATTEMPTS if attempt.undoing else step.attempts
        if tries < limit and not (isinstance(error, StepFailed) and not attempt.undoing):
            self._record_error(attempt, message)
            time.sleep(_BACKOFF * 2 ** min(tries - 1, 4))
            return self._begin_anew(attempt.task_id)
        return self._give_up(attempt, operation, step, message, take)

    def _give_up(
        self,
        attempt: Attempt,
        operation: Operation[Any, Any],
        step: Step[Any, Any],
        message: str,
        take: Take,
    ) -> Attempt | None:
        status = StepStatus.UNDO_FAILED if attempt.undoing else StepStatus.FAILED
        context = self._context(operation, attempt)
        go_on = self._what_follows(attempt.followed_by(status), operation, context)

        def record(connection: Writer, cancelled_by: str) -> None:
            self._record_step(connection, attempt, status, error=message)
            if attempt.undoing:
                text = f" Then it could not be undone: {step.name}: {message}"
                connection.execute(_sql.append_fail_reason, {"task_id": attempt.task_id, "text": text})
            else:
                reason = _cancelled(cancelled_by) if cancelled_by else f"{step.name} failed: {message}"
                self._turn_round(connection, attempt.task_id, reason)
            go_on(connection)

        return self._write(attempt, record, take)

    def _what_follows(
        self, outcome: Attempt, operation: Operation[Any, Any], context: StepContext[Any, Any]
    ) -> Callable[[Writer], None]:
        """What is to be written when a step has ended: that the next is due, or the task's end when none is left.

        What must be seen for the end is looked at here, where nothing is locked and no connection is held.
        """
        due = _due(outcome.task, outcome.steps)
        if due is not None:
            return lambda connection: self._make_due(connection, outcome, due)
        ending = operation.on_failed if outcome.undoing else operation.on_completed
        seen = self._look(ending, outcome, context)
        return lambda connection: self._end(
            connection, outcome, operation, dict(ending.write(context, connection, seen) or {})
        )

    def _turn_round(self, connection: Writer, task_id: UUID, reason: str) -> None:
        """From now on the steps that were done are undone."""
        connection.execute(_sql.begin_unwinding, {"task_id": task_id, "fail_reason": reason})

    def _look(self, ending: Ending[Any, Any, Any], outcome: Attempt, context: StepContext[Any, Any]) -> Any:
        """Not for an attempt that may record nothing any more: who looks may resume a server."""
        if ending.look is nothing_to_see or not self._is_current(outcome):
            return None
        return ending.look(context)

    def _make_due(self, connection: Writer, outcome: Attempt, due: Row) -> None:
        connection.execute(_sql.record_progress, {"task_id": outcome.task_id})
        place = (outcome.task_id, outcome.task["project_id"], due["host"])
        # The worker that records looks for what is due by itself, and there is one a host.
        is_here = all(step["host"] == due["host"] for step in outcome.steps)
        (self._queue.hand_on if is_here else self._queue.enqueue)(connection, *place)

    def _end(
        self,
        connection: Writer,
        outcome: Attempt,
        operation: Operation[Any, Any],
        gained: Mapping[str, Any],
    ) -> None:
        status, entities = (TaskStatus.FAILED, {}) if outcome.undoing else (TaskStatus.COMPLETED, gained)
        task_id = outcome.task_id
        end = {
            "task_id": task_id,
            "status": status,
            "entities": Jsonb(entities),
            "keeps_parameters": operation.keeps_parameters and not outcome.undoing,
        }
        connection.execute(_sql.finish_task, end)
        connection.execute(_sql.release_locks, [task_id])
        self._queue.remove(connection, task_id)

    def _is_current(self, attempt: Attempt) -> bool:
        return bool(self._store.rows(_sql.lock_task, _fence(attempt)))

    def _write(self, attempt: Attempt, record: Callable[[Writer, str], None], take: Take) -> Attempt | None:
        """Record, unless a later attempt has begun: then this one was taken for dead, and its word counts no more.

        `record` is told who cancelled the task, if somebody did.
        """
        with self._store.transaction() as connection:
            task = connection.execute(_sql.lock_task, _fence(attempt)).fetchone()
            if task is None:
                logger.warning("task %s: an outdated attempt may record nothing", attempt.task_id)
            else:
                record(connection, task["cancelled_by"])
            return take(connection)

    def _record_step(
        self,
        connection: Writer,
        attempt: Attempt,
        status: StepStatus,
        *,
        output: Mapping[str, Any] | None = None,
        error: str,
    ) -> None:
        connection.execute(
            _sql.record_step,
            {
                **_place(attempt),
                "status": status,
                "output": None if output is None else Jsonb(output),
                "error": error,
            },
        )

    def _record_error(self, attempt: Attempt, message: str) -> None:
        with self._store.transaction() as connection:
            connection.execute(
                _sql.record_attempt_error,
                {**_place(attempt), "error": message, "epoch": attempt.task["epoch"]},
            )

    def _context(self, operation: Operation[Any, Any], attempt: Attempt) -> StepContext[Any, Any]:
        task = attempt.task
        outputs: dict[str, Output] = {}
        for step in attempt.steps:
            outputs = _with(outputs, step["name"], step["output"])
        return StepContext(
            task_id=attempt.task_id,
            project_id=task["project_id"],
            instance_id=task["instance_id"],
            parameters=msgspec.convert(task["parameters"], operation.parameters),
            outputs=outputs,
            node_id="" if attempt.step is None else attempt.step["node_id"],
            resources=self._resources,
        )


def _due(task: Row, steps: Sequence[Row]) -> Row | None:
    """The step whose turn it is: the first not yet done, or the last not yet undone."""
    if task["unwinding"]:
        return next((step for step in reversed(steps) if step["status"] in _TO_UNDO), None)
    return next((step for step in steps if step["status"] in _TO_DO), None)


def _with(outputs: Mapping[str, Output], name: str, output: Output) -> dict[str, Output]:
    """A step that was planned for several nodes has one output, of which each gives its part."""
    return {**outputs, name: {**outputs.get(name, {}), **output}}


def _check_survivable(step: Row, *, undoing: bool) -> None:
    # Undoing goes on counting where doing ended, and gets as many tries again.
    if step["attempts"] > _MOST_BEGINNINGS * (2 if undoing else 1):
        raise StepFailed(f"the worker died in it {_MOST_BEGINNINGS} times")


def _fence(attempt: Attempt) -> dict[str, Any]:
    return {"task_id": attempt.task_id, "epoch": attempt.task["epoch"]}


def _place(attempt: Attempt) -> dict[str, Any]:
    assert attempt.step is not None
    return {"task_id": attempt.task_id, "position": attempt.step["position"]}


def _cancelled(by: str) -> str:
    return f"It was cancelled by {by}"


def _message(error: Exception) -> str:
    return str(error) or type(error).__name__


def _allowance(countdown: Countdown) -> str:
    deadline = countdown.deadline
    idle = "" if deadline.idle is None else f", or {deadline.idle:g} s without getting on"
    return f"{deadline.seconds:g} s{idle}"
