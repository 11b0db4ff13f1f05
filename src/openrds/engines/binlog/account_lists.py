"""What there is, as the server's tables say it, and how it is named in statements."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from openrds.domain.accounts import Account, Database, DatabaseRight, Page
from openrds.domain.engine import RULES, EngineName
from openrds.engines.binlog import account_comments as comments
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.sessions import (
    FOLLOWER,
    SUPERUSER,
    Connection,
    execute,
    rows,
    scalar,
)
from openrds.engines.protocol import NoSuchAccount, NoSuchDatabase

#: What the servers call `utf8` by now; scripts, and the API, say `utf8`.
UTF8 = "utf8mb3"

_SERVERS_OWN = frozenset({"mysql", "sys", "information_schema", "performance_schema"})
_SERVICE = frozenset(
    {SUPERUSER, FOLLOWER, RULES[EngineName.MYSQL].administrator, "mariadb.sys", "PUBLIC", ""}
)

#: By what their columns are called.
_RIGHTS_OF_OTHER_NAMES = {"CREATE TMP TABLE": "CREATE TEMPORARY TABLES", "GRANT": "GRANT OPTION"}
#: Of an account in the making: servers look up no names of hosts, so nobody comes from there.
NOWHERE = "nowhere.invalid"

T = TypeVar("T")


def databases(connection: Connection, page: Page, name: str) -> tuple[list[Database], int]:
    found = {key: row for key, row in _databases(connection).items() if not name or key == name}
    texts = comments.comments(connection, comments.DATABASE)
    shown = part(sorted(found), page)
    return [
        Database(
            key,
            _shown(found[key]["character_set"]),
            texts.get(key, ""),
            collation=found[key]["collation"],
        )
        for key in shown
    ], len(found)


def accounts(connection: Connection, flavour: Flavour, page: Page) -> tuple[list[Account], int]:
    hosts = accounts_named(connection, flavour)
    shown = part(sorted(hosts), page)
    texts = comments.comments(connection, comments.ACCOUNT)
    rights = _rights(connection, flavour)
    return [
        Account(name, texts.get(name, ""), tuple(sorted(hosts[name])), _of(rights.get(name, {})))
        for name in shown
    ], len(hosts)


def rights_of(
    connection: Connection, flavour: Flavour, account: str, page: Page
) -> tuple[list[DatabaseRight], int]:
    check_accounts(connection, flavour, [account])
    found = _of(_rights(connection, flavour).get(account, {}))
    return part(found, page), len(found)


def rights_in(
    connection: Connection, flavour: Flavour, database: str, page: Page
) -> tuple[list[tuple[str, bool]], int]:
    check_databases(connection, [database])
    rights = _rights(connection, flavour)
    users = sorted(accounts_named(connection, flavour))
    found = [(user, rights[user][database]) for user in users if database in rights.get(user, {})]
    return part(found, page), len(found)


def check_databases(connection: Connection, names: Iterable[str]) -> None:
    """
    Raises:
        NoSuchDatabase: there is none of one of these names that is a tenant's.
    """
    found = _databases(connection)
    for name in names:
        if name not in found:
            raise NoSuchDatabase(f"there is no database {name}")


def check_accounts(connection: Connection, flavour: Flavour, names: Collection[str]) -> None:
    """
    Raises:
        NoSuchAccount: there is none of one of these names that is a tenant's.
    """
    found = accounts_named(connection, flavour, names)
    for name in names:
        if name not in found:
            raise NoSuchAccount(f"there is no account {name}")


def all_databases(connection: Connection, name: str) -> list[str]:
    """Those that the server would take for this one, its own ones too."""
    found = [
        row["name"] for row in rows(connection, "SELECT schema_name AS name FROM information_schema.schemata")
    ]
    if scalar(connection, "SELECT @@lower_case_table_names"):
        return [one for one in found if one.lower() == name.lower()]
    return [one for one in found if one == name]


def accounts_named(
    connection: Connection, flavour: Flavour, names: Collection[str] = ()
) -> Mapping[str, set[str]]:
    """The hosts of each account that is a tenant's, of all or of these; whom no name is given has none."""
    found: dict[str, set[str]] = {}
    for row in rows(
        connection,
        f"SELECT User AS user, Host AS host FROM mysql.user WHERE {flavour.is_no_role}",  # noqa: S608
    ):
        if _is_tenants(row["user"]) and (not names or row["user"] in names):
            found.setdefault(row["user"], set()).add(row["host"])
    return {user: hosts - {NOWHERE} for user, hosts in found.items() if hosts != {NOWHERE}}


