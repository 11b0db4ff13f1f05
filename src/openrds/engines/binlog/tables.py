"""Tables as they are to be copied: what kind each is, and how the server itself says it is made."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from openrds.engines.binlog import sessions
from openrds.engines.binlog.sessions import Connection, named, rows, scalar
from openrds.engines.protocol import EngineError, NotThere

#: Of the server itself; nothing in them is a tenant's.
SYSTEM_DATABASES = frozenset({"mysql", "sys", "information_schema", "performance_schema"})
#: Others have their rows elsewhere: in another server, in files, in other tables, or nowhere.
_ENGINES = frozenset({"InnoDB", "MyISAM", "Aria", "MEMORY", "ARCHIVE", "CSV"})

_NEXT = re.compile(r"^\) ENGINE=\w+ AUTO_INCREMENT=(\d+)", re.ASCII | re.MULTILINE)

_TABLES = """
SELECT table_name AS name, table_type AS type, engine AS engine, create_options AS options
FROM information_schema.tables WHERE table_schema = %s AND table_type <> 'VIEW' ORDER BY table_name
"""
_COLUMNS = """
SELECT column_name AS name FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s AND COALESCE(generation_expression, '') = '' ORDER BY ordinal_position
"""
_FULL_TEXT = """
SELECT COUNT(*) FROM information_schema.statistics
WHERE table_schema = %s AND table_name = %s AND index_type IN ('FULLTEXT', 'SPATIAL')
"""
_FOREIGN_KEYS = """
SELECT k.table_name AS child, k.constraint_name AS name, k.column_name AS from_column,
       k.referenced_table_schema AS parent_database, k.referenced_table_name AS parent,
       k.referenced_column_name AS to_column, r.update_rule AS on_update, r.delete_rule AS on_delete
FROM information_schema.key_column_usage AS k
JOIN information_schema.referential_constraints AS r
  ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
     AND r.table_name = k.table_name
WHERE k.table_schema = %s AND k.referenced_table_name IS NOT NULL
ORDER BY k.table_name, k.constraint_name, k.ordinal_position
"""


@dataclass(frozen=True)
class Table:
    """`columns` are those that have values of their own. `next` is the next number that its rows get, 0 for none.

    `is_plain` is whether its file can be taken as it is.
    """

    database: str
    name: str
    columns: tuple[str, ...]
    next: int
    is_plain: bool

    @property
    def named(self) -> str:
        return named(self.database, self.name)

    @property
    def column_list(self) -> str:
        return ", ".join(named(column) for column in self.columns)


def tables_of(connection: Connection, database: str, names: Iterable[str] | None = None) -> list[Table]:
    """All of a database, or those of the names.

    Raises:
        NotThere: it has not all of them.
        EngineError: one is of a kind that cannot be copied.
    """
    found = {row["name"]: row for row in rows(connection, _TABLES, database)}
    wanted = list(found) if names is None else list(names)
    for name in wanted:
        if name not in found:
            raise NotThere(f"there was no table {database}.{name} at that moment")
    return [_table(connection, database, found[name]) for name in wanted]


def definition(connection: Connection, table: Table, place: tuple[str, str]) -> str:
    """The statement that makes a table like it in whatever database one is in: without foreign keys, which name
    others. The place is one of ours in the same server, where the like is made first.
    """
    sessions.execute(connection, f"DROP TABLE IF EXISTS {named(*place)}")
    sessions.execute(connection, f"CREATE TABLE {named(*place)} LIKE {table.named}")
    (shown,) = rows(connection, f"SHOW CREATE TABLE {named(*place)}")
    return str(shown["Create Table"])


def foreign_keys(connection: Connection, database: str) -> list[str]:
    """The statements that give the copies of a database's tables their foreign keys, said in that database.

    Raises:
        EngineError: one leads to another database.
    """
    keys: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows(connection, _FOREIGN_KEYS, database):
        if row["parent_database"] != database:
            raise EngineError(
                f"the foreign key {row['name']} of {database}.{row['child']} leads to another database, "
                f"{row['parent_database']}: what it means there cannot be told for a copy"
            )
        keys.setdefault((row["child"], row["name"]), []).append(dict(row))
    return [_foreign_key(child, name, parts) for (child, name), parts in keys.items()]


def _foreign_key(child: str, name: str, parts: Sequence[dict[str, str]]) -> str:
    columns = ", ".join(named(part["from_column"]) for part in parts)
    targets = ", ".join(named(part["to_column"]) for part in parts)
    first = parts[0]
    return (
        f"ALTER TABLE {named(child)} ADD CONSTRAINT {named(name)} FOREIGN KEY ({columns}) REFERENCES "
        f"{named(first['parent'])} ({targets}) ON DELETE {first['on_delete']} ON UPDATE {first['on_update']}"
    )


def _table(connection: Connection, database: str, row: Mapping[str, object]) -> Table:
    name, engine, options = str(row["name"]), str(row["engine"]), str(row["options"] or "").lower()
    if row["type"] != "BASE TABLE" or engine not in _ENGINES:
        kind = str(row["type"]).lower() if row["type"] != "BASE TABLE" else f"table of {engine}"
        raise EngineError(
            f"{database}.{name} is a {kind}, which cannot be had under another name; restore to a new instance"
        )
    columns = tuple(str(one["name"]) for one in rows(connection, _COLUMNS, database, name))
    is_plain = (
        engine == "InnoDB"
        and not any(word in options for word in ("partitioned", "encryption", "encrypted", "tablespace"))
        and not scalar(connection, _FULL_TEXT, database, name)
    )
    return Table(database, name, columns, _next(connection, database, name), is_plain)


def _next(connection: Connection, database: str, name: str) -> int:
    """What the information schema says of it may be of yesterday."""
    (shown,) = rows(connection, f"SHOW CREATE TABLE {named(database, name)}")
    found = _NEXT.search(str(shown["Create Table"]))
    return int(found[1]) if found else 0
