"""Scheduled tasks: work is accepted now, and submitted in the instance's maintenance window.

`Scheduler` is the worker's round over what is due. Source: task-center.md 4 and 5.
"""

import datetime as dt
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils
from psycopg.types.json import Jsonb

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.rules import maintenance_window
from openrds.domain.schedule import ScheduledName, ScheduleStatus, next_window, window_of
from openrds.domain.settings import Settings
from openrds.domain.task import TaskName
from openrds.domain.texts import day_in, uuid_in
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.quotas import check_tasks
from openrds.store.database import Row, Store
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("schedule")

#: With these the instance is only not free now: the scheduled task goes on waiting.
_NOT_NOW = (ErrorCode.INSTANCE_BUSY, ErrorCode.STATUS_FORBIDS)

#: Seconds until what could not start is tried again.
_TRY_AGAIN = 10.0

#: For this far ahead something may be reserved: it is forgotten as tasks are.
_FARTHEST = dt.timedelta(days=30)

#: Submits what was asked for, of an instance, and gives the id of the task.
Submit = Callable[[Intake, str, Mapping[str, Any]], UUID]


def schedule(
    intake: Intake,
    instance: Instance,
    name: ScheduledName,
    task_name: TaskName,
    request: msgspec.Struct,
    target_config: Mapping[str, str] | None = None,
) -> UUID:
    """Let a request that was checked wait for the maintenance window; the id of the scheduled task.

    Raises:
        Refusal: QUOTA.
    """
    check_tasks(intake.connection, intake.project_id, intake.settings)
    starts_at, ends_at = next_window(instance.maintenance_window, dt.datetime.now(dt.UTC))
    id_ = UUID(str(uuid_utils.uuid7()))
    intake.connection.execute(
        _sql.plan,
        {
            "id": id_,
            "project_id": instance.project_id,
            "name": name,
            "instance_id": instance.id,
            "instance_name": instance.name,
            "engine": instance.engine,
            "volume_type": instance.volume_type,
            "task_name": task_name.on(instance.engine),
            "request": Jsonb(msgspec.to_builtins(request)),
            "target_config": Jsonb(dict(target_config or {})),
            "starts_at": starts_at,
            "ends_at": ends_at,
        },
    )
    return id_


def replan(intake: Intake, instance_id: str, window: str) -> None:
    """What waits for the instance's window waits for its new one; what has one of its own keeps that."""
    starts_at, ends_at = next_window(window, dt.datetime.now(dt.UTC))
    intake.connection.execute(
        _sql.replan, {"instance_id": instance_id, "starts_at": starts_at, "ends_at": ends_at}
    )


def cancel(intake: Intake, id_: str) -> None:
    """Withdraw a scheduled task that has not started.

    Raises:
        Refusal: TASK_NOT_FOUND, or PARAMETER for one that waits no longer.
    """
    key = {"id": uuid_in(id_), "project_id": intake.project_id}
    if intake.connection.execute(_sql.cancel, key).fetchone() is not None:
        return
    found = intake.connection.execute(_sql.find, key).fetchone()
    if found is None:
        raise Refusal(ErrorCode.TASK_NOT_FOUND)
    raise Refusal(
        ErrorCode.PARAMETER, f"The scheduled task is {found['status']}; only a Pending one can be canceled."
    )


@dataclass(frozen=True)
class Planned:
    """A scheduled task of an instance that has not started, which nobody else changes before the transaction ends."""

    intake: Intake
    row: Row

    def cancel(self) -> None:
        cancel(self.intake, str(self.row["id"]))

    def start(self, submits: Mapping[ScheduledName, Submit]) -> UUID:
        """Now, whatever it waited for; the id of the task.

        Raises:
            Refusal: what was planned cannot be done now. It goes on waiting.
        """
        row = self.row
        task_id = submits[ScheduledName(row["name"])](self.intake, row["instance_id"], row["request"])
        self.intake.connection.execute(_sql.started, {"id": row["id"], "task_id": task_id})
        return task_id

    def reserve(self, day: str, start: str, end: str) -> None:
        """Have it wait for a window of its own, `yyyy-mm-dd` and both `HH:MM`, UTC.

        Raises:
            Refusal: PARAMETER.
        """
        found, now = day_in(day), dt.datetime.now(dt.UTC)
        if found is None:
            raise Refusal(ErrorCode.PARAMETER, "planned_day must be yyyy-mm-dd.")
        starts_at, ends_at = window_of(found, maintenance_window(start, end))
        if ends_at <= now or starts_at > now + _FARTHEST:
            raise Refusal(ErrorCode.PARAMETER, "The window must end in the future, and begin within 30 days.")
        window = {"id": self.row["id"], "starts_at": starts_at, "ends_at": ends_at, "reserved": True}
        self.intake.connection.execute(_sql.move, window)


def take_planned(intake: Intake, id_: str, instance_id: str) -> Planned:
    """
    Raises:
        Refusal: TASK_NOT_FOUND, or PARAMETER for one that waits no longer.
    """
    key = {"id": uuid_in(id_), "instance_id": instance_id, "project_id": intake.project_id}
    row = intake.connection.execute(_sql.take_planned, key).fetchone()
    if row is None:
        raise Refusal(ErrorCode.TASK_NOT_FOUND, "The instance has no such event.")
    if row["status"] != ScheduleStatus.PENDING:
        raise Refusal(
            ErrorCode.PARAMETER, "The event has begun or was canceled; GET schedule-events says which."
        )
    return Planned(intake, row)


@dataclass(frozen=True)
class Scheduler:
    """Starts what is due. `submits` says how, by the name of the scheduled task."""

    store: Store
    queue: Queue
    settings: Settings
    submits: Mapping[ScheduledName, Submit]

    def start_due(self) -> float:
        """Start each scheduled task whose window is open, and let those wait on whose instance is not free.

        In how many seconds the next is due, unless something changes; infinity where none is planned.
        """
        for due in self.store.rows(_sql.due):
            try:
                self._start(due)
            except Refusal as refusal:
                self._put_off(due, refusal)
        (planned,) = self.store.rows(_sql.next_start)
        if planned["seconds"] is None:
            return math.inf
        return planned["seconds"] if planned["seconds"] > 0 else _TRY_AGAIN

    def _start(self, due: Row) -> None:
        with self.store.transaction() as connection:
            if connection.execute(_sql.take_pending, [due["id"]]).fetchone() is None:
                return  # canceled, or started by another
            intake = Intake(connection, self.queue, self.settings, due["project_id"])
            task_id = self.submits[ScheduledName(due["name"])](intake, due["instance_id"], due["request"])
            connection.execute(_sql.started, {"id": due["id"], "task_id": task_id})

    def _put_off(self, due: Row, refusal: Refusal) -> None:
        if refusal.error not in _NOT_NOW:
            logger.warning("scheduled task %s cannot start: %s", due["id"], refusal)
            self.store.rows(_sql.fail, {"id": due["id"], "reason": str(refusal)})
        elif due["ends_at"] <= (now := dt.datetime.now(dt.UTC)):
            starts_at, ends_at = next_window(due["maintenance_window"], now)
            window = {"id": due["id"], "starts_at": starts_at, "ends_at": ends_at, "reserved": False}
            self.store.rows(_sql.move, window)


def forget_ended(store: Store) -> None:
    """Delete the records of the month before the last, as those of tasks are."""
    store.rows(_sql.delete_expired)
