"""What a server's catalog says of databases, tables and the code of its users."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from openrds.engines.postgresql.sessions import Connection
from openrds.engines.protocol import EngineError, NameTaken, NotThere, TableCopy
from openrds.hosts.processes import wait_until

#: A condition on `pg_depend`: whether an object calls anything that users of the instance have made. Objects of the
#: server itself have lower ids; a table's own columns are no code.
CALLS_USER_CODE = """
exists (select from pg_depend
        where pg_depend.classid = {classid}::regclass and pg_depend.objid = {oid}
          and pg_depend.refobjid >= 16384 and pg_depend.refclassid <> 'pg_class'::regclass)
"""

_CUT_SECONDS = 30.0
_ICU_COLUMNS = 170000
_PROVIDERS = 150000
_FORCE = 130000


@dataclass(frozen=True)
class DatabaseOptions:
    """How a database was made, as clauses of CREATE DATABASE, and whose it is."""

    clauses: sql.Composable
    owner: str


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


def cut_off(connection: Connection, session: str) -> None:
    """End the sessions of this name, and wait until they are gone: they hold locks, and what they began."""
    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    if not wait_until(lambda: not rows(connection, statement, session), _CUT_SECONDS, every=0.02):
        raise EngineError(f"sessions of an earlier attempt, {session}, do not end")


def database_options(connection: Connection, name: str) -> DatabaseOptions:
    """
    Raises:
        NotThere: there is no such database.
    """
    version = connection.info.server_version
    provider = "datlocprovider" if version >= _PROVIDERS else "'c'"
    locale = "NULL" if version < _PROVIDERS else "datlocale" if version >= _ICU_COLUMNS else "daticulocale"
    found = rows(
        connection,
        f"SELECT pg_encoding_to_char(encoding), datcollate, datctype, {provider}, {locale}, "  # noqa: S608
        "pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s AND NOT datistemplate",
        name,
    )
    if not found:
        raise NotThere(f"there was no database {name} at that moment")
    *options, owner = found[0]
    return DatabaseOptions(_clauses(*options), owner)


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


def has_risky_domains(connection: Connection) -> bool:
    """Whether a domain of this database calls code of its users when a value is read."""
    condition = CALLS_USER_CODE.format(classid="'pg_constraint'", oid="pg_constraint.oid")
    return _any(connection, f"SELECT FROM pg_constraint WHERE contypid <> 0 AND {condition} LIMIT 1")


def has_column_of_user_type(connection: Connection, table: int) -> bool:
    statement = f"SELECT FROM pg_attribute WHERE attrelid = {int(table)} AND atttypid >= 16384 LIMIT 1"
    return _any(connection, statement)


def first_risky_column(connection: Connection, condition: str) -> str | None:
    """A generated column, or a key of partitions, that calls code of users; `condition` is on `pg_class`."""
    generated = CALLS_USER_CODE.format(classid="'pg_attrdef'", oid="pg_attrdef.oid")
    keyed = CALLS_USER_CODE.format(classid="'pg_class'", oid="pg_class.oid")
    row = connection.execute(
        f"""
        SELECT format('%I.%I', relname, attname) FROM pg_class
        JOIN pg_attribute ON attrelid = pg_class.oid AND attgenerated <> ''
        JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE {condition} AND {generated}
        UNION ALL
        SELECT format('%I', relname) FROM pg_class JOIN pg_partitioned_table ON partrelid = pg_class.oid
        WHERE {condition} AND partexprs IS NOT NULL AND {keyed}
        LIMIT 1
        """.encode()  # noqa: S608 - made of constants
    ).fetchone()
    return row[0] if row else None


def _any(connection: Connection, statement: str) -> bool:
    return connection.execute(statement.encode()).rowcount > 0


def rows(connection: Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode(), parameters).fetchall()
