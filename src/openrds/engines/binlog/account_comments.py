"""Comments on databases and accounts: MySQL has none for databases, MariaDB none for accounts.

They stand in a table beside the server's own ones, which tenants can read and not write. So followers, backups and
copies of the data have them too. A server that was never told a comment has no such table.
"""

from collections.abc import Mapping

import pymysql
from pymysql.constants import ER

from openrds.engines.binlog.sessions import Connection, execute, rows

DATABASE, ACCOUNT = "database", "account"

_MAKE = """
CREATE TABLE IF NOT EXISTS mysql.openrds_comment (
    kind VARCHAR(8) NOT NULL, name VARCHAR(128) NOT NULL, comment VARCHAR(512) NOT NULL, PRIMARY KEY (kind, name)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
"""


def set_comment(connection: Connection, kind: str, name: str, comment: str) -> None:
    """An empty one removes it."""
    if comment:
        execute(connection, _MAKE)
        execute(connection, "REPLACE INTO mysql.openrds_comment VALUES (%s, %s, %s)", kind, name, comment)
    elif comments(connection, kind).get(name):
        execute(connection, "DELETE FROM mysql.openrds_comment WHERE kind = %s AND name = %s", kind, name)


def comments(connection: Connection, kind: str) -> Mapping[str, str]:
    """By the names of what they are on."""
    try:
        found = rows(connection, "SELECT name, comment FROM mysql.openrds_comment WHERE kind = %s", kind)
    except pymysql.ProgrammingError as error:
        if error.args[0] != ER.NO_SUCH_TABLE:
            raise
        return {}
    return {row["name"]: row["comment"] for row in found}
