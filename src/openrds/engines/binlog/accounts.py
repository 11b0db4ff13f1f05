"""The accounts of a server that are not its tenant's to have: the service's own, and the tenant's administrator."""

import ipaddress
from collections.abc import Iterable

from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.sessions import Connection, execute, rows
from openrds.engines.protocol import EngineError, NodeSpec

_EVERYWHERE = "%"
_LOOPBACK = "127.0.0.0/255.0.0.0"


def init_sql(node: NodeSpec, flavour: Flavour) -> str:
    """What makes the service's accounts with the family's secret, whatever the data says of them; nothing is logged."""
    statements = ("SET sql_log_bin=0", *flavour.service_accounts(node))
    return "".join(f"{statement};\n" for statement in statements)


def set_administrator(
    connection: Connection, node: NodeSpec, flavour: Flavour, name: str, sealed_password: str
) -> None:
    """Make the administrator, or give it another password, wherever it logs in from; it gets exactly its rights."""
    _set(
        connection,
        node,
        flavour,
        name,
        _hosts(connection, name) or [_EVERYWHERE],
        flavour.identified(sealed_password),
    )


def set_remote_access(
    connection: Connection, node: NodeSpec, flavour: Flavour, name: str, allowed: bool
) -> None:
    """
    Let the administrator in from everywhere, or only from the service's own network.

    What it has made names it as it was, and so the account for everywhere stays, and is locked. Who comes from nearby
    has an account of the same rights, which the server takes first, and which stays too.

    Raises:
        EngineError: there is no such administrator.
    """
    if _EVERYWHERE not in _hosts(connection, name):
        raise EngineError(f"{node.node_id} has no administrator {name}.")
    everywhere = _account(connection, name, _EVERYWHERE)
    if not allowed:
        (shown,) = rows(connection, f"SHOW CREATE USER {everywhere}")
        identified = str(next(iter(shown.values()))).split(everywhere_as_shown(name), 1)[1].strip()
        identified = identified.replace(" ACCOUNT LOCK", "").replace(" ACCOUNT UNLOCK", "")
        _set(connection, node, flavour, name, [nearby_hosts(node)], identified)
    _say(connection, (f"ALTER USER {everywhere} ACCOUNT {'UNLOCK' if allowed else 'LOCK'}",))


def _set(
    connection: Connection, node: NodeSpec, flavour: Flavour, name: str, hosts: Iterable[str], identified: str
) -> None:
    """Have an account for each host, with a password as said and exactly the administrator's rights."""
    present = _hosts(connection, name)
    for host in hosts:
        account = _account(connection, name, host)
        if host in present:
            _say(connection, (f"ALTER USER {account} {identified}", *flavour.renewed_rights(account, node)))
        else:
            _say(connection, flavour.new_account(account, identified, node))


def everywhere_as_shown(name: str) -> str:
    return f"`{name}`@`{_EVERYWHERE}`"


def nearby_hosts(node: NodeSpec) -> str:
    """From where the service itself is: this host, or the network of the node's address (its first 24 bits)."""
    if not node.address or ipaddress.ip_address(node.address).is_loopback:
        return _LOOPBACK
    return f"{node.address.rpartition('.')[0]}.0/255.255.255.0"


def _hosts(connection: Connection, name: str) -> list[str]:
    found = rows(connection, "SELECT Host AS host FROM mysql.user WHERE User = %s ORDER BY host", name)
    return [row["host"] for row in found]


def _account(connection: Connection, name: str, host: str) -> str:
    return f"{connection.escape(name)}@{connection.escape(host)}"


def _say(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        execute(connection, statement)
