"""Tables under new names: set aside in the server they come from, and published in the one they go to."""

from collections.abc import Iterable, Mapping, Sequence

from psycopg import sql

from openrds.engines.postgresql import catalog, loaders
from openrds.engines.postgresql.configuration import LOADER
from openrds.engines.postgresql.loaders import Loaders
from openrds.engines.postgresql.sessions import Connection, superuser_session
from openrds.engines.protocol import EngineError, NodeSpec, NotThere, TableCopy

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
_PARENTS = "SELECT inhparent FROM pg_inherits JOIN pg_class ON pg_class.oid = inhparent WHERE inhrelid = %s"
#: An owner may own a table to which it has no way.
_ACCESS = """
SELECT format('GRANT CONNECT ON DATABASE %%I TO %%I', current_database(), %(loader)s::text)
UNION SELECT format('GRANT USAGE ON SCHEMA %%s TO %%I', relnamespace::regnamespace, %(loader)s::text) FROM pg_class
WHERE oid = ANY(%(tables)s) OR oid IN (SELECT inhparent FROM pg_inherits WHERE inhrelid = ANY(%(tables)s))
"""
_STATISTICS_OF_THE_OWNER = """
UPDATE pg_statistic_ext SET stxowner = relowner FROM pg_class WHERE stxrelid = pg_class.oid AND stxowner <> relowner
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
_OWNER = """
SELECT rolname, rolsuper OR relowner < 16384 FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
WHERE pg_class.oid = %s
"""


def set_aside(
    source: NodeSpec, database: str, tables: Sequence[TableCopy], aside: str, taken: Iterable[str]
) -> None:
    """Give tables and all that is theirs new names that are not taken, in a schema of our own. Done once.

    To part a table from others may call what their owners wrote, so each is done with the rights of its owner alone.

    Raises:
        EngineError: there is no such table, or it is of a kind that cannot be copied.
    """
    with superuser_session(source, database) as connection:
        oids = _noted(connection, aside) or _note(connection, tables, aside)
        _disown(connection, oids)
        wholes = {oid: _partitioned_of(connection, oid) for oid in oids}
        used = {*taken, *(table.new_name for table in tables), *catalog.names_in(connection, [aside])}
        owners = {oid: _owner(connection, oid) for oid in [*oids, *filter(None, wholes.values())]}
        left = [
            (table, oid)
            for table, oid in zip(tables, oids, strict=True)
            if not _is_in(connection, oid, aside)
        ]
    for _, oid in left:
        if whole := wholes[oid]:
            with loaders.lent(source, database, owners[whole]) as connection:
                _detach(connection, oid, whole)
    for owner in sorted({owners[oid] for _, oid in left}):
        with loaders.lent(source, database, owner) as connection:
            for table, oid in left:
                if owners[oid] == owner:
                    with connection.transaction():
                        _cut_loose(connection, oid)
                        _move(connection, table, oid, aside, used)


def make_place(connection: Connection, aside: str, loaders: Loaders) -> None:
    """The schema in the server that the tables go to; nobody but their loaders has a right to it."""
    schema = sql.Identifier(aside)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    names = sql.SQL(", ").join(map(sql.Identifier, loaders.names.values()))
    connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(schema, names))


def owners_aside(connection: Connection, aside: str) -> dict[str, str]:
    """The owner of each table that is set aside, by the table's new name."""
    found = catalog.rows(
        connection,
        "SELECT relname, pg_get_userbyid(relowner) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = %s AND relkind = 'r'",
        aside,
    )
    return dict(found)


def hand_over(connection: Connection, aside: str, owners: Mapping[str, str], made_by: Loaders) -> None:
    """Give the loaded tables to their owners. Whatever else there is was made by code that ran, and is nobody's.

    Raises:
        EngineError: a table is not there, or is not that of its owner's loader.
    """
    with connection.transaction():
        for name, owner in owners.items():
            oid = _oid(connection, aside, name)
            if oid is None or _owner(connection, oid) != made_by.of(owner):
                raise EngineError(f"{name} was not loaded as it was dumped")
            role = sql.Identifier(owner)
            for schema, statistics in catalog.rows(connection, _STATISTICS, oid):
                connection.execute(
                    sql.SQL("ALTER STATISTICS {} OWNER TO {}").format(
                        sql.Identifier(schema, statistics), role
                    )
                )
            connection.execute(
                sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(aside, name), role)
            )


