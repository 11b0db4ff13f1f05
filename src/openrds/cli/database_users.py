"""`openrds user`: the accounts of an instance, and what they may do."""

from typing import Annotated, TypeAlias

import typer

from openrds.cli import lookups
from openrds.cli.client import Json
from openrds.cli.databases import has_schemas, listed
from openrds.cli.errors import UsageError
from openrds.cli.instances import IdOrName, PasswordStdin
from openrds.cli.passwords import choose_password
from openrds.cli.session import Session, client_command
from openrds.domain.account_rules import check_account
from openrds.domain.engine import EngineName
from openrds.domain.errors import Refusal

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Accounts of an instance.")

UserName: TypeAlias = Annotated[str, typer.Argument(metavar="USER")]
DatabaseName: TypeAlias = Annotated[str, typer.Argument(metavar="DATABASE")]
SchemaName: TypeAlias = Annotated[str, typer.Option(help="Of a database of PostgreSQL.")]
_ROLES = Annotated[list[str], typer.Argument(metavar="ROLE...")]


@client_command(app, "list")
def list_(session: Session, instance: IdOrName) -> None:
    """List the accounts of an instance, with the databases of MySQL's or the roles of PostgreSQL's."""
    id_ = lookups.find_instance_id(session.client, instance)
    found = list(listed(session.client, f"instances/{id_}/db_user/detail", "users"))
    session.output.rows({"users": found}, ("NAME", "HOSTS", "MAY USE", "COMMENT"), map(_row, found))


@client_command(app, "create")
def create(
    session: Session,
    instance: IdOrName,
    name: UserName,
    *,
    host: Annotated[
        list[str] | None,
        typer.Option(help="For MySQL and MariaDB: from where it may log in. May be given several times."),
    ] = None,
    comment: str | None = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Create an account, which may log in and has no rights yet."""
    found = lookups.find_instance(session.client, instance)
    engine = EngineName(found["datastore"]["type"])
    password = choose_password(
        engine, from_stdin=password_stdin, before_asking=lambda: _check_name(name, engine), whose=name
    )
    body: Json = {"name": name, "password": password.text}
    if comment is not None:
        body["comment"] = comment
    if host:
        body["hosts"] = host
    answer = session.client.post(f"instances/{found['id']}/db_user", body)
    password.tell()
    session.output.said(answer, f"{instance} has the account {name}")


@client_command(app, "delete")
def delete(
    session: Session,
    instance: IdOrName,
    name: UserName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete an account with its rights; its sessions are ended."""
    id_ = lookups.find_instance_id(session.client, instance)
    if not yes:
        lookups.confirm(f"Delete account {name} of {instance}?")
    answer = session.client.delete(f"instances/{id_}/db_user/{name}")
    session.output.said(answer, f"{instance} has no account {name} any more")


@client_command(app, "password")
def password(
    session: Session, instance: IdOrName, name: UserName, password_stdin: PasswordStdin = False
) -> None:
    """Give an account another password."""
    found = lookups.find_instance(session.client, instance)
    engine = EngineName(found["datastore"]["type"])
    chosen = choose_password(
        engine, from_stdin=password_stdin, before_asking=lambda: _check_name(name, engine), whose=name
    )
    body = {"name": name, "password": chosen.text}
    answer = session.client.post(f"instances/{found['id']}/db_user/resetpwd", body)
    chosen.tell()
    session.output.said(answer, f"{name} has the new password")


@client_command(app, "comment")
def comment(
    session: Session,
    instance: IdOrName,
    name: UserName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="An empty one removes it.")],
) -> None:
    """Give an account another comment."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.put(f"instances/{id_}/db-users/{name}/comment", {"comment": text})
    session.output.said(answer, f"{name} has the comment")


@client_command(app, "hosts")
def hosts(
    session: Session,
    instance: IdOrName,
    name: UserName,
    host: Annotated[list[str], typer.Argument(metavar="HOST...", help="An address, %, or such as 10.1.%.")],
) -> None:
    """Say from where an account of MySQL or MariaDB may log in: from nowhere else any more."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.put(f"instances/{id_}/host-privilege", {"user_name": name, "hosts": host})
    session.output.said(answer, f"{name} may log in from {', '.join(host)}")


@client_command(app, "grant")
def grant(
    session: Session,
    instance: IdOrName,
    name: UserName,
    database: DatabaseName,
    *,
    schema: SchemaName = "public",
    read_only: Annotated[bool, typer.Option("--read-only", help="It may read, and no more.")] = False,
) -> None:
    """Let an account read and write in a database, or only read."""
    found = lookups.find_instance(session.client, instance)
    user: Json = {"name": name, "readonly": read_only, **_schema(found, schema)}
    body = {"db_name": database, "users": [user]}
    answer = session.client.post(f"instances/{found['id']}/db_privilege", body)
    session.output.said(answer, f"{name} may {'read' if read_only else 'read and write'} in {database}")


@client_command(app, "revoke")
def revoke(
    session: Session,
    instance: IdOrName,
    name: UserName,
    database: DatabaseName,
    *,
    schema: SchemaName = "public",
) -> None:
    """Take all that an account may do in a database."""
    found = lookups.find_instance(session.client, instance)
    body = {"db_name": database, "users": [{"name": name, **_schema(found, schema)}]}
    answer = session.client.delete(f"instances/{found['id']}/db_privilege", body=body)
    session.output.said(answer, f"{name} may do nothing in {database} any more")


@client_command(app, "roles")
def roles(
    session: Session,
    instance: IdOrName,
    name: Annotated[str | None, typer.Argument(metavar="USER", help="Those that it may be given.")] = None,
) -> None:
    """List the roles of PostgreSQL that accounts may be given."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.get(f"instances/{id_}/roles", {"user_name": name})
    session.output.rows(answer, ("NAME",), ((role,) for role in answer["roles"]))


@client_command(app, "add-roles")
def add_roles(session: Session, instance: IdOrName, name: UserName, role: _ROLES) -> None:
    """Make an account of PostgreSQL a member of roles."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.post(f"instances/{id_}/db-user-role", {"user": name, "roles": role})
    session.output.said(answer, f"{name} has {', '.join(role)}")


@client_command(app, "remove-roles")
def remove_roles(session: Session, instance: IdOrName, name: UserName, role: _ROLES) -> None:
    """End the membership of an account of PostgreSQL in roles."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.delete(f"instances/{id_}/db-user-role", body={"user": name, "roles": role})
    session.output.said(answer, f"{name} has {', '.join(role)} no more")


def _check_name(name: str, engine: EngineName) -> None:
    try:
        check_account(name, engine)
    except Refusal as refusal:
        raise UsageError(str(refusal)) from None


def _schema(instance: Json, schema: str) -> Json:
    return {"schema_name": schema} if has_schemas(instance) else {}


def _row(user: Json) -> tuple[object, ...]:
    databases = [f"{one['name']}{' (read)' if one['readonly'] else ''}" for one in user.get("databases", [])]
    return (
        user["name"],
        ",".join(user.get("hosts", [])),
        ",".join([*databases, *user.get("memberof", [])]),
        user["comment"],
    )
