"""`openrds connect`: a session on an instance, by the client program of its engine."""

import hashlib
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from openrds.cli import instance_view, lookups
from openrds.cli.client import Json
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
    verify: Annotated[
        bool, typer.Option("--verify", help="Only over TLS, and only if the server is the instance's.")
    ] = False,
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
    called = name or program.names[0]
    if verify:
        demands, variables = program.verifying(called, _ca_file(session, found))
    else:
        demands, variables = program.encrypting(called) if instance_view.demands_tls(found) else [], {}
    command = program.command(
        called,
        found["private_ips"][0],
        found["port"],
        user or found["db_user_name"],
        program.database if database is None else database,
        [*demands, *(options or [])],
    )
    if print_ or session.output.is_json or name is None:
        command = [*(f"{variable}={value}" for variable, value in variables.items()), *command]
        typed = shlex.join(command)
        if options and not (print_ or session.output.is_json):
            raise CommandError(f"There is no {called} here, so nothing was done. Where there is one: {typed}")
        session.output.said({"url": instance_view.url_of(found), "command": command}, typed)
        return
    sys.stdout.flush()
    os.execvpe(name, command, _environment(program) | variables)  # noqa: S606 - it takes our place, and the terminal


def _environment(program: ClientProgram) -> dict[str, str]:
    """The password that was set for openrds is the program's too, unless it has one of its own."""
    given = os.environ.get(VARIABLE)
    return dict(os.environ) if given is None else {program.password_variable: given, **os.environ}


def _ca_file(session: Session, instance: Json) -> Path:
    """The service's CA certificate, in the user's own cache: the program reads it when we are gone."""
    if not instance["enable_ssl"]:
        raise CommandError(
            f"Instance {instance['name']} offers no TLS; `openrds instance ssl` switches it on."
        )
    pem = session.client.ca()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openrds"
    file = cache / f"ca-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.crt"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(pem)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from None
    return file
