"""The checks of what a request says of databases and accounts. Each raises `Refusal` with the contract's code.

What is to be made must have a name of few kinds of characters. What is there may have any that its engine allows, as
clients make it by SQL. Source: reads.md 4.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from openrds.domain import rules
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal

LONGEST_COMMENT = 512
MOST_USERS = 50
MOST_SCHEMAS = 20
MOST_HOSTS = 50
_MOST_DOLLARS = 10

_HOST = re.compile(r"[0-9A-Fa-f.:%/]{1,60}", re.ASCII)
_BUILT_IN = {
    "root",
    "rdsadmin",
    "rdsmetric",
    "rdsbackup",
    "rdsrepl",
    "rdsproxy",
    "rdsddm",
    "rdsdisaster",
    "public",
    "none",
    "current_user",
    "session_user",
    "current_role",
}


@dataclass(frozen=True)
class NameRules:
    """What new databases and accounts may be called, and which names the server has for itself, in lower case."""

    database: re.Pattern[str]
    database_rule: str
    account: re.Pattern[str]
    account_rule: str
    own_databases: frozenset[str]
    own_accounts: frozenset[str]


_MYSQL = NameRules(
    database=re.compile(r"[A-Za-z0-9_$-]{1,64}", re.ASCII),
    database_rule="1 to 64 letters, digits, hyphens, underscores or dollar signs, of these at most 10",
    account=re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII),
    account_rule="1 to 32 letters, digits, hyphens or underscores",
    own_databases=frozenset({"mysql", "sys", "information_schema", "performance_schema"}),
    own_accounts=frozenset({*_BUILT_IN, "rdsmaking"}),
)
_POSTGRESQL_NAME = re.compile(r"(?!pg)[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_POSTGRESQL_RULE = "1 to 63 letters, digits or underscores, and begin neither with a digit nor with pg"
_POSTGRESQL = NameRules(
    database=_POSTGRESQL_NAME,
    database_rule=_POSTGRESQL_RULE,
    account=_POSTGRESQL_NAME,
    account_rule=_POSTGRESQL_RULE,
    own_databases=frozenset({"postgres", "template0", "template1"}),
    own_accounts=frozenset(_BUILT_IN),
)
_RULES = {
    EngineName.MYSQL: _MYSQL,
    EngineName.MARIADB: _MYSQL,
    EngineName.POSTGRESQL: _POSTGRESQL,
}
_SCHEMAS = ("public", "information_schema")
#: Of the server's own databases.
_OPEN_TO_TENANTS = ("postgres",)
#: Names that begin so are those of copies while they are made.
_ASIDE = "openrds_"


def check_new_database(name: str, engine: EngineName) -> None:
    """
    Raises:
        Refusal: DATABASE_EXISTS, the server has it for itself; PARAMETER, it may not be called so.
    """
    names = _RULES[engine]
    if is_own_database(name, engine):
        raise Refusal(ErrorCode.DATABASE_EXISTS, f"{name} is a name of the server's own; choose another.")
    fits = names.database.fullmatch(name) and name.count("$") <= _MOST_DOLLARS
    if not fits or name.startswith(_ASIDE):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"The name of a database must have {names.database_rule}; not begin with {_ASIDE}.",
        )


def check_new_schema(name: str, engine: EngineName) -> None:
    """A schema may be called what a database may, but for those that each database has."""
    names = _RULES[engine]
    if not names.database.fullmatch(name) or name.startswith(_ASIDE) or name in _SCHEMAS:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"The name of a schema must have {names.database_rule}; it can be none of {', '.join(_SCHEMAS)}.",
        )


def check_database(name: str, engine: EngineName, *, field: str = "name") -> None:
    """Whether there can be such a database."""
    if not RULES[engine].allows_name(name):
        raise Refusal(ErrorCode.PARAMETER, f"{field}: {RULES[engine].name_rule}")


def check_dropped_database(name: str, engine: EngineName) -> None:
    check_database(name, engine)
    if is_own_database(name, engine):
        raise Refusal(ErrorCode.PARAMETER, f"{name} is the server's own database and stays.")


def check_holds_data(name: str, engine: EngineName) -> None:
    """Whether what is in a database is a tenant's, so that it can be restored under another name.

    Raises:
        Refusal: PARAMETER.
    """
    if is_own_database(name, engine) and name not in _OPEN_TO_TENANTS:
        raise Refusal(ErrorCode.PARAMETER, f"{name} is the server's own database; it is not restored.")


def is_own_database(name: str, engine: EngineName) -> bool:
    return name.lower() in _RULES[engine].own_databases


def check_new_account(name: str, engine: EngineName) -> None:
    """
    Raises:
        Refusal: BUILT_IN_ACCOUNT; PARAMETER, it may not be called so.
    """
    check_account(name, engine)
    names = _RULES[engine]
    if not names.account.fullmatch(name):
        raise Refusal(ErrorCode.PARAMETER, f"The name of an account must have {names.account_rule}.")


def check_account(name: str, engine: EngineName, *, field: str = "name") -> None:
    """Whether there can be such an account that is a caller's to change.

    Raises:
        Refusal: BUILT_IN_ACCOUNT; PARAMETER.
    """
    if not RULES[engine].allows_name(name):
        raise Refusal(ErrorCode.PARAMETER, f"{field}: {RULES[engine].name_rule}")
    if is_built_in(name, engine):
        raise Refusal(
            ErrorCode.BUILT_IN_ACCOUNT,
            f"{name} is an account of the system; the administrator's password is set by POST "
            "instances/{id}/password.",
        )


def check_owner(name: str, engine: EngineName) -> None:
    """The same of who is to own something, which the administrator may."""
    if name != RULES[engine].administrator:
        check_account(name, engine, field="owner")


def is_built_in(name: str, engine: EngineName) -> bool:
    lowered = name.lower()
    return lowered in _RULES[engine].own_accounts or lowered.startswith(("mysql.", "mariadb.", _ASIDE))


def check_account_password(password: str, engine: EngineName, *, user: str) -> None:
    """
    Raises:
        Refusal: PASSWORD.
    """
    rules.check_composition(password, engine)
    if password.lower() in (user.lower(), user.lower()[::-1]):
        raise Refusal(ErrorCode.PASSWORD, "The password must be neither the account's name nor its reverse.")


def check_comment(comment: str) -> None:
    if len(comment) > LONGEST_COMMENT or "\0" in comment:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"comment must have at most {LONGEST_COMMENT} characters, and none of them NUL.",
        )


def check_hosts(hosts: Sequence[str], engine: EngineName) -> None:
    """Addresses, ranges and patterns of such, from which somebody can come; names are not looked up."""
    if not 1 <= len(hosts) <= MOST_HOSTS:
        raise Refusal(ErrorCode.PARAMETER, f"hosts must have 1 to {MOST_HOSTS} entries.")
    lengths = engine is not EngineName.MARIADB
    for host in hosts:
        if not _is_host(host, lengths=lengths):
            ranges = "10.1.0.0/255.255.0.0" + (" or 10.1.0.0/16" if lengths else "")
            raise Refusal(
                ErrorCode.PARAMETER,
                f"A host is an IP address, a range such as {ranges}, % or a pattern such as 10.1.%; not {host}.",
            )


def _is_host(host: str, *, lengths: bool) -> bool:
    """A range begins with its first address: of any other one, servers take no address to be in it.

    `lengths`: masks may be given by their length too.
    """
    if not _HOST.fullmatch(host):
        return False
    _, slash, mask = host.partition("/")
    try:
        if not slash:
            return "%" in host or ipaddress.ip_address(host) is not None
        network = ipaddress.IPv4Network(host)
        return mask in (str(network.netmask), str(network.prefixlen) if lengths else "")
    except ValueError:
        return False


def check_count(field: str, items: Collection[object], most: int) -> None:
    if not 1 <= len(items) <= most:
        raise Refusal(ErrorCode.PARAMETER, f"{field} must have 1 to {most} entries.")


def check_each_once(field: str, names: Sequence[object]) -> None:
    if len(set(names)) != len(names):
        raise Refusal(ErrorCode.PARAMETER, f"{field} names the same one twice.")