def publish(connection: Connection, tables: Sequence[TableCopy], aside: str) -> None:
    """Move all tables to their places at once; the empty schema keeps in mind which they were."""
    if not catalog.rows(connection, "SELECT FROM pg_namespace WHERE nspname = %s", aside) or _noted(
        connection, aside
    ):
        return
    with connection.transaction():
        oids = []
        for table in tables:
            oid = _oid(connection, aside, table.new_name)
            if oid is None:
                raise EngineError(f"{table.new_name} is gone: its owner dropped it")
            oids.append(oid)
            place = sql.Identifier(table.schema)
            for schema, name in catalog.rows(connection, _STATISTICS, oid):
                connection.execute(
                    sql.SQL("ALTER STATISTICS {} SET SCHEMA {}").format(sql.Identifier(schema, name), place)
                )
            connection.execute(
                sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(aside, table.new_name), place)
            )
        _write_note(connection, aside, oids)


def discard(connection: Connection, aside: str) -> None:
    """Drop what was copied, also where it is published in this database and not yet in another."""
    for oid in _noted(connection, aside):
        for (table,) in catalog.rows(
            connection, "SELECT oid::regclass::text FROM pg_class WHERE oid = %s", oid
        ):
            connection.execute(f"DROP TABLE {table}".encode())
    drop_schema(connection, aside)


def drop_schema(connection: Connection, aside: str) -> None:
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(aside)))


def _note(connection: Connection, tables: Sequence[TableCopy], aside: str) -> list[int]:
    """Make the schema, which keeps in mind which tables come to it: one may be given the name that another has had."""
    oids = [_find(connection, table) for table in tables]
    schema, loader = sql.Identifier(aside), sql.Identifier(LOADER)
    with connection.transaction():
        loaders.make_one(connection)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(schema, loader))
        for (statement,) in connection.execute(
            _ACCESS.encode(), {"tables": oids, "loader": LOADER}
        ).fetchall():
            connection.execute(statement.encode())
        # They follow their tables into other hands.
        connection.execute(_STATISTICS_OF_THE_OWNER)
        _write_note(connection, aside, oids)
    return oids


def _disown(connection: Connection, oids: Iterable[int]) -> None:
    """What a superuser owned comes back as the database's owner's: nobody may act as a superuser."""
    for oid in oids:
        for other in (oid, _partitioned_of(connection, oid)):
            if other and catalog.rows(connection, _OWNER, other)[0][1]:
                table, heir = sql.SQL(_name(connection, other)), sql.Identifier(loaders.heir(connection))
                connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(table, heir))


def _noted(connection: Connection, aside: str) -> list[int]:
    statement = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
    notes = [note for (note,) in catalog.rows(connection, statement, aside) if note]
    return [int(oid) for note in notes for oid in note.split(",")]


def _find(connection: Connection, table: TableCopy) -> int:
    oid = _oid(connection, table.schema, table.table)
    if oid is None:
        where = f"{table.database}.{table.schema}"
        raise NotThere(f"there was no table {where}.{table.table} at that moment")
    if catalog.rows(connection, "SELECT FROM pg_class WHERE oid = %s AND relkind = 'p'", oid):
        raise EngineError(
            f"{table.schema}.{table.table} is partitioned: name its partitions, or restore the database"
        )
    return oid


def _oid(connection: Connection, schema: str, name: str) -> int | None:
    statement = (
        "SELECT pg_class.oid FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = %s AND relname = %s AND relkind IN ('r', 'p')"
    )
    found = catalog.rows(connection, statement, schema, name)
    return found[0][0] if found else None


def _owner(connection: Connection, oid: int) -> str:
    return str(catalog.rows(connection, _OWNER, oid)[0][0])


def _is_in(connection: Connection, oid: int, schema: str) -> bool:
    statement = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = %s"
    return catalog.rows(connection, statement, oid) == [(schema,)]


def _partitioned_of(connection: Connection, oid: int) -> int | None:
    """The table that it is a partition of."""
    found = catalog.rows(connection, f"{_PARENTS} AND relkind = 'p'", oid)
    return found[0][0] if found else None


def _detach(connection: Connection, oid: int, whole: int) -> None:
    names = sql.SQL(_name(connection, whole)), sql.SQL(_name(connection, oid))
    connection.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(*names))


def _cut_loose(connection: Connection, oid: int) -> None:
    """Part a table from others: a copy beside its original neither needs them nor acts on them."""
    for (parent,) in catalog.rows(connection, _PARENTS, oid):
        names = sql.SQL(_name(connection, oid)), sql.SQL(_name(connection, parent))
        connection.execute(sql.SQL("ALTER TABLE {} NO INHERIT {}").format(*names))
    for (statement,) in connection.execute(_LEFT_OUT.encode(), {"table": oid}).fetchall():
        connection.execute(statement.encode())


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


def _write_note(connection: Connection, aside: str, oids: Iterable[int]) -> None:
    note = sql.Literal(",".join(map(str, oids)))
    connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(aside), note))


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
