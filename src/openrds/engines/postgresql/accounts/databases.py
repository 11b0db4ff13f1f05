"""Databases and schemas: made, described, given away and dropped."""

import psycopg
from psycopg import sql

from openrds.domain.accounts import (
    CommentDatabase,
    CreateDatabase,
    CreateSchemas,
    DropDatabase,
    NewSchema,
    SetDatabaseOwner,
)
from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.accounts import tenants
from openrds.engines.postgresql.sessions import Connection, superuser_session
from openrds.engines.protocol import DatabaseTaken, NameTaken, NodeSpec, Unfit

#: Making or dropping one waits for a checkpoint.
_LONG_SECONDS = 55.0
_DEFAULT_TEMPLATE = "template1"
#: Any encoding and locale may be had of a copy of this one.
_PLAIN_TEMPLATE = "template0"


def check_new(node: NodeSpec, change: CreateDatabase) -> None:
    with superuser_session(node) as connection:
        if catalog.has_database(connection, change.name):
            raise DatabaseTaken(f"there is a database {change.name}")
        _check_fit(connection, change)


def check(node: NodeSpec, change: CommentDatabase | SetDatabaseOwner | DropDatabase | CreateSchemas) -> None:
    with superuser_session(node) as connection:
        match change:
            case CreateSchemas():
                tenants.check_database(connection, change.database)
                tenants.check_owners(connection, [schema.owner for schema in change.schemas])
            case SetDatabaseOwner():
                tenants.check_database(connection, change.name)
                tenants.check_owners(connection, [change.owner])
            case _:
                tenants.check_database(connection, change.name)
    if isinstance(change, CreateSchemas):
        with superuser_session(node, change.database) as connection:
            for schema in change.schemas:
                _check_schema(connection, schema)


def create(node: NodeSpec, change: CreateDatabase) -> None:
    """One that was made by an attempt before, or by somebody a moment ago, is taken as it is."""
    name = sql.Identifier(change.name)
    with superuser_session(node, statement_seconds=_LONG_SECONDS) as connection:
        _check_fit(connection, change)
        try:
            connection.execute(sql.SQL("CREATE DATABASE {} {}").format(name, _clauses(connection, change)))
        except psycopg.errors.DuplicateDatabase:
            tenants.check_database(connection, change.name)
        if change.comment:
            _comment(connection, change.name, change.comment)
    if change.closed:
        with superuser_session(node, change.name) as connection:
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def comment(node: NodeSpec, change: CommentDatabase) -> None:
    with superuser_session(node) as connection:
        _comment(connection, change.name, change.comment)


def give(node: NodeSpec, change: SetDatabaseOwner) -> None:
    names = sql.Identifier(change.name), sql.Identifier(change.owner)
    with superuser_session(node) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(*names))


def drop(node: NodeSpec, change: DropDatabase) -> None:
    with superuser_session(node, statement_seconds=_LONG_SECONDS) as connection:
        if catalog.has_database(connection, change.name):
            tenants.check_database(connection, change.name)
            catalog.drop_database(connection, change.name)


def create_schemas(node: NodeSpec, change: CreateSchemas) -> None:
    """All or none of them."""
    with superuser_session(node, change.database) as connection, connection.transaction():
        for schema in change.schemas:
            names = sql.Identifier(schema.name), sql.Identifier(schema.owner)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(*names))


def _check_schema(connection: Connection, schema: NewSchema) -> None:
    """
    Raises:
        NameTaken: there is one of the name, which is not the owner's, who would have been given it.
    """
    owners = catalog.rows(
        connection, "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s", schema.name
    )
    if owners:
        raise NameTaken(f"there is a schema {schema.name}")


def _check_fit(connection: Connection, change: CreateDatabase) -> None:
    """
    Raises:
        NoSuchAccount: there is no such owner.
        Unfit: the server does not know the encoding or the locale.
    """
    if change.owner:
        tenants.check_owners(connection, [change.owner])
    if change.character_set:
        ((number,),) = catalog.rows(connection, "SELECT pg_char_to_encoding(%s)", change.character_set)
        if number < 0:
            raise Unfit(f"the server has no character set {change.character_set}")
    for locale in {change.collation, change.character_type} - {""}:
        known = _locales(connection)
        if _as_compared(locale) not in map(_as_compared, known):
            raise Unfit(f"the host has no locale {locale}; it has {', '.join(sorted(known))}")


def _locales(connection: Connection) -> set[str]:
    """Those of the operating system that the server found, and its own."""
    found = catalog.rows(
        connection,
        "SELECT collcollate FROM pg_collation WHERE collcollate IS NOT NULL AND collprovider = 'c' "
        "UNION SELECT datcollate FROM pg_database",
    )
    return {name for (name,) in found}


def _as_compared(locale: str) -> str:
    """`en_US.UTF-8` and `en_US.utf8` are one."""
    return locale.lower().replace("utf-8", "utf8")


def _clauses(connection: Connection, change: CreateDatabase) -> sql.Composable:
    """What differs from the template that is used if none is named, only the plain one can give."""
    owner = change.owner or tenants.ADMINISTRATOR
    parts = [sql.SQL("OWNER {}").format(sql.Identifier(owner))]
    wanted = {
        "ENCODING": change.character_set,
        "LC_COLLATE": change.collation,
        "LC_CTYPE": change.character_type,
    }
    given = {clause: value for clause, value in wanted.items() if value}
    template = change.template or _DEFAULT_TEMPLATE
    if template == _DEFAULT_TEMPLATE and not _fits(connection, given):
        template = _PLAIN_TEMPLATE
    parts.append(sql.SQL("TEMPLATE {}").format(sql.Identifier(template)))
    parts.extend(sql.SQL(clause + " {}").format(sql.Literal(value)) for clause, value in given.items())
    return sql.SQL(" ").join(parts)


def _fits(connection: Connection, given: dict[str, str]) -> bool:
    ((encoding, collate, ctype),) = catalog.rows(
        connection,
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = %s",
        _DEFAULT_TEMPLATE,
    )
    present = {"ENCODING": encoding, "LC_COLLATE": collate, "LC_CTYPE": ctype}
    return all(_as_compared(present[clause]) == _as_compared(value) for clause, value in given.items())


def _comment(connection: Connection, name: str, text: str) -> None:
    statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
    connection.execute(statement.format(sql.Identifier(name), sql.Literal(text or None)))
