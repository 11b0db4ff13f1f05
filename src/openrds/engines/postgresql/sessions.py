"""Sessions of openrds' own superuser, over the Unix socket."""

import contextlib
import os
import re
import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from openrds.domain.deadline import ended_with_step
from openrds.engines.family import password_of
from openrds.engines.postgresql import pinned
from openrds.engines.postgresql.configuration import FOLLOWER, LOADER, SUPERUSER, major_version, socket_path
from openrds.engines.postgresql.passwords import scram_verifier
from openrds.engines.protocol import EngineError, LockedError, NodeSpec
from openrds.hosts.processes import wait_until

#: `postgres` is the administrator's and may be gone; a session in `template1` delays each CREATE DATABASE.
_DATABASES = ("postgres", "template1")

_CONNECT_SECONDS = 10
_DOOR_SECONDS = 3
_GREETING_SECONDS = 5.0
#: Its length, and the number that stands for it: PostgreSQL's documentation, "Message Formats".
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_RELOAD_SECONDS = 10.0
#: A path of this host, which is nobody's business who is told why it failed.
_SOCKET = re.compile(r'connection to server on socket "[^"]*"')
_MEMBERSHIPS = ("pg_monitor", "pg_signal_backend")

#: Before version 16 a role with CREATEROLE may make itself a member of any role but a superuser.
CREATEROLE_IS_BOUNDED = 160000
#: The predefined roles that it may have then: they look at the server's figures, end sessions of others but not of
#: superusers, and write a checkpoint. All others, of which any version may have more, read or write what is not theirs.
HARMLESS_ROLES = (
    "pg_monitor",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_stat_scan_tables",
    "pg_signal_backend",
    "pg_checkpoint",
    "pg_database_owner",
)
_REMOVE_PREDEFINED_ROLES = """
WITH gone AS (
    DELETE FROM pg_authid WHERE oid < 16384 AND starts_with(rolname, 'pg_') AND rolname <> ALL(%s) RETURNING oid
)
DELETE FROM pg_auth_members USING gone WHERE gone.oid IN (roleid, member)
"""

_IS_FOLLOWER = """
SELECT rolpassword = %s AND rolcanlogin AND rolreplication AND rolsuper = %s FROM pg_authid WHERE rolname = %s
"""

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def superuser_session(
    node: NodeSpec, database: str | None = None, *, statement_seconds: float = pinned.STATEMENT_SECONDS
) -> Iterator[Connection]:
    """
    A session that commits each statement by itself, in one database where it matters which.

    No statement waits for a lock for longer than 2 s, or takes longer than `statement_seconds`.

    Raises:
        LockedError: a client holds a lock on what a statement changes.
        EngineError: the server does not let us in, or a statement in the session failed.
    """
    with _clear_errors(node):
        options = pinned.options(major_version(node), statement_seconds=statement_seconds)
        with (
            _connect_to(node, database, options) if database else _connect(node, options) as connection,
            ended_with_step(lambda: _cancel(connection)),
        ):
            yield connection


@contextmanager
def loader_session(node: NodeSpec, database: str) -> Iterator[Connection]:
    """A session of whoever is the loader now. It may call what tenants wrote, so it is for data, not for questions.

    Raises:
        EngineError: as above.
    """
    with _clear_errors(node):
        options = pinned.options(major_version(node), superuser=False)
        with (
            _connect_to(node, database, options, LOADER) as connection,
            ended_with_step(lambda: _cancel(connection)),
        ):
            yield connection


@contextmanager
def _clear_errors(node: NodeSpec) -> Iterator[None]:
    """The text of a statement is not in them: it may hold a sealed password."""
    try:
        yield
    except psycopg.Error as error:
        where = f"PostgreSQL {node.node_id} on {node.address}:{node.port}"
        if isinstance(error, psycopg.errors.LockNotAvailable):
            raise LockedError(
                f"{where}: a session of a client holds a lock on what is to be changed; have it end its transaction"
            ) from None
        reason = (
            error.diag.message_primary or _SOCKET.sub("connection", str(error).strip()).partition("\n")[0]
        )
        raise EngineError(f"{where}: {reason}") from None


def is_greeted(node: NodeSpec) -> bool:
    """
    Whether the server says anything within 5 s to who connects: no session is made, and nothing is logged.

    It is asked whether it would encrypt, which it answers before it knows who asks, also while it recovers.

    Raises:
        OSError: it refuses, or has no socket.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_GREETING_SECONDS)
        try:
            connection.connect(str(socket_path(node)))
            connection.sendall(_SSL_REQUEST)
            connection.recv(1)
        except (TimeoutError, BlockingIOError):  # the latter where as many wait already as may
            return False
    return True


def reload_configuration(connection: Connection) -> None:
    """Have the files read again; on return the postmaster has, so that whoever connects from now on gets it so.

    Raises:
        EngineError: it has not within 10 s.
    """
    before = _loaded_at(connection)
    connection.execute("SELECT pg_reload_conf()")
    if not wait_until(lambda: _loaded_at(connection) != before, _RELOAD_SECONDS):
        raise EngineError("PostgreSQL does not read its configuration again.")


def _loaded_at(connection: Connection) -> Any:
    """When this session read the files; it does after the postmaster, which tells it to."""
    return connection.execute("SELECT pg_conf_load_time()").fetchone()


def end_transactions(connection: Connection) -> None:
    """End the sessions of clients that are in a transaction: a default only counts for one that begins."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND usename <> %s",
        [SUPERUSER],
    )


