"""Sessions of the service's own accounts: over the Unix socket with all rights, and over TCP as followers have them."""

import contextlib
import os
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pymysql
from pymysql.constants import CLIENT, CR, ER

from openrds.domain.deadline import check_deadline, ended_with_step
from openrds.domain.engine import EngineName
from openrds.engines.family import password_of
from openrds.engines.protocol import EngineError, LockedError, NodeSpec, Upstream

_PLAIN = re.compile(r"[A-Za-z0-9]+", re.ASCII)
#: Of the service: it may do all, and is reached over the Unix socket alone.
SUPERUSER = "rdsAdmin"
#: With this account servers of a family follow each other, over TCP.
FOLLOWER = "rdsRepl"

STATEMENT_SECONDS = 60.0
_LOCK_SECONDS = 2
_CONNECT_SECONDS = 10.0
_GREETING_SECONDS = 5.0
#: Within which one of a client's connections is likely to end, where there are too many.
_ROOM_SECONDS = 5.0
#: The server ends a statement first.
_PATIENCE_SECONDS = 10.0

#: What no setting of the server's may change: what a session of ours does, and how it reads what we say.
_PINNED = (
    "autocommit=1, sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', foreign_key_checks=1, unique_checks=1,"
    "sql_safe_updates=0, lock_wait_timeout={lock}, innodb_lock_wait_timeout={lock}, wait_timeout=28800, "
    # No statement of ours is one of the slow ones, which are the tenant's to read.
    "long_query_time=31536000, min_examined_row_limit=4294967295"
)
#: For what is as tenants wrote it, at another time.
_UNPINNED = (
    "SET autocommit=1, sql_mode='NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', "
    "foreign_key_checks=0, unique_checks=0"
)
_BOUND = {
    EngineName.MARIADB: "max_statement_time={seconds}",
    EngineName.MYSQL: "max_execution_time={milliseconds}",
}

#: One context for all: PyMySQL would read the machine's certificates for each session.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TLS.check_hostname = False
_TLS.verify_mode = ssl.CERT_NONE  # it is the family's secret that says who it is
#: Over TCP, where there is a port, nobody is the service or the server, whatever the account is called.
_OF_CLIENTS = (
    " FROM information_schema.processlist"
    " WHERE (user NOT IN (%s, 'system user', 'event_scheduler') OR host LIKE '%%:%%')"
    " AND command NOT IN ('Binlog Dump', 'Binlog Dump GTID', 'Daemon', 'Killed')"
)
_CLIENTS = f"SELECT id{_OF_CLIENTS}"
_IN_TRANSACTION = "id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx)"
_AT_WORK = f" AND (command <> 'Sleep' OR {_IN_TRANSACTION})"
_COUNTED = (
    f"SELECT IF(command <> 'Sleep', 'active', IF({_IN_TRANSACTION}, 'in transaction', 'idle')) AS doing,"
    f" COUNT(*) AS clients{_OF_CLIENTS} GROUP BY doing"
)
#: For a lock that is needed to change a setting.
WAITED_TOO_LONG = pymysql.OperationalError

Connection: TypeAlias = "pymysql.connections.Connection[pymysql.cursors.Cursor]"


@contextmanager
def session(
    node: NodeSpec, *, logged: bool = False, statement_seconds: float = STATEMENT_SECONDS
) -> Iterator[Connection]:
    """
    A session with all rights that commits each statement by itself.

    What it changes gets into the server's log, and to its followers, only if it is `logged`. No statement waits for a
    lock for longer than 2 s; a question takes no longer than `statement_seconds`, and no answer is waited for much
    longer.

    Raises:
        LockedError: a client holds a lock on what a statement changes.
        EngineError: the server does not let us in, or a statement in the session failed.
    """
    with _clear_errors(node), _connected(node, statement_seconds) as connection:
        _pin(node, connection, statement_seconds, logged)
        with ended_with_step(lambda: end_session(node, connection)):
            yield connection


