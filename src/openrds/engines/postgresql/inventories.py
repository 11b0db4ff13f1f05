"""What clients could name of a server: its databases and tables.

The catalogue of each database is asked, by a session with our own settings (`pinned`): nothing of a tenant is run.
"""

from collections.abc import Iterator

from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.accounts.tenants import IS_DATABASE, IS_SCHEMA
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import EngineError, NodeSpec, Place

#: One that was about to be dropped when its server died has the limit -2, and lets nobody in any more.
_DATABASES = f"SELECT datname, datallowconn FROM pg_database WHERE {IS_DATABASE} AND datconnlimit <> -2"  # noqa: S608
#: Temporary ones are of their session.
_TABLES = f"""
SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND {IS_SCHEMA} LIMIT %s
"""  # noqa: S608


def inventory(node: NodeSpec, most: int) -> Iterator[Place]:
    """
    Databases that let nobody in are there without their tables, which cannot be had one by one.

    Raises:
        EngineError: the server does not answer, has more than `most`, or a name that is no text.
    """
    try:
        for database, lets_in in _databases(node):
            tables = _tables_of(node, database, most) if lets_in else []
            if tables is None:
                continue
            most -= 1 + len(tables)
            if most < 0:
                raise EngineError(f"PostgreSQL {node.node_id} has more tables than are listed")
            yield (database,)
            for schema, table in tables:
                yield database, schema, table
    except UnicodeDecodeError as error:
        raise EngineError(f"PostgreSQL {node.node_id} has a name that is no UTF-8") from error


def _databases(node: NodeSpec) -> list[tuple[str, bool]]:
    with superuser_session(node) as connection:
        return sorted(catalog.rows(connection, _DATABASES))


def _tables_of(node: NodeSpec, database: str, most: int) -> list[tuple[str, str]] | None:
    """None where the database was dropped meanwhile."""
    try:
        with superuser_session(node, database) as connection:
            return sorted(catalog.rows(connection, _TABLES, most + 1))
    except EngineError:
        if (database, True) in _databases(node):
            raise
        return None
