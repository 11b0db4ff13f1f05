"""A whole database that is loaded out of sight, and what of it only a superuser may set."""

from collections.abc import Iterable

from psycopg import sql

from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.loaders import Loaders
from openrds.engines.postgresql.sessions import Connection
from openrds.engines.protocol import EngineError

#: Of the server's own extensions they are as the extensions make them.
_DEFINERS = """
SELECT oid, oid::regprocedure::text AS name FROM pg_proc
WHERE prosecdef AND oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
"""


def comment(mark: str) -> str:
    return f"restored by openrds, task {mark}"


def prepare(connection: Connection, aside: str) -> None:
    """Let the functions that run as their owners be ordinary ones in the dump: none of a loader's can be called so.

    Which they were is kept in a schema, so it is done once. The server is one that nobody uses, and is soon gone.

    Raises:
        EngineError: a table is part of another owner's, so that no loader could make it.
    """
    parts = catalog.first_with_parts_of_others(connection)
    if parts is not None:
        part, whole = parts
        raise EngineError(
            f"{part} is part of {whole}, which has another owner: restore to a new instance, and copy"
        )
    if catalog.rows(connection, "SELECT FROM pg_namespace WHERE nspname = %s", aside):
        return
    with connection.transaction():
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(aside)))
        kept = sql.Identifier(aside, "definers")
        connection.execute(sql.SQL("CREATE TABLE {} AS ").format(kept) + sql.SQL(_DEFINERS))
        connection.execute(
            sql.SQL(
                "UPDATE pg_proc SET prosecdef = false FROM {} AS kept WHERE kept.oid = pg_proc.oid"
            ).format(kept)
        )
        # They go with their tables, which may have changed hands.
        connection.execute(
            "UPDATE pg_statistic_ext SET stxowner = relowner FROM pg_class"
            " WHERE stxrelid = pg_class.oid AND stxowner <> relowner"
        )


def definers(connection: Connection, aside: str) -> list[str]:
    statement = sql.SQL("SELECT name FROM {}").format(sql.Identifier(aside, "definers"))
    return [name for (name,) in connection.execute(statement).fetchall()]


def make(connection: Connection, aside: str, clauses: sql.Composable) -> None:
    """Empty, out of sight, and closed to everybody until it has its extensions, whose scripts the server runs."""
    name = sql.Identifier(aside)
    connection.execute(sql.SQL("CREATE DATABASE {} {}").format(name, clauses))
    mark = aside.split("_")[1]
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(comment(mark))))
    connection.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(name))


def let_in(connection: Connection, aside: str, loaders: Loaders) -> None:
    name, heir = sql.Identifier(aside), sql.Identifier(loaders.of(loaders.heir))
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, heir))
    names = sql.SQL(", ").join(map(sql.Identifier, loaders.names.values()))
    connection.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(name, names))


def hand_over(connection: Connection, loaders: Loaders, definers: Iterable[str]) -> None:
    """Give what was loaded to its owners.

    Raises:
        EngineError: code that ran while it was loaded has made a function that would run as its owner.
    """
    planted = catalog.rows(connection, _DEFINERS)
    if planted:
        raise EngineError(
            f"{planted[0][1]} was not in the dump: code in the database made it while it was loaded"
        )
    with connection.transaction():
        for owner, loader in loaders.names.items():
            names = sql.Identifier(loader), sql.Identifier(owner)
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(*names))
        for routine in definers:
            connection.execute(f"ALTER ROUTINE {routine} SECURITY DEFINER".encode())


def publish(connection: Connection, aside: str, name: str) -> None:
    old, new = sql.Identifier(aside), sql.Identifier(name)
    connection.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO PUBLIC").format(old))
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, new))
