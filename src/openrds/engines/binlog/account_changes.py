"""What is a tenant's to have in a server of MySQL or MariaDB: databases, accounts, and rights of these on those.

All is done by logged sessions of the service, so followers get it. Nothing here evaluates what a tenant wrote. The
server's own databases and the accounts of the service are as if not there, and no right on them is given to anybody.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from openrds.domain.accounts import (
    Account,
    Change,
    CommentAccount,
    CommentDatabase,
    CreateAccount,
    CreateDatabase,
    Database,
    DatabaseRight,
    DropAccount,
    DropDatabase,
    Extension,
    GrantPrivileges,
    Page,
    RevokePrivileges,
    Schema,
    SetAccountHosts,
    SetAccountPassword,
)
from openrds.engines.binlog import account_comments as comments
from openrds.engines.binlog import account_lists as lists
from openrds.engines.binlog.account_lists import accounts_named, check_accounts, check_databases
from openrds.engines.binlog.accounts import account_at, only_ours, shown_as
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.sessions import Connection, execute, named, rows, scalar, session
from openrds.engines.protocol import AccountTaken, DatabaseTaken, EngineError, NodeSpec, Unfit

#: Rights of who may only read, as the cloud documents them. Who may write too has all on a database's objects.
_READING = ("SELECT", "LOCK TABLES", "SHOW VIEW")
#: They find out by themselves whether an attempt before has done it.
_THERE_OR_NOT = (CreateDatabase, CreateAccount, DropDatabase, DropAccount)
_PLAIN = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_POSTGRESQL_ALONE = "this engine has no schemas, extensions, owners, roles or attributes of accounts"


class BinlogAccounts:
    def __init__(self, flavour: Flavour) -> None:
        self._flavour = flavour
        self._apply: Mapping[type[Change], Callable[[Connection, Any], None]] = {
            CreateDatabase: _create_database,
            CommentDatabase: _comment_database,
            DropDatabase: self._drop_database,
            CreateAccount: self._create_account,
            SetAccountPassword: self._set_password,
            CommentAccount: _comment_account,
            SetAccountHosts: self._set_hosts,
            DropAccount: self._drop_account,
            GrantPrivileges: self._grant_all,
            RevokePrivileges: self._revoke_all,
        }

    def databases(self, node: NodeSpec, page: Page, name: str = "") -> tuple[list[Database], int]:
        with session(node) as connection:
            return lists.databases(connection, page, _as_kept(node, name))

    def schemas(self, node: NodeSpec, database: str, page: Page) -> tuple[list[Schema], int]:
        raise EngineError(_POSTGRESQL_ALONE)

    def extensions(self, node: NodeSpec, database: str, page: Page) -> tuple[list[Extension], int]:
        raise EngineError(_POSTGRESQL_ALONE)

    def accounts(self, node: NodeSpec, page: Page) -> tuple[list[Account], int]:
        with session(node) as connection:
            return lists.accounts(connection, self._flavour, page)

    def rights_of(self, node: NodeSpec, account: str, page: Page) -> tuple[list[DatabaseRight], int]:
        with session(node) as connection:
            return lists.rights_of(connection, self._flavour, account, page)

    def rights_in(self, node: NodeSpec, database: str, page: Page) -> tuple[list[tuple[str, bool]], int]:
        with session(node) as connection:
            return lists.rights_in(connection, self._flavour, _as_kept(node, database), page)

    def roles(self, node: NodeSpec, account: str = "") -> list[str]:
        raise EngineError(_POSTGRESQL_ALONE)

    def load_access(self, node: NodeSpec) -> None:
        raise EngineError(_POSTGRESQL_ALONE)

    def check(self, node: NodeSpec, change: Change) -> None:
        with session(node) as connection:
            self._check(connection, _with_names_as_kept(node, change))

    def apply(self, node: NodeSpec, change: Change) -> None:
        change = _with_names_as_kept(node, change)
        with session(node, logged=True) as connection:
            if type(change) not in _THERE_OR_NOT:
                self._check(connection, change)
            self._apply[type(change)](connection, change)

    def _check(self, connection: Connection, change: Change) -> None:
        match change:
            case CreateDatabase():
                if lists.all_databases(connection, change.name):
                    raise DatabaseTaken(f"there is a database {change.name}")
                _check_character_set(connection, change.character_set)
            case CommentDatabase() | DropDatabase():
                check_databases(connection, [change.name])
            case CreateAccount():
                if rows(connection, "SELECT User FROM mysql.user WHERE User = %s", change.name):
                    raise AccountTaken(f"there is an account {change.name}")
                check_databases(connection, [right.database for right in change.rights])
            case SetAccountPassword() | CommentAccount() | SetAccountHosts() | DropAccount():
                check_accounts(connection, self._flavour, [change.name])
            case GrantPrivileges() | RevokePrivileges():
                check_databases(connection, [change.database])
                check_accounts(connection, self._flavour, [one.account for one in change.grantees])
            case _:
                raise EngineError(_POSTGRESQL_ALONE)

    def _drop_database(self, connection: Connection, change: DropDatabase) -> None:
        """Rights on it go with it: another of the name would have them."""
        if lists.all_databases(connection, change.name):
            check_databases(connection, [change.name])
            execute(connection, f"DROP DATABASE {named(change.name)}")
        granted = self._flavour.as_granted(change.name)
        for row in rows(connection, "SELECT User, Host FROM mysql.db WHERE Db = %s", granted):
            _revoke(connection, row["User"], row["Host"], granted)
        comments.set_comment(connection, comments.DATABASE, change.name, "")

    def _create_account(self, connection: Connection, change: CreateAccount) -> None:
        """
        Raises:
            AccountTaken: there is one, and no attempt before has made it.
        """
        if change.rights:
            check_databases(connection, [right.database for right in change.rights])
        present = lists.sealed_passwords(connection, change.name)
        if any(sealed != change.sealed_password for sealed in present.values()):
            raise AccountTaken(f"there is an account {change.name}")
        try:
            for host in change.hosts:
                self._make(connection, change, host, is_there=host in present)
            for right in change.rights:
                self._grant(connection, change.name, right.database, read_only=right.read_only)
            comments.set_comment(connection, comments.ACCOUNT, change.name, change.comment)
        except BaseException:
            for host in change.hosts:
                execute(connection, f"DROP USER IF EXISTS {account_at(connection, change.name, host)}")
            raise

    def _make(self, connection: Connection, change: CreateAccount, host: str, *, is_there: bool) -> None:
        name = account_at(connection, change.name, host)
        if not is_there:
            execute(connection, f"CREATE USER {name} {self._flavour.identified(change.sealed_password)}")
        _say(connection, self._flavour.bounds(name))

    def _set_password(self, connection: Connection, change: SetAccountPassword) -> None:
        clause = self._flavour.identified(change.sealed_password)
        for host in self._hosts(connection, change.name):
            execute(connection, f"ALTER USER {account_at(connection, change.name, host)} {clause}")

    def _set_hosts(self, connection: Connection, change: SetAccountHosts) -> None:
        """What is new gets password and rights of one that is there, which goes last."""
        present = self._hosts(connection, change.name)
        model = present[0]
        for host in sorted({*change.hosts} - {*present}):
            with only_ours(connection, self._flavour):
                self._copy(connection, change.name, model, host)
        for host in sorted({*present} - {*change.hosts}):
            execute(connection, f"DROP USER {account_at(connection, change.name, host)}")

    def _copy(self, connection: Connection, user: str, model: str, host: str) -> None:
        """An account that is as another: made where nobody can log in, so that there is none that lacks something."""
        aside = account_at(connection, user, lists.NOWHERE)
        execute(connection, f"DROP USER IF EXISTS {aside}")
        execute(connection, f"CREATE USER {aside} {shown_as(connection, user, model)}")
        _say(connection, self._flavour.bounds(aside))
        old, new = named(user) + "@" + named(model), named(user) + "@" + named(lists.NOWHERE)
        for row in rows(connection, f"SHOW GRANTS FOR {account_at(connection, user, model)}"):
            _say(connection, lists.regranted(str(next(iter(row.values()))), old, new))
        execute(connection, f"RENAME USER {aside} TO {account_at(connection, user, host)}")

    def _drop_account(self, connection: Connection, change: DropAccount) -> None:
        """Its sessions end with it."""
        hosts = rows(connection, "SELECT Host FROM mysql.user WHERE User = %s", change.name)
        if hosts:
            check_accounts(connection, self._flavour, [change.name])
        for row in hosts:
            execute(connection, f"DROP USER IF EXISTS {account_at(connection, change.name, row['Host'])}")
        lists.end_sessions(connection, change.name)
        comments.set_comment(connection, comments.ACCOUNT, change.name, "")

    def _grant_all(self, connection: Connection, change: GrantPrivileges) -> None:
        for one in change.grantees:
            self._grant(connection, one.account, change.database, read_only=one.read_only)

    def _revoke_all(self, connection: Connection, change: RevokePrivileges) -> None:
        for one in change.grantees:
            for host in self._hosts(connection, one.account):
                _revoke(connection, one.account, host, self._flavour.as_granted(change.database))

    def _grant(self, connection: Connection, user: str, database: str, *, read_only: bool) -> None:
        """What is too much is taken once the rest is given, so that its sessions do not stumble."""
        granted = self._flavour.as_granted(database)
        rights = _READING if read_only else self._flavour.object_rights.split(", ")
        for host in self._hosts(connection, user):
            name = account_at(connection, user, host)
            execute(connection, f"GRANT {', '.join(rights)} ON {named(granted)}.* TO {name}")
            if read_only:
                _revoke(connection, user, host, granted, but=_READING)

    def _hosts(self, connection: Connection, user: str) -> list[str]:
        return sorted(accounts_named(connection, self._flavour, [user]).get(user, ()))


def _as_kept(node: NodeSpec, name: str) -> str:
    """A name of a database as the server has it: in lower case, where names do not differ in letter case alone."""
    return name.lower() if node.options.get("lower_case_table_names") == "1" else name


def _with_names_as_kept(node: NodeSpec, change: Change) -> Change:
    match change:
        case CreateDatabase() | CommentDatabase() | DropDatabase():
            return msgspec.structs.replace(change, name=_as_kept(node, change.name))
        case GrantPrivileges() | RevokePrivileges():
            return msgspec.structs.replace(change, database=_as_kept(node, change.database))
        case CreateAccount():
            rights = {_as_kept(node, right.database): right.read_only for right in change.rights}
            return msgspec.structs.replace(
                change, rights=tuple(DatabaseRight(*right) for right in rights.items())
            )
        case _:
            return change


def _create_database(connection: Connection, change: CreateDatabase) -> None:
    """One that was made by an attempt before, or by somebody a moment ago, is taken as it is."""
    _check_character_set(connection, change.character_set)
    clause = f" CHARACTER SET {change.character_set}" if change.character_set else ""
    execute(connection, f"CREATE DATABASE IF NOT EXISTS {named(change.name)}{clause}")
    comments.set_comment(connection, comments.DATABASE, change.name, change.comment)


def _comment_database(connection: Connection, change: CommentDatabase) -> None:
    comments.set_comment(connection, comments.DATABASE, change.name, change.comment)


def _comment_account(connection: Connection, change: CommentAccount) -> None:
    comments.set_comment(connection, comments.ACCOUNT, change.name, change.comment)


def _check_character_set(connection: Connection, name: str) -> None:
    """
    Raises:
        Unfit: the server does not know it.
    """
    wanted = lists.UTF8 if name.lower() == "utf8" else name.lower()
    known = "SELECT count(*) FROM information_schema.character_sets WHERE character_set_name IN (%s, %s)"
    if name and not (_PLAIN.fullmatch(name) and scalar(connection, known, name.lower(), wanted)):
        raise Unfit(f"the server has no character set {name}")


def _revoke(connection: Connection, user: str, host: str, granted: str, but: Collection[str] = ()) -> None:
    """All that an account has on a database, but some of it."""
    held = [right for right in lists.rights_held(connection, user, host, granted) if right not in but]
    if held:
        name = account_at(connection, user, host)
        execute(connection, f"REVOKE {', '.join(held)} ON {named(granted)}.* FROM {name}")


def _say(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        execute(connection, statement)
