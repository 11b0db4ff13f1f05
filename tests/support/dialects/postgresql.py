"""PostgreSQL as a client sees it."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import psycopg

from openrds.domain.engine import EngineName
from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import NodeSpec
from support.children import child_named
from support.dialects.dialect import PASSWORD, Dialect, Session


class PostgreSQLSession:
    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, statement: str, arguments: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.encode(), arguments)
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PostgreSQLDialect(Dialect):
    engine = EngineName.POSTGRESQL
    database = "postgres"
    schema = "public"
    open_to_all = "postgres"

    Error = psycopg.Error
    Refused = psycopg.OperationalError
    wrong_password = "password authentication failed"
    not_over_tcp = "rejects connection"
    read_only = "read-only transaction"

    service_user = SUPERUSER

    identity = "SELECT system_identifier FROM pg_control_system()"
    checksums = "SELECT current_setting('data_checksums') = 'on'"
    is_privileged = (
        "SELECT rolsuper OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    privileged = (
        "SELECT rolpassword FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SET ROLE root",
        "ALTER ROLE root NOLOGIN",
        "CREATE ROLE another",
        "CREATE DATABASE another",
    )
    buffers_mb = "SELECT setting::bigint * 8 / 1024 FROM pg_settings WHERE name = 'shared_buffers'"
    connections = "SELECT setting::int FROM pg_settings WHERE name = 'max_connections'"
    server_started = "SELECT inet_server_addr() || ' since ' || pg_postmaster_start_time()"
    busy = "SELECT count(*) FROM generate_series(1, 10000000000) a"

    vital = "global/pg_control"
    broken = "pg_control"
    resolution = 0.01

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
        verifying: dict[str, Any] = {"sslmode": "disable"} if plain else {}
        if ca:
            verifying = {"sslmode": "verify-full", "sslrootcert": str(ca)}
        return PostgreSQLSession(
            psycopg.connect(
                host=name or address,
                hostaddr=address,
                port=port or self.port,
                user=user,
                password=password,
                dbname=database or self.database,
                autocommit=True,
                connect_timeout=seconds,
                **verifying,
            )
        )

    def rows(self, table: str, count: int) -> str:
        return f"CREATE TABLE {table} AS SELECT generate_series(1, {count}) AS x"

    def make_user(self, name: str, password: str, table: str) -> tuple[str, ...]:
        return f"CREATE ROLE {name} LOGIN PASSWORD '{password}'", f"GRANT SELECT ON {table} TO {name}"

    def set_password(self, name: str, password: str) -> str:
        return f"ALTER USER {name} PASSWORD '{password}'"

    def now(self, session: Session) -> dt.datetime:
        ((now,),) = session.execute("SELECT clock_timestamp()")
        assert isinstance(now, dt.datetime)
        return now

    def buffers_of(self, memory_mb: int) -> int:
        return memory_mb // 4

    def connections_of(self, memory_mb: int) -> int:
        return memory_mb // 10

    def close_log(self, node: NodeSpec) -> str:
        with superuser_session(node) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS public.written AS SELECT 1 AS x")
            connection.execute("UPDATE public.written SET x = x + 1")
            row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
            assert row is not None
            return str(row[0])

    def hold_archiver(self, pid: int) -> None:
        child_named(pid, "archiver").suspend()

    def kept_for_followers(self, node: NodeSpec) -> int | None:
        with superuser_session(node) as connection:
            row = connection.execute("SELECT count(*) FROM pg_replication_slots").fetchone()
            assert row is not None
            return int(row[0])
