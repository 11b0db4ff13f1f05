"""`openrds instance backup-policy|maintenance-window|log-policy|tags|used-space`.

They show, and change where something is given.
"""

import re
from typing import Annotated

import typer

from openrds.cli import instance_view, lookups
from openrds.cli.client import Json
from openrds.cli.errors import UsageError
from openrds.cli.instances import IdOrName, parse_tags
from openrds.cli.session import Session, client_command

app = typer.Typer()

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
#: Hours of a maintenance window: the contract's.
_WINDOW_HOURS = 4
_KEPT = ("keep_days", "start_time", "period")


@client_command(app, "backup-policy")
def backup_policy(
    session: Session,
    instance: IdOrName,
    *,
    keep_days: Annotated[
        int | None, typer.Option(help="0 to 732; 0 makes none, and removes those there are.")
    ] = None,
    window: Annotated[str | None, typer.Option(metavar="HH:MM-HH:MM", help="An hour, UTC.")] = None,
    period: Annotated[str | None, typer.Option(metavar="DAYS", help="Such as 1,3,5: Monday is 1.")] = None,
) -> None:
    """Show when an instance is backed up and for how long that is kept, or change it."""
    client = session.client
    path = f"instances/{lookups.find_instance_id(client, instance)}/backups/policy"
    changes = {"keep_days": keep_days, "start_time": window, "period": period}
    given = {name: value for name, value in changes.items() if value is not None}
    answer = client.get(path)
    if given:
        present = {name: answer["backup_policy"][name] for name in _KEPT}
        client.put(path, {"backup_policy": present | given})
        answer = client.get(path)
    policy = answer["backup_policy"]
    shown = {
        "keep days": policy["keep_days"],
        "window": f"{policy['start_time']} UTC",
        "days": policy["period"],
    }
    session.output.facts(answer, shown)


@client_command(app, "maintenance-window")
def maintenance_window(
    session: Session,
    instance: IdOrName,
    start: Annotated[str | None, typer.Argument(metavar="HH:MM", help="When it shall begin, UTC.")] = None,
) -> None:
    """Show the four hours a day in which an instance may be interrupted, or change them."""
    client = session.client
    found = lookups.find_instance(client, instance)
    if start is not None:
        client.put(f"instances/{found['id']}/ops-window", {"start_time": start, "end_time": _end_of(start)})
        found = lookups.find_instance(client, found["id"])
    window = found["maintenance_window"]
    session.output.said({"maintenance_window": window}, f"{window} UTC")


@client_command(app, "log-policy")
def log_policy(
    session: Session,
    instance: IdOrName,
    *,
    hours: Annotated[int | None, typer.Option(help="0 to 168.")] = None,
) -> None:
    """Show for how many hours the servers of a MySQL or MariaDB instance keep archived log, or change it."""
    client = session.client
    path = f"instances/{lookups.find_instance_id(client, instance)}/binlog/clear-policy"
    if hours is not None:
        client.put(path, {"binlog_retention_hours": hours})
    answer = client.get(path)
    session.output.said(answer, f"{answer['binlog_retention_hours']} hours")


@client_command(app, "tags")
def tags(
    session: Session,
    instance: IdOrName,
    *,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="May be given several times.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="May be given several times.")
    ] = None,
) -> None:
    """Show the tags of an instance, or change them."""
    client = session.client
    added = list(parse_tags(set_ or [], "--set"))
    path = f"instances/{lookups.find_instance_id(client, instance)}/tags"
    for action, changed in (("create", added), ("delete", [{"key": key} for key in remove or []])):
        if changed:
            client.post(f"{path}/action", {"action": action, "tags": changed})
    answer = client.get(path)
    session.output.rows(answer, ("KEY", "VALUE"), map(_tag_row, answer["tags"]))


@client_command(app, "used-space")
def used_space(session: Session, instance: IdOrName) -> None:
    """Show how much of its volume an instance has used."""
    found = lookups.find_instance(session.client, instance)
    used = instance_view.used_space(session.client, found)
    size = found["volume"]["size"]
    session.output.said({"used": used, "size": size}, f"{used} of {size} GB")


def _end_of(start: str) -> str:
    """
    Raises:
        UsageError: it is no time of day.
    """
    found = _TIME_OF_DAY.fullmatch(start)
    if found is None:
        raise UsageError(f"A maintenance window begins at HH:MM, not {start}.")
    return f"{(int(found[1]) + _WINDOW_HOURS) % 24:02}:{found[2]}"


def _tag_row(tag: Json) -> tuple[object, ...]:
    return tag["key"], tag["value"]
