"""The accounts of a server that are not its tenant's to have: the service's own, and the tenant's administrator."""

import contextlib
import ipaddress
from collections.abc import Iterable, Iterator

import pymysql

from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.sessions import Connection, execute, named, rows
from openrds.engines.protocol import NodeSpec

_EVERYWHERE = "%"
#: A setting of MySQL.
_IN_HEX = "print_identified_with_as_hex"
_LOOPBACK = "127.0.0.0/255.0.0.0"


def init_sql(node: NodeSpec, flavour: Flavour) -> str:
    """What makes the service's accounts with the family's secret, whatever the data says of them; nothing is logged."""
    statements = ("SET sql_log_bin=0", *flavour.service_accounts(node))
    return "".join(f"{statement};\n" for statement in statements)


def set_administrator(
    connection: Connection, node: NodeSpec, flavour: Flavour, name: str, sealed_password: str
) -> None:
    """Make the administrator, or give it another password, wherever it logs in from; it gets exactly its rights.

    It may have dropped an account of its own.
    """
    hosts = sorted({*_hosts(connection, name), _EVERYWHERE})
    _set(connection, node, flavour, name, hosts, flavour.identified(sealed_password))


def set_remote_access(
    connection: Connection, node: NodeSpec, flavour: Flavour, name: str, allowed: bool
) -> None:
    """
    Let the administrator in from everywhere, or only from the service's own network.

    What it has made names it as it was, and so the account for everywhere stays, and is locked. Who comes from nearby
    has an account of the same rights, which the server takes first, and which stays too. One that dropped itself is
    made anew: nobody knows its password, until it is given one.
    """
    nearby, present = nearby_hosts(node), _hosts(connection, name)
    if _EVERYWHERE not in present:
        known = identified_as(connection, name, nearby) if nearby in present else flavour.identified("")
        _set(connection, node, flavour, name, [_EVERYWHERE], f"{known} ACCOUNT LOCK")
    if not allowed:
        _set(connection, node, flavour, name, [nearby], identified_as(connection, name, _EVERYWHERE))
    everywhere = account_at(connection, name, _EVERYWHERE)
    _say(connection, (f"ALTER USER {everywhere} ACCOUNT {'UNLOCK' if allowed else 'LOCK'}",))


def identified_as(connection: Connection, name: str, host: str) -> str:
    """The clauses of an account that say how it logs in, without whether it may."""
    return shown_as(connection, name, host).replace(" ACCOUNT LOCK", "").replace(" ACCOUNT UNLOCK", "")


def shown_as(connection: Connection, name: str, host: str) -> str:
    """All clauses of an account. A salt of any bytes is in hexadecimal digits, where the server can show it so."""
    if rows(connection, f"SHOW VARIABLES LIKE '{_IN_HEX}'"):
        execute(connection, f"SET {_IN_HEX} = ON")
    (shown,) = rows(connection, f"SHOW CREATE USER {account_at(connection, name, host)}")
    return str(next(iter(shown.values()))).split(f"{named(name)}@{named(host)}", 1)[1].strip()


def _set(
    connection: Connection, node: NodeSpec, flavour: Flavour, name: str, hosts: Iterable[str], identified: str
) -> None:
    """Have an account for each host, with a password as said and exactly the administrator's rights."""
    present = _hosts(connection, name)
    for host in hosts:
        account = account_at(connection, name, host)
        if host in present:
            _say(connection, (f"ALTER USER {account} {identified}", *flavour.renewed_rights(account, node)))
        else:
            with only_ours(connection, flavour):
                _say(connection, flavour.new_account(account, identified, node))


@contextlib.contextmanager
def only_ours(connection: Connection, flavour: Flavour) -> Iterator[None]:
    """Meanwhile nobody else changes an account.

    One in the making has more than it will have, and a tenant who may give roles could give it to itself as one.
    """
    if not flavour.hold_accounts:
        yield
        return
    execute(connection, flavour.hold_accounts)
    try:
        yield
    finally:
        # A session that is gone holds nothing.
        with contextlib.suppress(pymysql.Error):
            execute(connection, flavour.release_accounts)


def nearby_hosts(node: NodeSpec) -> str:
    """From where the service itself is: this host, or the network of the node's address (its first 24 bits)."""
    if not node.address or ipaddress.ip_address(node.address).is_loopback:
        return _LOOPBACK
    return f"{node.address.rpartition('.')[0]}.0/255.255.255.0"


def _hosts(connection: Connection, name: str) -> list[str]:
    found = rows(connection, "SELECT Host AS host FROM mysql.user WHERE User = %s ORDER BY host", name)
    return [row["host"] for row in found]


def account_at(connection: Connection, name: str, host: str) -> str:
    return f"{connection.escape(name)}@{connection.escape(host)}"


def _say(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        execute(connection, statement)