def sealed_passwords(connection: Connection, user: str) -> Mapping[str, str]:
    """By the hosts of an account."""
    found = rows(
        connection,
        "SELECT Host AS host, authentication_string AS sealed FROM mysql.user WHERE User = %s",
        user,
    )
    return {row["host"]: _text(row["sealed"]) for row in found}


def rights_held(connection: Connection, user: str, host: str, granted: str) -> list[str]:
    """What was granted to an account on a database, named as rights have it; the rights as statements name them."""
    found = rows(
        connection,
        "SELECT * FROM mysql.db WHERE User = %s AND Host = %s AND Db = %s",
        user,
        host,
        granted,
    )
    columns = [
        name for row in found for name, value in row.items() if name.endswith("_priv") and value == "Y"
    ]
    words = [name.removesuffix("_priv").replace("_", " ").upper() for name in columns]
    return [_RIGHTS_OF_OTHER_NAMES.get(word, word) for word in words]


def end_sessions(connection: Connection, user: str) -> None:
    for row in rows(connection, "SELECT id FROM information_schema.processlist WHERE user = %s", user):
        execute(connection, "KILL %s", row["id"])


def regranted(statement: str, old: str, new: str) -> Sequence[str]:
    """What SHOW GRANTS says of one account, for another; nothing of how it logs in."""
    before, word, after = statement.rpartition(f" TO {old}")
    if not word:
        before, word, after = statement.rpartition(f" FROM {old}")
    verb = word.removesuffix(old)
    option = " WITH GRANT OPTION" if after.endswith(" WITH GRANT OPTION") else ""
    option = " WITH ADMIN OPTION" if after.endswith(" WITH ADMIN OPTION") else option
    return [f"{before}{verb}{new}{option}"] if word else []


def part(items: Sequence[T], page: Page) -> list[T]:
    return list(items[page.offset : page.offset + page.limit])


def _databases(connection: Connection) -> dict[str, Mapping[str, str]]:
    found = rows(
        connection,
        "SELECT schema_name AS name, default_character_set_name AS character_set, "
        "default_collation_name AS collation FROM information_schema.schemata",
    )
    return {
        row["name"]: row
        for row in found
        if row["name"].lower() not in _SERVERS_OWN and not row["name"].startswith("openrds_")
    }


def _rights(connection: Connection, flavour: Flavour) -> dict[str, dict[str, bool]]:
    """By accounts and databases, whether they may only read."""
    present = {flavour.as_granted(name): name for name in _databases(connection)}
    found: dict[str, dict[str, bool]] = {}
    for row in rows(connection, "SELECT User AS user, Db AS db, Insert_priv AS writes FROM mysql.db"):
        name = present.get(row["db"])
        if name is not None:
            of_account = found.setdefault(row["user"], {})
            of_account[name] = row["writes"] != "Y" and of_account.get(name, True)
    return found


def _of(rights: Mapping[str, bool]) -> tuple[DatabaseRight, ...]:
    return tuple(DatabaseRight(name, rights[name]) for name in sorted(rights))


def _is_tenants(user: str) -> bool:
    return not (user in _SERVICE or user.startswith(("mysql.", "openrds_")))


def _shown(character_set: str) -> str:
    return "utf8" if character_set == UTF8 else character_set


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
