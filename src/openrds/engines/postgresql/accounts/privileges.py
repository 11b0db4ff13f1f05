"""What accounts may do in the schemas of a database: read, or write too, in what is there and in what will be.

Rights on an object are granted as its owner would, and only on what a tenant owns: what a superuser made in a schema,
as an extension does, keeps the rights that it came with. The levels are those of reads.md 4; what they hold is ours.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from psycopg import sql

from openrds.domain.accounts import Grantee, GrantPrivileges, RevokePrivileges
from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.accounts import tenants
from openrds.engines.postgresql.sessions import Connection, superuser_session
from openrds.engines.protocol import NodeSpec

#: Objects in one statement.
_AT_ONCE = 500


@dataclass(frozen=True)
class _Level:
    """Rights on a schema, and on the kinds of what is in it."""

    schema: str
    objects: Mapping[str, str]


_READ = _Level("USAGE", {"TABLES": "SELECT", "SEQUENCES": "SELECT"})
#: TRIGGER is not among them: its holder's code would run as whoever writes to the table.
_WRITE = _Level(
    "USAGE, CREATE",
    {
        "TABLES": "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES",
        "SEQUENCES": "SELECT, USAGE, UPDATE",
    },
)

#: By kind: `r` is what pg_default_acl calls all kinds of tables, `S` sequences.
_KINDS = {"TABLES": ("TABLE", "r,p,v,m,f"), "SEQUENCES": ("SEQUENCE", "S")}
_OBJECTS = f"""
SELECT pg_class.oid::regclass::text FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
WHERE relnamespace = %s AND relkind = ANY(string_to_array(%s, ',')::"char"[]) AND {tenants.IS_TENANT}
"""  # noqa: S608
#: Who has something for what is made from now on, and whether that is more than to read.
_HEIRS = """
SELECT pg_get_userbyid(grantee), bool_or(privilege_type = 'INSERT')
FROM pg_default_acl, aclexplode(defaclacl) WHERE defaclnamespace = %s AND defaclobjtype = 'r' AND grantee <> 0
GROUP BY grantee
"""
_MAKERS = f"""
SELECT rolname FROM pg_roles WHERE {tenants.IS_TENANT} AND has_schema_privilege(pg_roles.oid, %s::oid, 'CREATE')
"""  # noqa: S608
_BENEFACTORS = """
SELECT DISTINCT pg_get_userbyid(defaclrole) FROM pg_default_acl, aclexplode(defaclacl)
WHERE defaclnamespace = %s AND grantee = %s::regrole
"""
_ELSEWHERE = """
SELECT FROM pg_namespace, aclexplode(nspacl) WHERE pg_namespace.oid <> %s AND grantee = %s::regrole
"""


def check(node: NodeSpec, change: GrantPrivileges | RevokePrivileges) -> None:
    with superuser_session(node) as connection:
        tenants.check_database(connection, change.database)
        tenants.check_accounts(connection, [one.account for one in change.grantees])
    with superuser_session(node, change.database) as connection:
        tenants.check_schemas(connection, change.database, [one.schema for one in change.grantees])


def grant(node: NodeSpec, change: GrantPrivileges) -> None:
    """All or nothing of it."""
    with superuser_session(node, change.database) as connection, connection.transaction():
        for schema, grantees in _by_schema(change.grantees).items():
            oid = _schema_oid(connection, schema)
            read_only = {one.account: one.read_only for one in grantees}
            _take(connection, oid, schema, list(read_only))
            for level, names in _by_level(read_only):
                _give(connection, change.database, oid, schema, level, names)
            # Who was let in before has a right to what those will make, too, who may make something only now.
            heirs = {name: not writes for name, writes in catalog.rows(connection, _HEIRS, oid)}
            for level, names in _by_level(heirs | read_only):
                _promise(connection, oid, schema, level, names)


def revoke(node: NodeSpec, change: RevokePrivileges) -> None:
    with superuser_session(node, change.database) as connection, connection.transaction():
        for schema, grantees in _by_schema(change.grantees).items():
            oid, names = _schema_oid(connection, schema), [one.account for one in grantees]
            _take(connection, oid, schema, names)
            for name in names:
                if not catalog.rows(connection, _ELSEWHERE, oid, _quoted(name)):
                    connection.execute(
                        sql.SQL("REVOKE CONNECT ON DATABASE {} FROM {}").format(
                            sql.Identifier(change.database), sql.Identifier(name)
                        )
                    )


def _give(
    connection: Connection, database: str, oid: int, schema: str, level: _Level, names: Sequence[str]
) -> None:
    accounts = _listed(names)
    connection.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), accounts)
    )
    connection.execute(
        sql.SQL("GRANT " + level.schema + " ON SCHEMA {} TO {}").format(sql.Identifier(schema), accounts)
    )
    for kind, rights in level.objects.items():
        for objects in _objects(connection, oid, kind):
            _execute(connection, f"GRANT {rights} ON {objects} TO ", accounts)


def _take(connection: Connection, oid: int, schema: str, names: Sequence[str]) -> None:
    accounts = _listed(names)
    connection.execute(sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(sql.Identifier(schema), accounts))
    for kind in _KINDS:
        for objects in _objects(connection, oid, kind):
            _execute(connection, f"REVOKE ALL ON {objects} FROM ", accounts)
    for name in names:
        for (maker,) in catalog.rows(connection, _BENEFACTORS, oid, _quoted(name)):
            for kind in _KINDS:
                connection.execute(
                    sql.SQL(
                        "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} REVOKE ALL ON " + kind + " FROM {}"
                    ).format(sql.Identifier(maker), sql.Identifier(schema), sql.Identifier(name))
                )


def _promise(connection: Connection, oid: int, schema: str, level: _Level, names: Sequence[str]) -> None:
    """The level's rights on all that is made from now on by whoever may make something there."""
    for (maker,) in catalog.rows(connection, _MAKERS, oid):
        for kind, rights in level.objects.items():
            connection.execute(
                sql.SQL(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT "
                    + rights
                    + " ON "
                    + kind
                    + " TO {}"
                ).format(sql.Identifier(maker), sql.Identifier(schema), _listed(names))
            )


def _objects(connection: Connection, oid: int, kind: str) -> Iterator[str]:
    """Those of a kind in a schema, as a statement names them, some at a time."""
    word, kinds = _KINDS[kind]
    names = (name for (name,) in catalog.rows(connection, _OBJECTS, oid, kinds))
    while some := list(islice(names, _AT_ONCE)):
        yield f"{word} {', '.join(some)}"


def _by_schema(grantees: Collection[Grantee]) -> dict[str, list[Grantee]]:
    found: dict[str, list[Grantee]] = {}
    for one in grantees:
        found.setdefault(one.schema, []).append(one)
    return found


def _by_level(read_only: Mapping[str, bool]) -> Iterator[tuple[_Level, list[str]]]:
    for level, wanted in ((_READ, True), (_WRITE, False)):
        names = [name for name, only in read_only.items() if only is wanted]
        if names:
            yield level, names


def _schema_oid(connection: Connection, schema: str) -> int:
    ((oid,),) = catalog.rows(connection, "SELECT oid FROM pg_namespace WHERE nspname = %s", schema)
    return int(oid)


def _quoted(name: str) -> str:
    """As `regrole` reads it."""
    return '"' + name.replace('"', '""') + '"'


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _execute(connection: Connection, statement: str, names: sql.Composed) -> Any:
    """The statement is of words of ours and of names as the server wrote them, quoted."""
    connection.execute(statement.encode() + names.as_bytes(connection))
