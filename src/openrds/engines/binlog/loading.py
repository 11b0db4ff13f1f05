"""Who loads what tenants wrote: an account that has rights to what is being made, and no others.

The definition of a table and rows are evaluated when they are loaded: generated columns, checks, defaults.
There is no list of what would be dangerous about that: nothing of it can do more than write to the copies.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pymysql
from pymysql.constants import ER

from openrds.engines.binlog import sessions
from openrds.engines.protocol import EngineError, NodeSpec

_MARK_LETTERS = 16
#: What a restore calls its databases and its loader.
_IS_OURS = re.compile(r"openrds_(?:[0-9a-z]{16}|[0-9a-z]{32}(?:_\d+|_files)?)", re.ASCII)
_LOAD_SECONDS = 86400.0


@contextmanager
def loader(node: NodeSpec, mark: str, databases: Sequence[str]) -> Iterator[sessions.Connection]:
    """
    Raises:
        EngineError: it cannot log in, or a statement failed.
    """
    password = secrets.token_urlsafe(24)
    with sessions.session(node) as connection:
        account = _account(connection, mark)
        sessions.execute(connection, f"DROP USER IF EXISTS {account}")
        sessions.execute(connection, f"CREATE USER {account} IDENTIFIED BY %s", password)
        for database in databases:
            sessions.execute(connection, f"GRANT ALL ON {sessions.named(database)}.* TO {account}")
    try:
        with sessions.account_session(
            node, _name(mark), password, statement_seconds=_LOAD_SECONDS
        ) as connection:
            yield connection
    finally:
        dismiss(node, mark)


def dismiss(node: NodeSpec, mark: str) -> None:
    """
    End what a loader is at, and remove it.

    Raises:
        EngineError: the server does not answer.
    """
    with sessions.session(node) as connection:
        sessions.execute(connection, f"DROP USER IF EXISTS {_account(connection, mark)}")
        for row in sessions.rows(connection, "SHOW PROCESSLIST"):
            if row["User"] == _name(mark):
                try:
                    sessions.execute(connection, f"KILL {int(row['Id'])}")
                except pymysql.Error as error:
                    if error.args[0] != ER.NO_SUCH_THREAD:
                        raise EngineError(
                            f"a loader on {node.node_id} does not end: {error.args[1]}"
                        ) from None


def remove_remains(connection: sessions.Connection) -> None:
    """Remove what restores were about to make when a backup was made, or at the moment that was restored."""
    for row in sessions.rows(connection, "SELECT User AS user, Host AS host FROM mysql.user"):
        if _IS_OURS.fullmatch(row["user"]):
            account = f"{connection.escape(row['user'])}@{connection.escape(row['host'])}"
            sessions.execute(connection, f"DROP USER {account}")
    for row in sessions.rows(connection, "SHOW DATABASES"):
        (name,) = row.values()
        if _IS_OURS.fullmatch(name):
            sessions.execute(connection, f"DROP DATABASE {sessions.named(name)}")


def _name(mark: str) -> str:
    return f"openrds_{mark[:_MARK_LETTERS]}"


def _account(connection: sessions.Connection, mark: str) -> str:
    return f"{connection.escape(_name(mark))}@'localhost'"
