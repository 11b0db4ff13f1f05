"""A few statements on a new instance, by a driver of its engine: what `openrds demo` shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from openrds.cli.errors import CommandError
from openrds.domain.engine import RULES, EngineName

#: Seconds.
_TIMEOUT = 10

_STATEMENTS_POSTGRESQL = (
    "select version()",
    "create table city (name text primary key, founded int)",
    "insert into city values ('Rome', -753), ('Berlin', 1237), ('Shenzhen', 1979)",
    "select name, founded from city order by founded",
)
_STATEMENTS_MYSQL = (
    "select version()",
    "create database world",
    "create table world.city (name varchar(40) primary key, founded int)",
    "insert into world.city values ('Rome', -753), ('Berlin', 1237), ('Shenzhen', 1979)",
    "select name, founded from world.city order by founded",
)
_STATEMENTS: Mapping[EngineName, Sequence[str]] = {
    EngineName.POSTGRESQL: _STATEMENTS_POSTGRESQL,
    EngineName.MYSQL: _STATEMENTS_MYSQL,
    EngineName.MARIADB: _STATEMENTS_MYSQL,
}


@dataclass(frozen=True)
class Database:
    """Where a new instance answers, and with which password of its administrator."""

    engine: EngineName
    host: str
    port: int
    password: str

    @property
    def user(self) -> str:
        return RULES[self.engine].administrator

    @property
    def url(self) -> str:
        scheme, database = ("postgresql", "postgres") if self.is_postgresql else ("mysql", "")
        return f"{scheme}://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    @property
    def call(self) -> str:
        """What connects to it, as one would write it in Python."""
        if self.is_postgresql:
            return f"psycopg.connect({self.url!r})"
        where = f"host={self.host!r}, port={self.port}, user={self.user!r}, password={self.password!r}"
        return f"pymysql.connect({where})"

    @property
    def is_postgresql(self) -> bool:
        return self.engine is EngineName.POSTGRESQL


def answers(database: Database) -> Iterator[tuple[str, list[str]]]:
    """Each statement with the lines of its answer.

    Raises:
        CommandError: one failed.
    """
    return _by_psycopg(database) if database.is_postgresql else _by_pymysql(database)


def _by_psycopg(database: Database) -> Iterator[tuple[str, list[str]]]:
    import psycopg  # noqa: PLC0415 - 0.3 s that other commands do not need

    try:
        with psycopg.connect(database.url, connect_timeout=_TIMEOUT) as connection:
            for statement in _STATEMENTS[database.engine]:
                cursor = connection.execute(statement.encode())
                rows = None if cursor.description is None else cursor.fetchall()
                yield statement, _lines(rows, str(cursor.statusmessage))
    except psycopg.Error as error:
        raise _failed(error) from None


def _by_pymysql(database: Database) -> Iterator[tuple[str, list[str]]]:
    import pymysql  # noqa: PLC0415 - as above

    try:
        with (
            pymysql.connect(
                host=database.host,
                port=database.port,
                user=database.user,
                password=database.password,
                connect_timeout=_TIMEOUT,
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in _STATEMENTS[database.engine]:
                changed = cursor.execute(statement)
                yield (
                    statement,
                    _lines(cursor.fetchall() if cursor.description else None, f"{changed} rows affected"),
                )
            connection.commit()
    except pymysql.MySQLError as error:
        raise _failed(error) from None


def _lines(rows: Sequence[tuple[object, ...]] | None, said: str) -> list[str]:
    return [said] if rows is None else ["  ".join(map(str, row)) for row in rows]


def _failed(error: Exception) -> CommandError:
    return CommandError(f"The query on the new instance failed: {error}")
