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
#: Any locale will do for it.
_ANY_ENCODING = "SQL_ASCII"
#: Any encoding will do for them, though collations that sort like them may be of one.
_BYTEWISE = ("C", "POSIX")


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
        Unfit: the server does not know the encoding or the locale, or one does not go with the other.
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
    if change.character_set:
        _check_goes_together(connection, change)


def _check_goes_together(connection: Connection, change: CreateDatabase) -> None:
    """Texts of an encoding can be sorted by locales for it, and by those that sort bytes.

    Raises:
        Unfit: they could not.
    """
    ((encoding, collation, character_type),) = catalog.rows(
        connection,
        "SELECT pg_encoding_to_char(pg_char_to_encoding(%s)), datcollate, datctype FROM pg_database WHERE datname = %s",
        change.character_set,
        change.template or _DEFAULT_TEMPLATE,
    )
    for locale in (change.collation or collation, change.character_type or character_type):
        other = _encoding_of(connection, locale)
        if other not in (None, encoding) and encoding != _ANY_ENCODING:
            raise Unfit(
                f"character set {encoding} does not go with the locale {locale}, which is for {other}: give lc_collate "
                "and lc_ctype too, such as C"
            )


def _encoding_of(connection: Connection, locale: str) -> str | None:
    """None where any will do, or the server does not say."""
    if locale.upper() in _BYTEWISE:
        return None
    found = catalog.rows(
        connection,
        "SELECT pg_encoding_to_char(collencoding) FROM pg_collation "
        "WHERE collprovider = 'c' AND collencoding >= 0 AND %s IN "
        "(replace(lower(collcollate), 'utf-8', 'utf8'), replace(lower(collctype), 'utf-8', 'utf8'))",
        _as_compared(locale),
    )
    return found[0][0] if found else None


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
