"""`openrds connect`: a session of psql on an instance."""

import os
import shutil
import sys
from typing import Annotated

import typer

from openrds.cli import instance_view, lookups
from openrds.cli.errors import CommandError
from openrds.cli.instances import IdOrName
from openrds.cli.passwords import VARIABLE
from openrds.cli.session import Session, client_command

app = typer.Typer()


@client_command(app, "connect")
def connect(
    session: Session,
    instance: IdOrName,
    psql: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTION...]", help="For psql, such as -- -c 'select 1'.")
    ] = None,
    *,
    database: Annotated[str, typer.Option("--database", "-d")] = "postgres",
    user: Annotated[str | None, typer.Option("--user", "-U", help="Default: the administrator.")] = None,
    print_: Annotated[bool, typer.Option("--print", help="Only print what to type.")] = False,
) -> None:
    """Open psql on an instance, or say what to type where there is no psql."""
    found = lookups.find_instance(session.client, instance)
    if not found["private_ips"]:
        raise CommandError(f"Instance {found['name']} has no address yet: it is {found['status']}.")
    if found["datastore"]["type"] != "PostgreSQL":
        raise CommandError(
            f"psql is for PostgreSQL, and {found['name']} is {instance_view.engine_of(found)}."
        )
    command = [
        "psql",
        f"--host={found['private_ips'][0]}",
        f"--port={found['port']}",
        f"--username={user or found['db_user_name']}",
        f"--dbname={database}",
        *(psql or []),
    ]
    if print_ or session.output.is_json or shutil.which("psql") is None:
        session.output.said({"url": instance_view.url_of(found), "command": command}, " ".join(command))
        return
    sys.stdout.flush()
    os.execvpe("psql", command, _environment())  # noqa: S606 - it takes our place, and the terminal


def _environment() -> dict[str, str]:
    """The password that was set for openrds is psql's too, unless it has one of its own."""
    given = os.environ.get(VARIABLE)
    return dict(os.environ) if given is None else {"PGPASSWORD": given, **os.environ}
