"""`openrds events`: what happens to tasks, steps, instances and backups, as it happens."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.errors import ApiError, Interrupted, Unreachable
from openrds.cli.session import Session, client_command

app = typer.Typer(rich_markup_mode=None)

#: Seconds before a service that does not answer is asked again.
_RETRY_DELAY = 1.0
_UNAVAILABLE = 503


@client_command(app, "events")
def events(
    session: Session,
    *,
    subject: Annotated[
        list[str] | None, typer.Option(help="task, step, instance or backup; may be given again.")
    ] = None,
    instance: Annotated[str | None, typer.Option(metavar="ID_OR_NAME")] = None,
    task: Annotated[str | None, typer.Option(metavar="ID")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="EVENT", help="Begin behind this event of the last day.")
    ] = None,
) -> None:
    """Follow what happens, a line each, until Ctrl-C; with `-o json` an object each."""
    query = {
        "subject": ",".join(subject) if subject else None,
        "instance_id": lookups.find_instance_id(session.client, instance) if instance else None,
        "task_id": task,
    }
    try:
        for event in follow(session.client, query, since or ""):
            line = json.dumps(event) if session.output.is_json else _line(event)
            print(line, flush=True)
    except KeyboardInterrupt:
        raise Interrupted("No more is shown.") from None


def follow(client: Client, query: Json, last: str) -> Iterator[Json]:
    """The events of streams that follow each other; a service that goes away in between is waited for.

    Raises:
        Unreachable: nothing answers, and nothing has before.
        ApiError: it is refused.
    """
    connected = False
    while True:
        try:
            lines: list[str] = []
            for line in client.lines("events", query, {"Last-Event-ID": last} if last else {}):
                connected = True
                if line:
                    lines.append(line)
                    continue
                message, lines = _message(lines), []
                last = message.get("id") or last
                if message.get("event") == "reset":
                    print("Some events may be missing: the last one is older than a day.", file=sys.stderr)
                elif "data" in message:
                    yield json.loads(message["data"])
        except (Unreachable, ApiError) as error:
            if not connected or not (isinstance(error, Unreachable) or error.status == _UNAVAILABLE):
                raise
            time.sleep(_RETRY_DELAY)


def _message(lines: Sequence[str]) -> dict[str, str]:
    parts = (line.partition(":") for line in lines)
    return {name: value.removeprefix(" ") for name, _, value in parts if name}


def _line(event: Json) -> str:
    """Such as `10:15:02 task CreatePostgresqlSingleHAInstance of orders: Running 40%`."""
    state, at = event["state"], event["at"][11:19]
    about = {
        "task": lambda: f"{state['name']} of {state['instance_name']}: {_task(state)}",
        "step": lambda: f"{state['name']} on {state['host']}: {_step(state)}",
        "instance": lambda: f"{state['name']} ({state['id']}): {state['status']}",
        "backup": lambda: f"{state['name']} of {state['instance_name']}: {state['status']}",
    }[event["subject"]]()
    return f"{at} {event['subject']:8} {about}"


def _task(state: Json) -> str:
    if state["status"] == "Running":
        return f"{'undoing' if state['undoing'] else 'running'} {state['progress']}%"
    reason = f": {state['fail_reason']}" if state["fail_reason"] else ""
    return str(state["status"]).lower() + reason


def _step(state: Json) -> str:
    attempt = f" (attempt {state['attempts']})" if state["attempts"] > 1 else ""
    error = f": {state['error']}" if state["error"] else ""
    return str(state["status"]).lower() + attempt + error
