"""`openrds wait`: for scripts, until the service is ready, tasks have ended, or an instance is in a status."""

import os
import time
from collections.abc import Callable
from typing import Annotated, TypeAlias

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json, is_ready
from openrds.cli.credentials import CredentialsMissing, find_credentials
from openrds.cli.errors import ApiError, CommandError, TaskFailed, TimeIsOver, Unreachable
from openrds.cli.session import CredentialsOption, DataDirOption, Session, client_command

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Wait, for scripts; exit code 124 when the time is over.",
)

Timeout: TypeAlias = Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait at most.")]

_INTERVAL = 0.2
#: Seconds that a request waits for the end of a task.
_LONGEST_WAIT = 30.0
_UNAVAILABLE = 503
#: Statuses that an instance does not leave by itself.
_DEAD_ENDS = {"CREATE FAIL"}


@app.command("service")
def service(
    *, credentials: CredentialsOption = None, data_dir: DataDirOption = None, timeout: Timeout = 60.0
) -> None:
    """Wait until the service answers, and its store: also one that has not written its credentials yet."""

    def look() -> bool:
        try:
            return is_ready(find_credentials(credentials, data_dir, os.environ).endpoint)
        except CredentialsMissing:
            return False

    _until(look, timeout, "The service is not ready")


@client_command(app, "task")
def task(
    session: Session,
    tasks: Annotated[list[str], typer.Argument(metavar="ID...", help="One or more.")],
    *,
    timeout: Timeout = 600.0,
) -> None:
    """Wait until tasks have ended; the exit code is 1 if one of them failed."""
    deadline = time.monotonic() + timeout
    jobs = [_ended(session.client, one, max(0.0, deadline - time.monotonic())) for one in tasks]
    outcomes = "\n".join(f"{job['id']}: {job['name']} {job['status'].lower()}" for job in jobs)
    session.output.said({"jobs": jobs}, outcomes)
    failed = [f"{job['id']}: {job.get('fail_reason', '')}" for job in jobs if job["status"] == "Failed"]
    if failed:
        raise TaskFailed("\n".join(["Tasks failed:", *failed]))


@client_command(app, "instance")
def instance(
    session: Session,
    instance: Annotated[str, typer.Argument(metavar="ID_OR_NAME")],
    *,
    status: Annotated[str, typer.Option(help="Such as ACTIVE or SHUTDOWN.")] = "ACTIVE",
    timeout: Timeout = 600.0,
) -> None:
    """Wait until an instance has a status; the exit code is 1 if it never will by itself."""
    id_ = lookups.find_instance_id(session.client, instance)
    wanted = status.upper()
    seen: list[Json] = []

    def look() -> bool:
        seen[:] = [lookups.find_instance(session.client, id_)]
        now = seen[0]["status"]
        if now != wanted and now in _DEAD_ENDS:
            raise CommandError(f"Instance {instance} is {now}.")
        return bool(now == wanted)

    _until(_patiently(look), timeout, f"Instance {instance} is not {wanted}")
    session.output.said(seen[0], f"{instance} is {wanted}")


def _ended(client: Client, task: str, timeout: float) -> Json:
    seen: list[Json] = []

    deadline = time.monotonic() + timeout

    def look() -> bool:
        left = max(0.0, min(deadline - time.monotonic(), _LONGEST_WAIT))
        seen[:] = [client.get("jobs", {"id": task, "wait": f"{left:.3f}"})["job"]]
        return bool(seen[0]["status"] != "Running")

    _until(_patiently(look), timeout, f"Task {task} has not ended")
    return seen[0]


def _patiently(look: Callable[[], bool]) -> Callable[[], bool]:
    """The service may be away for a while, as when it is started anew."""

    def patient() -> bool:
        try:
            return look()
        except Unreachable:
            return False
        except ApiError as error:
            if error.status != _UNAVAILABLE:
                raise
            return False

    return patient


def _until(look: Callable[[], bool], timeout: float, otherwise: str) -> None:
    """
    Raises:
        TimeIsOver: so it is, and it was looked at least once.
    """
    deadline = time.monotonic() + timeout
    while not look():
        if time.monotonic() > deadline:
            raise TimeIsOver(f"{otherwise}, and {timeout:g} s are over.")
        time.sleep(_INTERVAL)