@contextmanager
def account_session(
    node: NodeSpec, user: str, password: str, *, statement_seconds: float
) -> Iterator[Connection]:
    """A session of an account that has only the rights which it was given, over the Unix socket; what it changes is
    logged. What tenants wrote is taken as it is, also where the server would not take it of a client now.

    Raises:
        EngineError: as above.
    """
    with _clear_errors(node), _connected(node, statement_seconds, user, password) as connection:
        execute(connection, _UNPINNED)
        with ended_with_step(lambda: end_session(node, connection)):
            yield connection


@contextmanager
def ended_after(node: NodeSpec, seconds: float) -> Iterator[Connection]:
    """A session whose changes are logged, and which is ended after so many seconds, whatever it waits for.

    Raises:
        EngineError: as above, also where it was ended.
    """
    with session(node, logged=True, statement_seconds=seconds) as connection:
        timer = threading.Timer(seconds, end_session, (node, connection))
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()
            timer.join()


@contextmanager
def follower_session(upstream: Upstream) -> Iterator[Connection]:
    """A session over TCP with the rights that followers have: it asks an upstream where it is.

    Raises:
        EngineError: as above.
    """
    with _clear_errors(upstream):
        connection = pymysql.connect(
            host=upstream.address,
            port=upstream.port,
            user=FOLLOWER,
            password=password_of(upstream.secret, FOLLOWER),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_CONNECT_SECONDS,
            ssl=_TLS if upstream.tls else None,
            ssl_disabled=not upstream.tls,
        )
        with contextlib.closing(connection), ended_with_step(lambda: _break(connection)):
            yield connection


def execute(connection: Connection, statement: str, *parameters: Any) -> int:
    """The number of rows that it changed or found."""
    with connection.cursor() as cursor:
        return cursor.execute(statement, parameters or None)


def rows(connection: Connection, statement: str, *parameters: Any) -> list[Mapping[str, Any]]:
    """The rows of an answer, each by the names of its columns."""
    with connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(statement, parameters or None)
        return list(cursor.fetchall())


def count_clients(connection: Connection) -> dict[str, int]:
    """How many are `active`, how many `idle`, and how many idle `in transaction`; a state that none has is left out."""
    return {row["doing"]: row["clients"] for row in rows(connection, _COUNTED, SUPERUSER)}


