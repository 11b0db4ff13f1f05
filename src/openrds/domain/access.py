"""Who may connect to an instance of PostgreSQL, and how: rows of `pg_hba.conf`, of which the first that fits decides.

A row says only what is listed here: PostgreSQL reads names that begin with `/`, `+` or `@` as patterns, roles and
files, and other methods let in without a password, or ask others. Source: the cloud's SDK.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence

import msgspec

from openrds.domain.account_rules import is_built_in
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.rules import check_one_of

MOST_ROWS = 50
TYPES = ("host", "hostssl", "hostnossl")
METHODS = ("scram-sha-256", "md5", "reject")
ALL = "all"

_MOST_NAMES = 20
_NAME = re.compile(r"[A-Za-z0-9_$.-]{1,63}", re.ASCII)
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?", re.ASCII)
_MASK = re.compile(r"[0-9A-Fa-f.:]{2,45}", re.ASCII)
#: What PostgreSQL does not take for the name of a database, and databases that nobody is to be in.
_NO_DATABASES = ("replication", "sameuser", "samerole", "samegroup", "template0", "template1")


class AccessRow(msgspec.Struct, frozen=True):
    """`database` and `user` are `all`, or names parted by commas; `network` has the length of its mask."""

    type: str
    database: str
    user: str
    network: str
    method: str


#: What an instance has by itself: security groups say who gets to it.
USUAL = (
    AccessRow("host", ALL, ALL, "0.0.0.0/0", "scram-sha-256"),
    AccessRow("host", ALL, ALL, "::/0", "scram-sha-256"),
)


def access_row(type_: str, database: str, user: str, address: str, mask: str, method: str) -> AccessRow:
    """What a caller has said, checked.

    Raises:
        Refusal: PARAMETER; BUILT_IN_ACCOUNT, it is about an account of the service's.
    """
    check_one_of("type", type_, TYPES)
    check_one_of("method", method, METHODS)
    databases, users = _names("database", database), _names("user", user)
    for name in databases:
        if name.lower() in _NO_DATABASES:
            raise Refusal(ErrorCode.PARAMETER, f"database: {name} cannot be allowed or refused here.")
    for name in users:
        if name != RULES[EngineName.POSTGRESQL].administrator and is_built_in(name, EngineName.POSTGRESQL):
            raise Refusal(ErrorCode.BUILT_IN_ACCOUNT, f"user: {name} is an account of the system.")
    return AccessRow(type_, ",".join(databases), ",".join(users), _network(address, mask), method)


def check_rows(rows: Collection[object]) -> None:
    if not 1 <= len(rows) <= MOST_ROWS:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"An instance must have 1 to {MOST_ROWS} of these rows; one that refuses everybody has method reject.",
        )


def names_of(text: str) -> Sequence[str]:
    return text.split(",")


def _names(field: str, text: str) -> list[str]:
    names = [name.strip(" ") for name in text.split(",")]
    if len(names) > _MOST_NAMES or not all(map(_NAME.fullmatch, names)):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"{field} must be {ALL}, or 1 to {_MOST_NAMES} names parted by commas, of letters, digits and _ $ . -",
        )
    if ALL in names and len(names) > 1:
        raise Refusal(ErrorCode.PARAMETER, f"{field} is either {ALL} or names.")
    return names


def _network(address: str, mask: str) -> str:
    fits = _ADDRESS.fullmatch(address) and (not mask or (_MASK.fullmatch(mask) and "/" not in address))
    try:
        if fits:
            return str(ipaddress.ip_network(f"{address}/{mask}" if mask else address, strict=False))
    except ValueError:
        pass
    raise Refusal(
        ErrorCode.PARAMETER,
        "address must be an IP address, with the length of its mask (10.0.0.0/8) or with mask (255.0.0.0).",
    )
