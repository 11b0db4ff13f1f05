"""Who loads what tenants made: a log-in for each owner, which is nobody beyond the place that it loads into.

What is loaded calls code of whoever made it: checks, index expressions, casts, partition bounds, materialized views.
Which of it does cannot be listed, so it may run, in a session that began as a role of no rights: `reset role` leads
nowhere, and one owner's code does not get at what another's loader has loaded. A loader is let in while one run of its
works, under the one name that the ident map has, and is gone when all is loaded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.configuration import FOLLOWER, LOADER
from openrds.engines.postgresql.sessions import Connection, loader_session, superuser_session
from openrds.engines.protocol import EngineError, NodeSpec

_POWERLESS = sql.SQL(
    "CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 1"
)


@dataclass(frozen=True)
class Loaders:
    """`names` has the loader of each owner. What a superuser owned comes back as the `heir`'s, who is none."""

    names: Mapping[str, str]
    heir: str

    def of(self, role: str) -> str:
        return self.names.get(role) or self.names[self.heir]

    @property
    def owners(self) -> list[str]:
        return list(self.names)


def owners(connection: Connection) -> list[str]:
    """The roles that own something in this database, without superusers and roles of the server's own.

    In an old backup an administrator may own what elsewhere is the role of followers.
    """
    found = catalog.rows(
        connection,
        """
        SELECT DISTINCT rolname FROM pg_shdepend JOIN pg_roles ON pg_roles.oid = refobjid
        WHERE refclassid = 'pg_authid'::regclass AND deptype = 'o' AND NOT rolsuper AND refobjid >= 16384
          AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND rolname <> %s
        """,
        FOLLOWER,
    )
    return [name for (name,) in found]


def heir(connection: Connection) -> str:
    """The owner of this database.

    Raises:
        EngineError: it is a superuser.
    """
    ((database, name, is_powerful),) = catalog.rows(
        connection,
        """
        SELECT datname, rolname, rolsuper OR pg_roles.oid < 16384 OR rolname = %s
        FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = current_database()
        """,
        FOLLOWER,
    )
    if is_powerful:
        raise EngineError(
            f"database {database} belongs to {name}, a superuser: give it to a role of the instance"
        )
    return str(name)


def make(connection: Connection, owner_names: Iterable[str], heir: str, prefix: str) -> Loaders:
    names = {owner: f"{prefix}_{number}" for number, owner in enumerate(sorted({*owner_names, heir}))}
    for name in names.values():
        connection.execute(_POWERLESS.format(sql.Identifier(name)) + sql.SQL(" NOLOGIN"))
    return Loaders(names, heir)


def make_one(connection: Connection) -> None:
    """The loader itself, where it is not there yet, for `lent`."""
    if not catalog.rows(connection, "SELECT FROM pg_roles WHERE rolname = %s", LOADER):
        connection.execute(_POWERLESS.format(sql.Identifier(LOADER)) + sql.SQL(" LOGIN"))


@contextmanager
def lent(node: NodeSpec, database: str, owner: str) -> Iterator[Connection]:
    """A session of a loader with the rights of one owner: for a server that nobody uses, and which is soon gone."""
    role, loader = sql.Identifier(owner), sql.Identifier(LOADER)
    with superuser_session(node) as connection:
        connection.execute(sql.SQL("GRANT {} TO {}").format(role, loader))
    try:
        with loader_session(node, database) as connection:
            yield connection
    finally:
        with superuser_session(node) as connection:
            catalog.cut_off(connection, LOADER)
            connection.execute(sql.SQL("REVOKE {} FROM {}").format(role, loader))


@contextmanager
def at_work(node: NodeSpec, loader: str) -> Iterator[None]:
    """Let a loader in for as long as this lasts; its sessions end with it."""
    with superuser_session(node) as connection:
        connection.execute(_renaming(loader, LOADER))
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(LOADER)))
    try:
        yield
    finally:
        with superuser_session(node) as connection:
            connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(LOADER)))
            catalog.cut_off(connection, LOADER)
            connection.execute(_renaming(LOADER, loader))


def dismiss(node: NodeSpec, databases: Sequence[str], prefix: str) -> None:
    """Remove the loaders with what is still theirs or granted to them, in these databases and of the server."""
    with superuser_session(node) as connection:
        catalog.cut_off(connection, LOADER)
        left = catalog.rows(
            connection,
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) OR rolname = %s",
            prefix,
            LOADER,
        )
    if not left:
        return
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in left)
    for database in databases:
        with superuser_session(node, database) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(names))
    with superuser_session(node) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(names))


def _renaming(old: str, new: str) -> sql.Composed:
    return sql.SQL("ALTER ROLE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