def set_administrator(connection: Connection, name: str, sealed_password: str) -> None:
    """Create the role, or only give it another password: what else it has become is its own affair."""
    role = sql.Identifier(name)
    with connection.transaction():
        exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount
        verb = sql.SQL("ALTER" if exists else "CREATE")
        connection.execute(
            sql.SQL(
                "{} ROLE {} LOGIN CREATEDB CREATEROLE NOSUPERUSER NOREPLICATION NOBYPASSRLS PASSWORD {}"
            ).format(verb, role, sql.Literal(sealed_password))
        )
        remove_predefined_roles(connection)
        if not exists:
            _grant_standing(connection, role)


def keep_follower(connection: Connection, secret: str) -> None:
    """Have the role as which followers come.

    Where administrators may join, alter and drop any role but a superuser, it is one: `pg_hba.conf` keeps it from all
    but replication. One of that name that somebody else made, or that came with a copy of another family's data, goes;
    if it owns something, it keeps that under another name.
    """
    verifier = scram_verifier(password_of(secret, FOLLOWER), salt=_follower_salt(secret))
    is_super = connection.info.server_version < CREATEROLE_IS_BOUNDED
    if connection.execute(_IS_FOLLOWER, [verifier, is_super, FOLLOWER]).fetchone() == (True,):
        return
    role = sql.Identifier(FOLLOWER)
    with connection.transaction():
        # No standby confirms it that cannot come yet.
        connection.execute("SET LOCAL synchronous_commit = local")
        try:
            with connection.transaction():
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
        except psycopg.errors.DependentObjectsStillExist:
            other = sql.Identifier(f"{FOLLOWER}_{secrets.token_hex(4)}")
            connection.execute(sql.SQL("ALTER ROLE {} RENAME TO {}").format(role, other))
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN REPLICATION {} PASSWORD {}").format(
                role, sql.SQL("SUPERUSER" if is_super else "NOSUPERUSER"), sql.Literal(verifier)
            )
        )


def _follower_salt(secret: str) -> bytes:
    """The same each time, so that it can be seen whether the role has this password."""
    return bytes.fromhex(password_of(secret, f"{FOLLOWER} salt"))


def remove_predefined_roles(connection: Connection) -> None:
    """DROP ROLE refuses, as they are built in. Without its row nobody can be granted one, and nobody has it."""
    if connection.info.server_version < CREATEROLE_IS_BOUNDED:
        connection.execute(_REMOVE_PREDEFINED_ROLES, [list(HARMLESS_ROLES)])


def _grant_standing(connection: Connection, role: sql.Identifier) -> None:
    """From version 15 on, only the owner of a database may create tables in its schema `public`."""
    memberships = sql.SQL(", ").join(map(sql.Identifier, _MEMBERSHIPS))
    connection.execute(sql.SQL("GRANT {} TO {}").format(memberships, role))
    if connection.execute("SELECT FROM pg_database WHERE datname = 'postgres'").rowcount:
        connection.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(role))


def _cancel(connection: Connection) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.cancel_safe(timeout=_CONNECT_SECONDS)


def _connect(node: NodeSpec, options: str) -> Connection:
    """A tenant can keep everybody out of a database of its own, and us waiting at its door."""
    first, second = _DATABASES
    try:
        return _connect_to(node, first, options, seconds=_DOOR_SECONDS)
    except psycopg.OperationalError:
        return _connect_to(node, second, options)


def _connect_to(
    node: NodeSpec, database: str, options: str, role: str = SUPERUSER, seconds: int = _CONNECT_SECONDS
) -> Connection:
    connection = psycopg.connect(
        host=str(node.socket_dir),
        port=node.port,
        user=role,
        dbname=database,
        autocommit=True,
        connect_timeout=seconds,
        options=options,
        application_name="openrds",
    )
    if _listener(connection) != node.user.uid:
        connection.close()
        raise EngineError(
            f"PostgreSQL {node.node_id}: {node.socket_dir} leads to the server of somebody else."
        )
    return connection


def _listener(connection: Connection) -> int:
    """The id of the user who listens on the socket: the server could have put a link to another's in its place."""
    with socket.socket(fileno=os.dup(connection.fileno())) as one:
        _, uid, _ = struct.unpack("iII", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
