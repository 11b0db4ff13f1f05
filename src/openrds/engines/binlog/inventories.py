"""What clients could name of a server: its databases and tables."""

from collections.abc import Iterator
from itertools import groupby

from openrds.engines.binlog import sessions
from openrds.engines.binlog.tables import SYSTEM_DATABASES
from openrds.engines.protocol import EngineError, NodeSpec, Place

#: Names that begin so are those of copies while they are made.
_ASIDE = "openrds_"
_DATABASES = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN %s"
_TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN %s LIMIT %s
"""


def inventory(node: NodeSpec, most: int) -> Iterator[Place]:
    """
    Raises:
        EngineError: the server does not answer, or has more than `most`.
    """
    with sessions.session(node) as connection, connection.cursor() as cursor:
        servers_own = sorted(SYSTEM_DATABASES)
        cursor.execute(_DATABASES, (servers_own,))
        databases = {str(name) for (name,) in cursor}
        cursor.execute(_TABLES, (servers_own, most + 1))
        tables = sorted((str(database), str(name)) for database, name in cursor)
    if len(databases) + len(tables) > most:
        raise EngineError(f"{node.engine} {node.node_id} has more tables than are listed")
    by_database = {database: list(found) for database, found in groupby(tables, lambda table: table[0])}
    # One may have been made between the two questions.
    for database in sorted(databases | by_database.keys()):
        if not database.startswith(_ASIDE):
            yield (database,)
            for _, table in by_database.get(database, []):
                yield database, "", table
