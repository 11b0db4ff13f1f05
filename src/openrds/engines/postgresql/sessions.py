"""Sessions of openrds' own superuser, over the Unix socket."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from openrds.domain.deadline import ended_with_step
from openrds.engines.postgresql.configuration import SUPERUSER, socket_path
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts.processes import wait_until

#: `postgres` is the administrator's and may be gone; a session in `template1` delays each CREATE DATABASE.
_DATABASES = ("postgres", "template1")

#: The administrator owns the database: no setting or function in it may act in our name, and no statement of
#: ours, which may hold a sealed password, may reach the log.
_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        "search_path=pg_catalog",
        "log_statement=none",
        "log_min_error_statement=panic",
        "log_min_duration_statement=-1",
        "default_transaction_read_only=off",
    )
)
_CONNECT_SECONDS = 10
_GREETING_SECONDS = 5.0
#: Its length, and the number that stands for it: PostgreSQL's documentation, "Message Formats".
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_RELOAD_SECONDS = 10.0
_MEMBERSHIPS = ("pg_monitor", "pg_signal_backend")

#: Before version 16 a role with CREATEROLE may make itself a member of any role but a superuser, also of
#: these, which run programs and touch files as the server's user: that of every other server of this host.
_CREATEROLE_IS_BOUNDED = 160000
_DANGEROUS_ROLES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def superuser_session(node: NodeSpec, database: str | None = None) -> Iterator[Connection]:
    """
    A session that commits each statement by itself, in one database where it matters which.

    Raises:
        EngineError: the server does not let us in, or a statement in the session failed.
    """
    try:
        with (
            _connect_to(node, database) if database else _connect(node) as connection,
            ended_with_step(lambda: _cancel(connection)),
        ):
            yield connection
    except psycopg.Error as error:
        # Not the full text: it may quote the statement.
        reason = error.diag.message_primary or str(error).strip()
        raise EngineError(f"PostgreSQL {node.node_id} on {node.address}:{node.port}: {reason}") from None


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
        if not exists:
            _remove_dangerous_roles(connection)
            _grant_standing(connection, role)


def _remove_dangerous_roles(connection: Connection) -> None:
    """DROP ROLE refuses, as they are built in. Without its row nobody can be granted one."""
    if connection.info.server_version < _CREATEROLE_IS_BOUNDED:
        connection.execute(
            "DELETE FROM pg_authid WHERE rolname = ANY(%s)",
            [list(_DANGEROUS_ROLES)],
        )


def _grant_standing(connection: Connection, role: sql.Identifier) -> None:
    """From version 15 on, only the owner of a database may create tables in its schema `public`."""
    memberships = sql.SQL(", ").join(map(sql.Identifier, _MEMBERSHIPS))
    connection.execute(sql.SQL("GRANT {} TO {}").format(memberships, role))
    if connection.execute("SELECT FROM pg_database WHERE datname = 'postgres'").rowcount:
        connection.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(role))


def _cancel(connection: Connection) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.cancel_safe(timeout=_CONNECT_SECONDS)


def _connect(node: NodeSpec) -> Connection:
    first, second = _DATABASES
    try:
        return _connect_to(node, first)
    except psycopg.errors.ConnectionTimeout:
        raise
    except psycopg.OperationalError:
        return _connect_to(node, second)


def _connect_to(node: NodeSpec, database: str) -> Connection:
    connection = psycopg.connect(
        host=str(node.socket_dir),
        port=node.port,
        user=SUPERUSER,
        dbname=database,
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        options=_OPTIONS,
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
