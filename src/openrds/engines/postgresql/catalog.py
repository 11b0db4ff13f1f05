"""What a server's catalog says of databases, tables and the code of its users."""

from collections.abc import Collection, Mapping
from typing import Any

from psycopg import sql
from psycopg.conninfo import make_conninfo

from openrds.engines.postgresql.sessions import Connection
from openrds.engines.protocol import EngineError, NameTaken, NotThere, TableCopy
from openrds.hosts.processes import wait_until

_CUT_SECONDS = 30.0
_ICU_COLUMNS = 170000
_PROVIDERS = 150000
_FORCE = 130000


def has_database(connection: Connection, name: str) -> bool:
    return connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount > 0


def databases_with_comment(connection: Connection, comment: str) -> list[str]:
    rows = connection.execute(
        "SELECT datname FROM pg_database WHERE shobj_description(oid, 'pg_database') = %s", [comment]
    )
    return [name for (name,) in rows]


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database, if it is there, whoever is in it."""
    force = sql.SQL(" WITH (FORCE)" if connection.info.server_version >= _FORCE else "")
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}{}").format(sql.Identifier(name), force))


def cut_off(connection: Connection, role: str) -> None:
    """End the sessions of a role, and wait until they are gone: they hold locks, and what they began."""
    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
    if not wait_until(lambda: not rows(connection, statement, role), _CUT_SECONDS, every=0.02):
        raise EngineError(f"sessions of {role} do not end")


def database_clauses(connection: Connection, name: str) -> sql.Composable:
    """How a database was made, as clauses of CREATE DATABASE.

    Raises:
        NotThere: there is no such database.
    """
    version = connection.info.server_version
    provider = "datlocprovider" if version >= _PROVIDERS else "'c'"
    locale = "NULL" if version < _PROVIDERS else "datlocale" if version >= _ICU_COLUMNS else "daticulocale"
    found = rows(
        connection,
        f"SELECT pg_encoding_to_char(encoding), datcollate, datctype, {provider}, {locale} "  # noqa: S608
        "FROM pg_database WHERE datname = %s AND NOT datistemplate",
        name,
    )
    if not found:
        raise NotThere(f"there was no database {name} at that moment")
    return _clauses(*found[0])


def _clauses(encoding: str, collate: str, ctype: str, provider: str, locale: str | None) -> sql.Composable:
    clauses = sql.SQL("TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        sql.Literal(encoding), sql.Literal(collate), sql.Literal(ctype)
    )
    if provider == "c":
        return clauses
    kind, option = ("icu", "ICU_LOCALE") if provider == "i" else ("builtin", "BUILTIN_LOCALE")
    return sql.SQL("{} LOCALE_PROVIDER {} {} {}").format(
        clauses, sql.SQL(kind), sql.SQL(option), sql.Literal(locale)
    )


def check_database(connection: Connection, name: str) -> None:
    """
    Raises:
        NotThere: there is none of this name.
    """
    if not has_database(connection, name):
        raise NotThere(f"there is no database {name}")


def check_table(connection: Connection, table: TableCopy) -> None:
    """
    Raises:
        NotThere: the database has no such table now.
    """
    statement = """
        SELECT FROM pg_class JOIN pg_namespace AS place ON place.oid = relnamespace
        WHERE nspname = %s AND relname = %s AND relkind IN ('r', 'p')
    """
    if not connection.execute(statement, [table.schema, table.table]).rowcount:
        raise NotThere(f"there is no table {table.database}.{table.schema}.{table.table}")


def check_free(connection: Connection, table: TableCopy) -> None:
    """
    Raises:
        NotThere: there is no such schema.
        NameTaken: it has something of the new name.
    """
    row = connection.execute("SELECT oid FROM pg_namespace WHERE nspname = %s", [table.schema]).fetchone()
    if row is None:
        raise NotThere(f"database {table.database} has no schema {table.schema} to restore into")
    taken = "SELECT FROM pg_class WHERE relnamespace = %s AND relname = %s"
    if connection.execute(taken, [row[0], table.new_name]).rowcount:
        place = f"{table.database}.{table.schema}"
        raise NameTaken(f"the name {table.new_name} is taken: {place} has something of that name")


def names_in(connection: Connection, schemas: Collection[str]) -> set[str]:
    """The names of everything that could be in the way of a table or what belongs to one."""
    rows = connection.execute(
        """
        SELECT relname FROM pg_class JOIN pg_namespace AS place ON place.oid = relnamespace
        WHERE nspname = ANY(%(schemas)s)
        UNION ALL
        SELECT stxname FROM pg_statistic_ext JOIN pg_namespace AS place ON place.oid = stxnamespace
        WHERE nspname = ANY(%(schemas)s)
        """,
        {"schemas": list(schemas)},
    )
    return {name for (name,) in rows}


def first_with_parts_of_others(connection: Connection) -> tuple[str, str] | None:
    """A table that inherits from another owner's, or is a partition of it, and that one."""
    found = rows(
        connection,
        """
        SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits
        JOIN pg_class AS part ON part.oid = inhrelid JOIN pg_class AS whole ON whole.oid = inhparent
        WHERE part.relowner <> whole.relowner LIMIT 1
        """,
    )
    return found[0] if found else None


def owners_of_unlisted(connection: Connection) -> dict[int, str]:
    """Who may make what pg_dump names no owner of: casts, transforms and extensions, by their oids."""
    found = rows(
        connection,
        """
        SELECT pg_cast.oid, pg_get_userbyid(typowner) FROM pg_cast
        JOIN pg_type ON pg_type.oid = CASE WHEN castsource >= 16384 THEN castsource ELSE casttarget END
        WHERE pg_cast.oid >= 16384
        UNION ALL
        SELECT pg_transform.oid, pg_get_userbyid(typowner) FROM pg_transform JOIN pg_type ON pg_type.oid = trftype
        UNION ALL
        SELECT oid, pg_get_userbyid(extowner) FROM pg_extension
        """,
    )
    return dict(found)


def conninfo(database: str) -> str:
    """Of a database whose name may look like anything."""
    return make_conninfo(dbname=database)


def size(connection: Connection) -> int:
    """Bytes of this database."""
    ((found,),) = rows(connection, "SELECT pg_database_size(current_database())")
    return int(found)


def encoding(connection: Connection) -> str:
    ((found,),) = rows(connection, "SELECT getdatabaseencoding()")
    return str(found)


def rows(connection: Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode(), parameters).fetchall()


def rows_named(
    connection: Connection, statement: str, parameters: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode(), parameters).fetchall()
