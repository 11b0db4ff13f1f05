"""Rows of tables as JSON, to be written again: by the same openrds or a newer one, which may have more columns."""

from typing import Any, Literal, TypeAlias

from psycopg import sql
from psycopg.types.json import Jsonb

from openrds.store.database import Writer

#: What projects have beside their instances, most of which these refer to.
Belonging: TypeAlias = Literal[
    "vpc", "subnet", "security_group", "security_group_rule", "configuration", "webhook"
]
Table: TypeAlias = Literal["project", "account", "instance", "node", "address", "backup"] | Belonging

_COLUMNS = b"""
select attname as name from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped
"""


def insert_record(connection: Writer, table: Table, row: dict[str, Any]) -> bool:
    """Write a row, unless there is one of its key; whether it was written. What it does not say has its default."""
    known = {found["name"] for found in connection.execute(_COLUMNS, [table])}
    columns = sql.SQL(", ").join(map(sql.Identifier, sorted(known & row.keys())))
    name = sql.Identifier(table)
    statement = sql.SQL(
        "insert into {name} ({columns}) select {columns} from jsonb_populate_record(null::{name}, %s)"
        " on conflict do nothing"
    ).format(name=name, columns=columns)
    return connection.execute(statement, [Jsonb(row)]).rowcount == 1
