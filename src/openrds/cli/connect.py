"""`openrds connect`: a session on an instance, by the client program of its engine."""

import os
import sys
from typing import Annotated

import typer

from openrds.cli import instance_view, lookups
from openrds.cli.client_programs import PROGRAMS, ClientProgram
from openrds.cli.errors import CommandError
from openrds.cli.instances import IdOrName
from openrds.cli.passwords import VARIABLE
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName

app = typer.Typer()


@client_command(app, "connect")
def connect(
    session: Session,
    instance: IdOrName,
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- OPTION...]", help="For the program, such as -- -c 'select 1' for psql."),
    ] = None,
    *,
    database: Annotated[
        str | None, typer.Option("--database", "-d", help="Default: postgres, or none for MySQL and MariaDB.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", "-U", help="Default: the administrator.")] = None,
    print_: Annotated[bool, typer.Option("--print", help="Only print what to type.")] = False,
) -> None:
    """Open psql, mysql or mariadb on an instance, or say what to type where there is no such program."""
    found = lookups.find_instance(session.client, instance)
    if not found["private_ips"]:
        raise CommandError(f"Instance {found['name']} has no address yet: it is {found['status']}.")
    program = PROGRAMS.get(EngineName(found["datastore"]["type"]))
    if program is None:
        raise CommandError(f"No client program of {instance_view.engine_of(found)} is known.")
    name = program.find()
    command = program.command(
        name or program.names[0],
        found["private_ips"][0],
        found["port"],
        user or found["db_user_name"],
        program.database if database is None else database,
        options or [],
    )
    if print_ or session.output.is_json or name is None:
        session.output.said({"url": instance_view.url_of(found), "command": command}, " ".join(command))
        return
    sys.stdout.flush()
    os.execvpe(name, command, _environment(program))  # noqa: S606 - it takes our place, and the terminal


def _environment(program: ClientProgram) -> dict[str, str]:
    """The password that was set for openrds is the program's too, unless it has one of its own."""
    given = os.environ.get(VARIABLE)
    return dict(os.environ) if given is None else {program.password_variable: given, **os.environ}
