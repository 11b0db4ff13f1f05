"""What a database has besides tables: views, routines, triggers and events, as its server says that they are made.

Their definers are those that they had: accounts of the tenant. Nothing of them runs when they are made. They wait for
their tables to appear in a table of ours beside these, where the tenant could change them: each is sealed, and one that
was changed is not made.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import pymysql
from pymysql.constants import ER

from openrds.engines.binlog import sessions
from openrds.engines.binlog.sessions import FOLLOWER, SUPERUSER, Connection, named, rows
from openrds.engines.protocol import EngineError, NodeSpec

#: Of the service and of the servers: what runs with their rights is nobody's to have.
_SERVICE = frozenset({SUPERUSER, FOLLOWER, "mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"})
STORE = "openrds objects"
_MAKE_STORE = """
CREATE TABLE {store} (id INT PRIMARY KEY, kind VARCHAR(16), name VARCHAR(128), sql_mode TEXT, time_zone VARCHAR(64),
    statement LONGTEXT, seal CHAR(64)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""
_FOUND = {
    "VIEW": """
SELECT table_name AS name, definer AS definer, '' AS sql_mode, '' AS time_zone
FROM information_schema.views WHERE table_schema = %s ORDER BY table_name
""",
    "ROUTINE": """
SELECT routine_name AS name, definer AS definer, sql_mode AS sql_mode, '' AS time_zone, routine_type AS kind
FROM information_schema.routines WHERE routine_schema = %s ORDER BY routine_type, routine_name
""",
    "TRIGGER": """
SELECT trigger_name AS name, definer AS definer, sql_mode AS sql_mode, '' AS time_zone
FROM information_schema.triggers WHERE trigger_schema = %s
ORDER BY event_object_table, event_manipulation, action_timing, action_order
""",
    "EVENT": """
SELECT event_name AS name, definer AS definer, sql_mode AS sql_mode, time_zone AS time_zone
FROM information_schema.events WHERE event_schema = %s ORDER BY event_name
""",
}
_STATEMENT = {"TRIGGER": "SQL Original Statement"}
_EVENT_ALREADY_EXISTS = 1537
#: Already there, by whatever kind it is.
_THERE = (
    ER.TABLE_EXISTS_ERROR,
    ER.SP_ALREADY_EXISTS,
    ER.TRG_ALREADY_EXISTS,
    _EVENT_ALREADY_EXISTS,
)


@dataclass(frozen=True)
class Object:
    """`statement` makes it in whatever database one is in; `time_zone` is an event's, in which it says its times."""

    kind: str
    name: str
    sql_mode: str
    time_zone: str
    statement: str

    def seal(self, node: NodeSpec, place: str) -> str:
        content = "\0".join((place, self.kind, self.name, self.sql_mode, self.time_zone, self.statement))
        return hmac.digest(node.secret.encode(), content.encode(), hashlib.sha256).hex()


def objects_of(connection: Connection, database: str) -> list[Object]:
    """In the order in which they can be made, but for views that need each other. Events are put to sleep first: a copy
    does not act beside its original.

    Raises:
        EngineError: one runs with rights that are not the tenant's, or is over tables of several databases.
    """
    sessions.execute(connection, f"USE {named(database)}")
    found = []
    for kind, question in _FOUND.items():
        for row in rows(connection, question, database):
            words = {name: str(value) for name, value in row.items()}
            _check_definer(database, words)
            found.append(_shown(connection, database, words.get("kind", kind), words))
    return found


def rehearse(connection: Connection, found: Sequence[Object], place: str) -> None:
    """Make all of them where the tables are, and unmake them again: what cannot be made is known before it matters.

    Raises:
        EngineError: one cannot be made; the message has the server's reason.
    """
    make(connection, found, place)
    for one in reversed(found):
        sessions.execute(connection, f"DROP {one.kind} IF EXISTS {named(one.name)}")


def make(connection: Connection, found: Sequence[Object], place: str) -> None:
    """Make them in a database, but for those that are there.

    Raises:
        EngineError: one cannot be made.
    """
    sessions.execute(connection, f"USE {named(place)}")
    left = list(found)
    while left:
        failed = [(one, problem) for one in left if (problem := _problem_of(connection, one))]
        if len(failed) == len(left):
            one, problem = failed[0]
            raise EngineError(f"the {one.kind.lower()} {one.name} cannot be made: {problem}")
        left = [one for one, _ in failed]


def keep(connection: Connection, node: NodeSpec, found: Sequence[Object], place: str) -> None:
    """Write them down beside their tables."""
    store = named(place, STORE)
    sessions.execute(connection, _MAKE_STORE.format(store=store))
    for number, one in enumerate(found):
        sessions.execute(
            connection,
            f"INSERT INTO {store} VALUES (%s, %s, %s, %s, %s, %s, %s)",  # noqa: S608 - a name of ours
            *(number, one.kind, one.name, one.sql_mode, one.time_zone, one.statement, one.seal(node, place)),
        )


def kept(connection: Connection, node: NodeSpec, place: str) -> list[Object]:
    """
    Raises:
        EngineError: one was changed.
    """
    found = []
    for row in rows(connection, f"SELECT * FROM {named(place, STORE)} ORDER BY id"):  # noqa: S608 - a name of ours
        one = Object(*(str(row[name]) for name in ("kind", "name", "sql_mode", "time_zone", "statement")))
        if not hmac.compare_digest(one.seal(node, place), str(row["seal"])):
            raise EngineError(f"the {one.kind.lower()} {one.name} was changed while it was restored")
        found.append(one)
    return found


def _shown(connection: Connection, database: str, kind: str, words: "dict[str, str]") -> Object:
    name = named(words["name"])
    if kind == "EVENT":
        user, _, host = words["definer"].rpartition("@")
        definer = f"{named(user)}@{named(host)}"
        sessions.execute(connection, f"ALTER DEFINER = {definer} EVENT {name} DISABLE")
        sessions.execute(connection, "SET time_zone = %s", words["time_zone"])
    (row,) = rows(connection, f"SHOW CREATE {kind} {name}")
    statement = row[_STATEMENT.get(kind, f"Create {kind.title()}")]
    if kind == "EVENT":
        sessions.execute(connection, "SET time_zone = '+00:00'")
    if kind == "VIEW" and f"{named(database)}." in str(statement):
        raise EngineError(
            f"the view {database}.{words['name']} is over tables of several databases: a copy would be over the "
            "originals"
        )
    return Object(kind, words["name"], words["sql_mode"], words["time_zone"], str(statement))


def _check_definer(database: str, words: "dict[str, str]") -> None:
    user = words["definer"].rpartition("@")[0]
    if user in _SERVICE or user.startswith("openrds_"):
        raise EngineError(
            f"{database}.{words['name']} has the definer {words['definer']}, who is not the tenant's"
        )


def _problem_of(connection: Connection, one: Object) -> str:
    """Why it cannot be made; empty where it is there."""
    settings: list[tuple[str, str]] = [("sql_mode", one.sql_mode)]
    if one.time_zone:
        settings.append(("time_zone", one.time_zone))
    try:
        for name, value in settings:
            sessions.execute(connection, f"SET {name} = %s", value)
        sessions.execute(connection, one.statement)
    except pymysql.Error as error:
        return "" if error.args[0] in _THERE else str(error.args[-1])
    finally:
        sessions.execute(connection, "SET time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
    return ""