def scalar(connection: Connection, statement: str, *parameters: Any) -> Any:
    """The first column of the first row, None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        row = cursor.fetchone()
    return row[0] if row else None


def status(connection: Connection, name: str) -> str:
    """A status variable of the server; empty where it has none of the name."""
    found = rows(connection, "SHOW GLOBAL STATUS LIKE %s", name)
    return str(found[0]["Value"]) if found else ""


def end_writers(connection: Connection) -> None:
    """End the sessions of clients that are in a transaction or at a statement."""
    _end(connection, _CLIENTS + _AT_WORK)


def end_clients(connection: Connection) -> None:
    """End all sessions of clients, but for those that only hear of changes."""
    _end(connection, _CLIENTS)


def _end(connection: Connection, question: str) -> None:
    for row in rows(connection, question, SUPERUSER):
        with contextlib.suppress(pymysql.Error):  # it has ended meanwhile
            execute(connection, f"KILL {row['id']}")


def set_globals(connection: Connection, settings: Mapping[str, str]) -> None:
    """Have settings, as they stand in a configuration file, in force at once."""
    for name, value in settings.items():
        execute(
            connection,
            f"SET GLOBAL {name} = {value if _PLAIN.fullmatch(value) else escaped(connection, value)}",
        )


def escaped(connection: Connection, text: str) -> str:
    """As a literal, for statements that take no parameters."""
    return str(connection.escape(text))


def tolerate(connection: Connection) -> None:
    """Take from now on what tenants wrote as it is."""
    execute(connection, _UNPINNED)


def named(*names: str) -> str:
    """Identifiers as SQL writes them, with dots between."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def is_greeted(node: NodeSpec, seconds: float = _GREETING_SECONDS) -> bool:
    """
    Whether the server says anything within the time to who connects, before it knows who that is.

    Raises:
        OSError: it refuses, or has no socket.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(socket_path(node)))
            return bool(connection.recv(1))
        except (TimeoutError, BlockingIOError):  # the latter where as many wait already as may
            return False


def accepts(node: NodeSpec) -> bool:
    """Whether the server greets who connects to its address; one without an address need not."""
    if not node.address:
        return True
    try:
        with socket.create_connection((node.address, node.port), _GREETING_SECONDS) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def socket_path(node: NodeSpec) -> Path:
    return node.socket_dir / "server.sock"


def end_session(node: NodeSpec, connection: Connection) -> None:
    """From another thread: end what it is at, on both sides."""
    with (
        contextlib.suppress(EngineError, pymysql.Error, OSError),
        _connected(node, _CONNECT_SECONDS) as other,
    ):
        execute(other, f"KILL {connection.thread_id()}")  # type: ignore[no-untyped-call]
    _break(connection)


def _break(connection: Connection) -> None:
    with contextlib.suppress(AttributeError, OSError):
        connection._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined] # its own `close` waits for a lock


def _pin(node: NodeSpec, connection: Connection, seconds: float, logged: bool) -> None:
    bound = _BOUND[node.engine].format(seconds=seconds, milliseconds=int(seconds * 1000))
    pinned = _PINNED.format(lock=_LOCK_SECONDS)
    execute(connection, f"SET {pinned}, {bound}, sql_log_bin={int(logged)}")


@contextmanager
def _connected(
    node: NodeSpec, statement_seconds: float, user: str = SUPERUSER, password: str = ""
) -> Iterator[Connection]:
    connection = pymysql.connect(
        user=user,
        password=password or password_of(node.secret, user),
        charset="utf8mb4",
        autocommit=None,
        read_timeout=statement_seconds + _PATIENCE_SECONDS,
        client_flag=CLIENT.FOUND_ROWS,
        defer_connect=True,
        ssl_disabled=True,  # else the machine's certificates are read first, for 15 ms
    )
    connection._secure = True  # type: ignore[attr-defined] # nobody listens to a Unix socket
    _log_in(node, connection)
    with contextlib.closing(connection):
        yield connection


def _log_in(node: NodeSpec, connection: Connection) -> None:
    deadline = time.monotonic() + _ROOM_SECONDS
    while True:
        try:
            connection.connect(_door(node))
            return
        except pymysql.OperationalError as error:
            if error.args[0] != ER.CON_COUNT_ERROR or time.monotonic() > deadline:
                raise
        check_deadline()
        time.sleep(0.05)


def _door(node: NodeSpec) -> socket.socket:
    """A connection to the server's socket, which the server could have replaced by a link to another's."""
    door = socket.socket(socket.AF_UNIX)
    try:
        door.settimeout(_CONNECT_SECONDS)
        door.connect(os.fspath(socket_path(node)))
        _, uid, _ = struct.unpack("iII", door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != node.user.uid:
            raise EngineError(f"{socket_path(node)} leads to the server of somebody else.")
    except BaseException as error:
        door.close()
        if isinstance(error, OSError):
            raise pymysql.OperationalError(CR.CR_CONNECTION_ERROR, str(error)) from None
        raise
    return door


@contextmanager
def _clear_errors(node: NodeSpec | Upstream) -> Iterator[None]:
    """The text of a statement is not in them: it may hold a sealed password."""
    try:
        yield
    except (pymysql.Error, OSError) as error:
        where = f"{node.engine} {node.node_id} on {node.address}:{node.port}"
        if error.args and error.args[0] == ER.LOCK_WAIT_TIMEOUT:
            raise LockedError(
                f"{where}: a session of a client holds a lock on what is to be changed; have it end its transaction"
            ) from None
        reason = str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__
        raise EngineError(f"{where}: {reason}") from None
