"""MySQL and MariaDB as a client sees them; what differs between both is at the end."""

import contextlib
import datetime as dt
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pymysql
from pymysql.connections import Connection
from pymysql.constants import ER

from openrds.domain.engine import EngineName
from openrds.engines.protocol import NodeSpec
from support.dialects.dialect import PASSWORD, Dialect, Session

#: A server's refusal of who does not speak TLS.
_TLS_DEMANDED = 3159


class MySQLSession:
    def __init__(self, connection: "Connection[Any]") -> None:
        self._connection = connection

    def execute(self, statement: str, arguments: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, arguments)
            return list(cursor.fetchall()) if cursor.description else []

    def close(self) -> None:
        """Whether or not the server is there still."""
        with contextlib.suppress(pymysql.MySQLError):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BinlogDialect(Dialect):
    database = "app"
    schema = ""
    open_to_all = "information_schema"

    Error = pymysql.MySQLError
    Refused = pymysql.OperationalError
    wrong_password = "Access denied"
    not_over_tcp = "Access denied"
    read_only = "read.only"

    service_user = "rdsAdmin"

    is_privileged = (
        "SELECT count(*) FROM information_schema.user_privileges WHERE grantee LIKE '_root_@%' AND privilege_type IN "
        "('SUPER', 'FILE', 'SHUTDOWN', 'RELOAD', 'CREATE TABLESPACE', 'SYSTEM_USER', 'SYSTEM_VARIABLES_ADMIN')"
    )
    privileged = (
        "SELECT * FROM mysql.user",
        "SELECT * FROM mysql.openrds_comment",
        "SET GLOBAL max_connections = 20",
        "CREATE USER another",
        "CREATE DATABASE another",
        "DROP DATABASE mysql",
        "FLUSH LOGS",
    )
    buffers_mb = "SELECT @@innodb_buffer_pool_size DIV 1048576"
    connections = "SELECT @@max_connections"
    server_started = "SHOW STATUS LIKE 'Uptime'"
    busy = "SELECT sleep(1000)"

    vital = "ibdata1"
    broken = "ibdata1|InnoDB"
    #: Whether a password goes through TLS alone; some servers demand it of everybody.
    encrypts = False

    #: What the log of the data is called in the archive.
    log_identity: str

    def connect(
        self,
        address: str,
        port: int | None = None,
        *,
        user: str = "root",
        password: str = PASSWORD,
        database: str | None = None,
        seconds: int = 10,
        ca: Path | None = None,
        name: str | None = None,
        plain: bool = False,
    ) -> Session:
        where: dict[str, Any] = {
            "host": name or address,
            "port": port or self.port,
            "user": user,
            "password": password,
            "autocommit": True,
            "connect_timeout": seconds,
        }
        verifying: dict[str, Any] = {"ssl_disabled": plain or not self.encrypts}
        if ca:
            verifying = {"ssl_ca": str(ca), "ssl_verify_cert": True, "ssl_verify_identity": True}
        try:
            connection = pymysql.connect(**where, **verifying, defer_connect=name is not None)
            if name is not None:
                connection.connect(socket.create_connection((address, port or self.port), seconds))
        except pymysql.OperationalError as error:
            if plain or error.args[0] != _TLS_DEMANDED:
                raise
            connection = pymysql.connect(**where)
        try:
            _use(connection, database or self.database)
        except BaseException:
            connection.close()
            raise
        return MySQLSession(connection)

    def rows(self, table: str, count: int) -> str:
        """1000 at most: so deep both engines go."""
        numbers = f"SELECT 1 AS x UNION ALL SELECT x + 1 FROM numbers WHERE x < {count}"
        return f"CREATE TABLE {table} AS WITH RECURSIVE numbers AS ({numbers}) SELECT x FROM numbers"

    def make_user(self, name: str, password: str, table: str) -> tuple[str, ...]:
        return (
            f"CREATE USER {name} IDENTIFIED BY '{password}'",
            f"GRANT SELECT ON {self.database}.{table} TO {name}",
        )

    def set_password(self, name: str, password: str) -> str:
        return f"ALTER USER {name} IDENTIFIED BY '{password}'"

    def now(self, session: Session) -> dt.datetime:
        ((now,),) = session.execute("SELECT utc_timestamp(6)")
        assert isinstance(now, dt.datetime)
        return now.replace(tzinfo=dt.UTC)

    def buffers_of(self, memory_mb: int) -> int:
        return memory_mb // 2

    def connections_of(self, memory_mb: int) -> int:
        return memory_mb // 10

    def close_log(self, node: NodeSpec) -> str:
        from openrds.engines.binlog.logs import head_of
        from openrds.engines.binlog.sessions import session

        with session(node) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS openrds_tests")
            cursor.execute("CREATE TABLE IF NOT EXISTS openrds_tests.written (x INT)")
            cursor.execute("INSERT INTO openrds_tests.written VALUES (1)")
            cursor.execute("SHOW BINARY LOGS")
            name = cursor.fetchall()[-1][0]
            cursor.execute("FLUSH BINARY LOGS")
            cursor.execute(self.log_identity)
            ((identity,),) = cursor.fetchall()
        begun = head_of(node.data_dir / name, node.user).begun
        return f"{node.node_id}/{identity}/{begun:010}-{name}"

    def hold_archiver(self, pid: int) -> None:
        """It has none: its log is shipped when somebody says so."""

    def kept_for_followers(self, node: NodeSpec) -> int | None:
        return None


def _use(connection: "Connection[Any]", database: str) -> None:
    """Go to a database, which is made where there is none, unless the server does not let itself be changed."""
    try:
        connection.select_db(database)
    except pymysql.OperationalError as error:
        if error.args[0] != ER.BAD_DB_ERROR:
            raise
        with contextlib.suppress(pymysql.MySQLError), connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
            connection.select_db(database)


class MariaDBDialect(BinlogDialect):
    engine = EngineName.MARIADB
    #: Nothing in the data says whose it is, so it is the number that replication goes by.
    identity = "SELECT @@server_id"
    checksums = "SELECT @@innodb_checksum_algorithm LIKE '%crc32'"
    resolution = 1.1
    log_identity = "SELECT 'log'"


class MySQLDialect(BinlogDialect):
    engine = EngineName.MYSQL
    encrypts = True
    identity = "SELECT @@server_uuid"
    checksums = "SELECT @@innodb_checksum_algorithm = 'crc32'"
    resolution = 0.01
    log_identity = "SELECT @@server_uuid"
