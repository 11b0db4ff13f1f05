"""`openrds task`: what the service did, does, and how far it is."""

import datetime as dt
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from openrds.cli import lookups
from openrds.cli.client import Json
from openrds.cli.errors import ApiError, TaskFailed, UsageError
from openrds.cli.instances import Wait
from openrds.cli.session import Session, client_command
from openrds.cli.watch import Snapshot, follow, take_snapshot
from openrds.cli.watch import watch as watch_task
from openrds.domain.errors import ErrorCode
from openrds.domain.schedule import ScheduleStatus
from openrds.domain.task import TaskStatus
from openrds.domain.texts import number_in

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Tasks: the work behind each change.")

TaskId: TypeAlias = Annotated[str, typer.Argument(metavar="ID")]
Moment: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="ISO 8601, local time if without offset, or Unix milliseconds."),
]


class ExportFormat(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"


_HEADER = ("ID", "NAME", "STATUS", "PROGRESS", "INSTANCE", "CREATED", "ENDED", "REASON")
_SCHEDULED_HEADER = ("ID", "NAME", "STATUS", "INSTANCE", "CREATED", "STARTS", "ENDS")
_STEP_HEADER = ("STEP", "STATUS", "NODE", "HOST", "ATTEMPTS", "STARTED", "ENDED", "ERROR")


@client_command(app, "list")
def list_(
    session: Session,
    *,
    id: str | None = None,
    instance: Annotated[str | None, typer.Option(metavar="ID_OR_NAME")] = None,
    order_id: str | None = None,
    name: Annotated[str | None, typer.Option(help="Such as CreatePostgresqlSingleHAInstance.")] = None,
    status: Annotated[TaskStatus | None, typer.Option(case_sensitive=False)] = None,
    start_time: Moment = None,
    end_time: Moment = None,
    offset: int = 0,
    limit: Annotated[int, typer.Option(help="At most 50.")] = 10,
) -> None:
    """List the tasks of the last month, newest first."""
    query = {
        "id": id,
        "instance_id": lookups.find_instance_id(session.client, instance) if instance else None,
        "order_id": order_id,
        "name": name,
        "status": status,
        **_window(start_time, end_time),
        "offset": offset,
        "limit": limit,
    }
    answer = session.client.get("tasklist", query)
    session.output.rows(answer, _HEADER, map(_row, answer["tasks"]))


@client_command(app, "show")
def show(session: Session, task: TaskId) -> None:
    """Show one task and its steps."""
    snapshot = take_snapshot(session.client, task)
    if session.output.is_json:
        session.output.said({"job": snapshot.job, "steps": snapshot.steps}, "")
    else:
        session.output.facts({}, _facts(snapshot))
        session.output.rows({}, _STEP_HEADER, map(_step_row, snapshot.steps))


@client_command(app, "watch")
def watch(session: Session, task: TaskId) -> None:
    """Follow a task to its end; the exit code is 1 if it fails."""
    follow(session.client, task, session.output)


@client_command(app, "scheduled")
def scheduled(
    session: Session,
    *,
    instance: Annotated[str | None, typer.Option(metavar="ID_OR_NAME")] = None,
    status: Annotated[ScheduleStatus | None, typer.Option(case_sensitive=False)] = None,
    offset: int = 0,
    limit: Annotated[int, typer.Option(help="At most 50.")] = 10,
) -> None:
    """List what waits for a maintenance window, or did in the last month."""
    query = {
        "instance_id": lookups.find_instance_id(session.client, instance) if instance else None,
        "status": status,
        "offset": offset,
        "limit": limit,
    }
    answer = session.client.get("schedule-tasks", query)
    session.output.rows(answer, _SCHEDULED_HEADER, map(_scheduled_row, answer["schedule_tasks"]))


@client_command(app, "cancel")
def cancel(session: Session, task: TaskId, *, wait: Wait = True) -> None:
    """Cancel a task: a scheduled one does not start, and what a running one has done is undone."""
    try:
        session.output.said(session.client.delete(f"schedule-tasks/{task}"), f"{task} is canceled")
        return
    except ApiError as error:
        if error.code != ErrorCode.TASK_NOT_FOUND.code:
            raise
    answer = session.client.post(f"jobs/{task}/cancel", {})
    if not wait:
        undone = ", ".join(answer["undone"]) or "nothing"
        session.output.said(answer, f"{task} is being cancelled; to be undone: {undone}")
        return
    job = watch_task(session.client, task, session.output.progress)
    session.output.said({"job": job}, f"{task}: {job.get('fail_reason') or job['status']}")
    if job["status"] == "Completed":
        raise TaskFailed(f"Task {task} was completed before it could be cancelled.")


@client_command(app, "export")
def export(
    session: Session,
    *,
    format: Annotated[
        ExportFormat, typer.Option(help="One JSON object a line, or CSV.")
    ] = ExportFormat.NDJSON,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; else to standard output.")
    ] = None,
    instance: Annotated[str | None, typer.Option(metavar="ID_OR_NAME")] = None,
    name: str | None = None,
    status: Annotated[TaskStatus | None, typer.Option(case_sensitive=False)] = None,
    start_time: Moment = None,
    end_time: Moment = None,
) -> None:
    """Write all tasks of the last month, newest first; the file appears when it is complete."""
    query = {
        "format": format.value,
        "instance_id": lookups.find_instance_id(session.client, instance) if instance else None,
        "name": name,
        "status": status,
        **_window(start_time, end_time),
    }
    if file is None:
        session.client.save("tasks/export", query, sys.stdout.buffer)
        return
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as sink:
            session.client.save("tasks/export", query, sink)
        partial.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        partial.unlink(missing_ok=True)


def milliseconds(text: str) -> int:
    """Unix milliseconds of a time that a person gave.

    Raises:
        UsageError: it is no time.
    """
    number = number_in(text)
    if number is not None:
        return number
    try:
        return int(dt.datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise UsageError(f"{text} is neither an ISO 8601 time nor Unix milliseconds.") from None


def _window(start: str | None, end: str | None) -> dict[str, int | None]:
    """The service wants an end with each start: it is now, unless given."""
    if start and not end:
        end = str(int(dt.datetime.now(dt.UTC).timestamp() * 1000))
    return {
        "start_time": milliseconds(start) if start else None,
        "end_time": milliseconds(end) if end else None,
    }


def _row(task: Json) -> tuple[object, ...]:
    return (
        task["id"],
        task["name"],
        task["status"],
        f"{task['process']}%" if task["process"] else "",
        task["instance_name"],
        task["create_time"],
        task.get("end_time", ""),
        task.get("fail_reason", ""),
    )


def _scheduled_row(task: Json) -> tuple[object, ...]:
    keys = ("id", "name", "status", "instance_name", "create_time", "start_time", "end_time")
    return tuple(task[key] for key in keys)


def _step_row(step: Json) -> tuple[object, ...]:
    keys = ("name", "status", "node_id", "host", "attempts", "started", "ended", "error")
    return tuple(step[key] for key in keys)


def _facts(snapshot: Snapshot) -> dict[str, object]:
    job = snapshot.job
    return {
        "id": job["id"],
        "name": job["name"],
        "status": job["status"],
        "progress": job["process"],
        "instance": f"{job['instance']['name']} ({job['instance']['id']})",
        "created": job["created"],
        "ended": job.get("ended", ""),
        "reason": job.get("fail_reason", ""),
    }
