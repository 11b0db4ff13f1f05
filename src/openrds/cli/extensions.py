"""`openrds extension`: the extensions of a database of PostgreSQL."""

from typing import Annotated, TypeAlias

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.databases import DatabaseName
from openrds.cli.instances import IdOrName
from openrds.cli.session import Session, client_command

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Extensions of PostgreSQL's databases.")

ExtensionName: TypeAlias = Annotated[str, typer.Argument(metavar="EXTENSION")]
#: The most that a page has.
_LIMIT = 100


@client_command(app, "list")
def list_(session: Session, instance: IdOrName, name: DatabaseName) -> None:
    """List the extensions that a database has, or may be given."""
    found = _listed(session.client, _path(session, instance), name)
    header = ("NAME", "CREATED", "VERSION", "UPDATE TO", "NEEDS PRELOADED", "DESCRIPTION")
    session.output.rows({"extensions": found}, header, map(_row, found))


@client_command(app, "create")
def create(session: Session, instance: IdOrName, name: DatabaseName, extension: ExtensionName) -> None:
    """Create an extension in a database, in its schema public."""
    answer = session.client.post(_path(session, instance), _body(name, extension))
    session.output.said(answer, f"{name} has the extension {extension}")


@client_command(app, "update")
def update(session: Session, instance: IdOrName, name: DatabaseName, extension: ExtensionName) -> None:
    """Bring an extension of a database to the newest version that the server has."""
    answer = session.client.put(_path(session, instance), _body(name, extension))
    session.output.said(answer, f"{name} has the newest version of {extension}")


@client_command(app, "delete")
def delete(
    session: Session,
    instance: IdOrName,
    name: DatabaseName,
    extension: ExtensionName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Drop an extension of a database, unless something else in it needs it."""
    path = _path(session, instance)
    if not yes:
        lookups.confirm(f"Delete extension {extension} of database {name} of {instance}?")
    answer = session.client.delete(path, body=_body(name, extension))
    session.output.said(answer, f"{name} has no extension {extension} any more")


def _path(session: Session, instance: str) -> str:
    return f"instances/{lookups.find_instance_id(session.client, instance)}/extensions"


def _body(database: str, extension: str) -> Json:
    return {"database_name": database, "extension_name": extension}


def _listed(client: Client, path: str, database: str) -> list[Json]:
    found: list[Json] = []
    while True:
        query = {"database_name": database, "offset": len(found), "limit": _LIMIT}
        answer = client.get(path, query)
        found += answer["extensions"]
        if not answer["extensions"] or len(found) >= answer["total_count"]:
            return found


def _row(extension: Json) -> tuple[object, ...]:
    return (
        extension["name"],
        "yes" if extension["created"] else "no",
        extension["version"],
        extension["version_update"],
        extension["shared_preload_libraries"],
        extension["description"],
    )
