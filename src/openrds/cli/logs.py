"""`openrds logs`: what the servers of an instance wrote down of themselves."""

import datetime as dt
import json
import re
import time
from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Json
from openrds.cli.errors import UsageError
from openrds.cli.instances import IdOrName
from openrds.cli.session import Session, client_command

app = typer.Typer()

#: Seconds between looks, and how far back a look goes for what it shows first.
_PAUSE = 1.0
_BACK = dt.timedelta(days=30)
_PAGE = 100
#: What a terminal would obey, and clients of the instance may have written.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORMAT = "%Y-%m-%dT%H:%M:%S+0000"


@client_command(app, "logs")
def logs(
    session: Session,
    instance: IdOrName,
    slow: Annotated[bool, typer.Option("--slow", help="Statements that took long, not errors.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=_PAGE, help="How many entries first.")
    ] = 10,
    level: Annotated[
        str | None, typer.Option("--level", help="Only errors of this level, such as ERROR.", metavar="LEVEL")
    ] = None,
) -> None:
    """Show the error log of an instance, or its slow log: of all its nodes, the newest entries last."""
    if slow and level:
        raise UsageError("Slow statements have no level: --slow and --level do not go together.")
    id_ = lookups.find_instance_id(session.client, instance)
    source = _Source(session, id_, slow=slow, level=level)
    last = source.show(source.page(dt.datetime.now(dt.UTC) - _BACK, "backwards", "", lines))
    begun = dt.datetime.now(dt.UTC)
    while follow:
        page = source.page(begun - dt.timedelta(minutes=5), "forwards", last, _PAGE)
        last = source.show(page) or last
        if len(page) < _PAGE:
            begun = max(begun, dt.datetime.now(dt.UTC))
            time.sleep(_PAUSE)


class _Source:
    """The entries of one log of an instance."""

    def __init__(self, session: Session, instance_id: str, *, slow: bool, level: str | None) -> None:
        self._session = session
        self._slow = slow
        self._path = f"instances/{instance_id}/{'slow' if slow else 'error'}-logs"
        self._filter: Json = {"level": level} if level else {}

    def page(self, since: dt.datetime, search: str, after: str, limit: int) -> list[Json]:
        now = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
        body: Json = {
            "start_time": since.strftime(_FORMAT),
            "end_time": now.strftime(_FORMAT),
            "search_type": search,
            "limit": limit,
            **({"line_num": after} if after else {}),
            **self._filter,
        }
        answer = self._session.client.post(self._path, body)
        found: list[Json] = answer["slow_log_list" if self._slow else "error_log_list"]
        return found

    def show(self, entries: list[Json]) -> str:
        """The number of the last one, "" where there is none. As JSON, one to a line: there may be no end."""
        for entry in entries:
            if self._session.output.is_json:
                typer.echo(json.dumps(entry))
            else:
                text = _slow_lines(entry) if self._slow else _error_lines(entry)
                typer.echo(_CONTROLS.sub("?", text))
        return str(entries[-1]["line_num"]) if entries else ""


def _error_lines(entry: Json) -> str:
    content = entry["content"].replace("\n", "\n    ")
    return f"{entry['time']}  {entry['level']:<7}  {content}"


def _slow_lines(entry: Json) -> str:
    who = f"{entry['users']}@{entry['client_ip']}" if entry["client_ip"] else entry["users"]
    return f"{entry['start_time']}  {entry['time']}  {entry['database']}  {who}  {entry['query_sample']}"
