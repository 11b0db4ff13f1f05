"""Tables under new names: set aside in the server they come from, and published in the one they go to."""

from collections.abc import Iterable, Sequence

from psycopg import sql

from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.sessions import Connection
from openrds.engines.protocol import EngineError, NotThere, TableCopy

_NAME_BYTES = 63

_INDEXES = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = %s"
_SEQUENCES = """
SELECT relname FROM pg_depend JOIN pg_class ON pg_class.oid = objid
WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = %s AND relkind = 'S'
  AND deptype IN ('a', 'i')
"""
_STATISTICS = """
SELECT nspname, stxname FROM pg_statistic_ext JOIN pg_namespace ON pg_namespace.oid = stxnamespace WHERE stxrelid = %s
"""
_PARENTS = """
SELECT nspname, relname, relkind = 'p' FROM pg_inherits JOIN pg_class ON pg_class.oid = inhparent
JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE inhrelid = %s
"""
#: What belongs to a table and is left out, as the statements that drop it.
_LEFT_OUT = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname)
FROM pg_constraint WHERE conrelid = %(table)s AND contype = 'f'
UNION ALL
SELECT format('DROP TRIGGER %%I ON %%s', tgname, tgrelid::regclass)
FROM pg_trigger WHERE tgrelid = %(table)s AND NOT tgisinternal
UNION ALL
SELECT format('DROP RULE %%I ON %%s', rulename, ev_class::regclass)
FROM pg_rewrite WHERE ev_class = %(table)s
"""
_DISARM = (
    "UPDATE pg_constraint SET convalidated = false WHERE contype = 'c' AND {condition} AND "  # noqa: S608 - constants
    + catalog.CALLS_USER_CODE.format(classid="'pg_constraint'", oid="pg_constraint.oid")
)


def set_aside(
    connection: Connection,
    tables: Sequence[TableCopy],
    aside: str,
    taken: Iterable[str],
    *,
    has_risky_domains: bool,
) -> None:
    """Give tables and all that is theirs new names that are not taken, in a schema of our own. Done once.

    Raises:
        EngineError: there is no such table, or it is of a kind that cannot be copied.
    """
    if catalog.rows(connection, "SELECT FROM pg_namespace WHERE nspname = %s", aside):
        return
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(aside)))
    used = {*taken, *(table.new_name for table in tables)}
    # All are looked for first: one may be given the name that another has had.
    for table, oid in [(table, _find(connection, table)) for table in tables]:
        _check_copyable(connection, table, oid, has_risky_domains=has_risky_domains)
        _cut_loose(connection, oid)
        _move(connection, table, oid, aside, used)


def publish(connection: Connection, tables: Sequence[TableCopy], aside: str) -> None:
    """Move all tables to their places at once; the empty schema keeps in mind which they were."""
    if not catalog.rows(connection, "SELECT FROM pg_namespace WHERE nspname = %s", aside) or _published(
        connection, aside
    ):
        return
    with connection.transaction():
        oids = []
        for table in tables:
            oid = _oid(connection, aside, table.new_name)
            oids.append(str(oid))
            place = sql.Identifier(table.schema)
            for schema, name in catalog.rows(connection, _STATISTICS, oid):
                connection.execute(
                    sql.SQL("ALTER STATISTICS {} SET SCHEMA {}").format(sql.Identifier(schema, name), place)
                )
            connection.execute(
                sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(aside, table.new_name), place)
            )
        note = sql.Literal(",".join(oids))
        connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(aside), note))


def discard(connection: Connection, aside: str) -> None:
    """Drop what was copied, also where it is published in this database and not yet in another."""
    for oid in _published(connection, aside):
        for (table,) in catalog.rows(
            connection, "SELECT oid::regclass::text FROM pg_class WHERE oid = %s", oid
        ):
            connection.execute(f"DROP TABLE {table}".encode())
    drop_schema(connection, aside)


def drop_schema(connection: Connection, aside: str) -> None:
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(aside)))


def disarm_database(connection: Connection) -> None:
    """Let no constraint that calls code of users be asked while rows are loaded.

    Raises:
        EngineError: such code would be called all the same.
    """
    connection.execute(_DISARM.format(condition="true").encode())
    risky = catalog.first_risky_column(connection, "true")
    if risky is not None:
        raise EngineError(f"{risky} calls functions of the instance's users, so it cannot be loaded safely")


def _published(connection: Connection, aside: str) -> list[int]:
    """The tables that `publish` has moved."""
    statement = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
    notes = [note for (note,) in catalog.rows(connection, statement, aside) if note]
    return [int(oid) for note in notes for oid in note.split(",")]


def _find(connection: Connection, table: TableCopy) -> int:
    oid = _oid(connection, table.schema, table.table)
    if oid is None:
        where = f"{table.database}.{table.schema}"
        raise NotThere(f"there was no table {where}.{table.table} at that moment")
    return oid


def _oid(connection: Connection, schema: str, name: str) -> int | None:
    statement = (
        "SELECT pg_class.oid FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = %s AND relname = %s AND relkind IN ('r', 'p')"
    )
    found = catalog.rows(connection, statement, schema, name)
    return found[0][0] if found else None


def _check_copyable(connection: Connection, table: TableCopy, oid: int, *, has_risky_domains: bool) -> None:
    name = f"{table.schema}.{table.table}"
    if catalog.rows(connection, "SELECT FROM pg_class WHERE oid = %s AND relkind = 'p'", oid):
        raise EngineError(f"{name} is partitioned: name its partitions, or restore the database")
    risky = catalog.first_risky_column(connection, f"pg_class.oid = {int(oid)}")
    if risky is not None or (has_risky_domains and catalog.has_column_of_user_type(connection, oid)):
        what = risky or f"a type of {name}"
        raise EngineError(f"{what} calls functions of the instance's users, so it cannot be loaded safely")


def _cut_loose(connection: Connection, oid: int) -> None:
    """Part a table from others, and from what would call code when it is loaded."""
    for schema, parent, is_partitioned in catalog.rows(connection, _PARENTS, oid):
        name = sql.SQL(_name(connection, oid))
        other = sql.Identifier(schema, parent)
        part = (
            sql.SQL("ALTER TABLE {other} DETACH PARTITION {name}")
            if is_partitioned
            else sql.SQL("ALTER TABLE {name} NO INHERIT {other}")
        )
        connection.execute(part.format(name=name, other=other))
    for (statement,) in connection.execute(_LEFT_OUT.encode(), {"table": oid}).fetchall():
        connection.execute(statement.encode())
    connection.execute(_DISARM.format(condition=f"conrelid = {int(oid)}").encode())


def _move(connection: Connection, table: TableCopy, oid: int, aside: str, used: set[str]) -> None:
    """Indexes and sequences follow the table into the schema, and constraints the name of their index."""
    place = sql.Identifier(aside)
    connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.SQL(_name(connection, oid)), place))
    for kind, names in (("INDEX", _INDEXES), ("SEQUENCE", _SEQUENCES)):
        for (old,) in catalog.rows(connection, names, oid):
            _rename(connection, kind, aside, old, _new_name(table, old, used))
    for schema, old in catalog.rows(connection, _STATISTICS, oid):
        connection.execute(
            sql.SQL("ALTER STATISTICS {} SET SCHEMA {}").format(sql.Identifier(schema, old), place)
        )
        _rename(connection, "STATISTICS", aside, old, _new_name(table, old, used))
    if table.new_name != table.table:
        _rename(connection, "TABLE", aside, table.table, table.new_name)


def _rename(connection: Connection, kind: str, schema: str, old: str, new: str) -> None:
    if new != old:
        connection.execute(
            sql.SQL("ALTER {} {} RENAME TO {}").format(
                sql.SQL(kind), sql.Identifier(schema, old), sql.Identifier(new)
            )
        )


def _new_name(table: TableCopy, old: str, used: set[str]) -> str:
    """`orders_pkey` becomes `orders_old_pkey` where `orders` becomes `orders_old`; a taken name gets a number."""
    rest = old.removeprefix(table.table) if old.startswith(table.table) else f"_{old}"
    for number in range(len(used) + 1):
        suffix = f"{rest}_{number}" if number else rest
        head = table.new_name.encode()[: max(0, _NAME_BYTES - len(suffix.encode()))].decode(errors="ignore")
        name = (head + suffix).encode()[:_NAME_BYTES].decode(errors="ignore")
        if name not in used:
            break
    used.add(name)
    return name


def _name(connection: Connection, oid: int) -> str:
    ((name,),) = catalog.rows(connection, "SELECT %s::oid::regclass::text", oid)
    return str(name)
