"""`openrds database`: the databases of an instance, and the schemas of PostgreSQL's."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.instances import IdOrName
from openrds.cli.session import Session, client_command
from openrds.domain.engine import RULES, EngineName

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Databases of an instance.")

DatabaseName: TypeAlias = Annotated[str, typer.Argument(metavar="NAME")]
#: The most that a page has.
_LIMIT = 100


@client_command(app, "list")
def list_(session: Session, instance: IdOrName) -> None:
    """List the databases of an instance."""
    id_ = lookups.find_instance_id(session.client, instance)
    found = list(listed(session.client, f"instances/{id_}/database/detail", "databases"))
    header = ("NAME", "OWNER", "CHARACTER SET", "BYTES", "COMMENT")
    session.output.rows({"databases": found}, header, map(_row, found))


@client_command(app, "create")
def create(
    session: Session,
    instance: IdOrName,
    name: DatabaseName,
    *,
    character_set: Annotated[str | None, typer.Option(help="Default: utf8mb4, of PostgreSQL UTF8.")] = None,
    owner: Annotated[str | None, typer.Option(help="For PostgreSQL. Default: root.")] = None,
    collation: Annotated[
        str | None, typer.Option(help="For PostgreSQL: a locale. Default: the server's.")
    ] = None,
    comment: str | None = None,
) -> None:
    """Create a database."""
    found = lookups.find_instance(session.client, instance)
    if character_set is None and not has_schemas(found):
        character_set = "utf8mb4"
    body = {
        "name": name,
        "character_set": character_set,
        "owner": owner,
        "lc_collate": collation,
        "lc_ctype": collation,
        "comment": comment,
    }
    answer = session.client.post(f"instances/{found['id']}/database", _given(body))
    session.output.said(answer, f"{instance} has the database {name}")


@client_command(app, "delete")
def delete(
    session: Session,
    instance: IdOrName,
    name: DatabaseName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a database with all that is in it."""
    id_ = lookups.find_instance_id(session.client, instance)
    if not yes:
        lookups.confirm(f"Delete database {name} of {instance} with all that is in it?")
    answer = session.client.delete(f"instances/{id_}/database/{name}")
    session.output.said(answer, f"{instance} has no database {name} any more")


@client_command(app, "comment")
def comment(
    session: Session,
    instance: IdOrName,
    name: DatabaseName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="An empty one removes it.")],
) -> None:
    """Give a database another comment."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.post(f"instances/{id_}/database/update", {"name": name, "comment": text})
    session.output.said(answer, f"{name} has the comment")


@client_command(app, "owner")
def owner(
    session: Session,
    instance: IdOrName,
    name: DatabaseName,
    user: Annotated[str, typer.Argument(metavar="USER")],
) -> None:
    """Give a database of PostgreSQL another owner."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.post(f"instances/{id_}/database/owner", {"database": name, "owner": user})
    session.output.said(answer, f"{name} belongs to {user}")


@client_command(app, "schemas")
def schemas(session: Session, instance: IdOrName, name: DatabaseName) -> None:
    """List the schemas of a database of PostgreSQL."""
    id_ = lookups.find_instance_id(session.client, instance)
    path = f"instances/{id_}/schema/detail"
    found = list(listed(session.client, path, "database_schemas", {"db_name": name}))
    rows = ((one["schema_name"], one["owner"]) for one in found)
    session.output.rows({"database_schemas": found}, ("NAME", "OWNER"), rows)


@client_command(app, "create-schema")
def create_schema(
    session: Session,
    instance: IdOrName,
    name: DatabaseName,
    schema: Annotated[str, typer.Argument(metavar="SCHEMA")],
    *,
    owner: Annotated[str, typer.Option(help="Who may make things in it.")] = "root",
) -> None:
    """Create a schema in a database of PostgreSQL."""
    id_ = lookups.find_instance_id(session.client, instance)
    body = {"db_name": name, "schemas": [{"schema_name": schema, "owner": owner}]}
    answer = session.client.post(f"instances/{id_}/schema", body)
    session.output.said(answer, f"{name} has the schema {schema}")


def listed(client: Client, path: str, key: str, query: Mapping[str, object] | None = None) -> Iterator[Json]:
    """All entries of a list, page by page."""
    page = 1
    while entries := client.get(path, {**(query or {}), "page": page, "limit": _LIMIT})[key]:
        yield from entries
        if len(entries) < _LIMIT:
            return
        page += 1


def has_schemas(instance: Json) -> bool:
    return RULES[EngineName(instance["datastore"]["type"])].has_schemas


def _given(body: dict[str, Any]) -> Json:
    return {name: value for name, value in body.items() if value is not None}


def _row(database: Json) -> tuple[object, ...]:
    return (
        database["name"],
        database.get("owner", ""),
        database["character_set"],
        database.get("size", ""),
        database["comment"],
    )
