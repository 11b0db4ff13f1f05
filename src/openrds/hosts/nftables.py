"""Passing connections on in the kernel: destination NAT by nftables. It needs root, or CAP_NET_ADMIN."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from openrds.hosts.errors import HostError
from openrds.hosts.forwarding import SYSTEM_PATH, Route, service_mark

_SECONDS = 20.0

#: `retired` has where connections used to go: one that still comes by such a way is answered with a reset. The kernel
#: forgets a connection that was silent for 5 days by itself; until then the way is remembered.
_TABLE = """
table ip {table} {{
    map routes {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; }}
    set retired {{ type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; timeout 6d; }}
    chain local {{ type nat hook output priority -100; }}
    chain remote {{ type nat hook prerouting priority -100; }}
    chain cut {{ type filter hook input priority 0; }}
}}
flush chain ip {table} local
flush chain ip {table} remote
flush chain ip {table} cut
flush map ip {table} routes
table ip {table} {{
    chain local {{ dnat ip to ip daddr . tcp dport map @routes; }}
    chain remote {{ dnat ip to ip daddr . tcp dport map @routes; }}
    chain cut {{
        tcp flags & rst == 0 ct original ip daddr . ct original proto-dst . ip daddr . tcp dport @retired \
reject with tcp reset;
    }}
}}
"""


class Nftables:
    """The routes are a map in a table of the service's own, which is changed in one transaction."""

    name = "nftables"

    def __init__(self, data_dir: Path) -> None:
        self._table = f"openrds_{service_mark(data_dir)}"

    @property
    def refusal(self) -> str:
        """Why it cannot be used: found out by making a table like ours, and removing it again."""
        table = f"{self._table}_trial"
        try:
            nft("-f", "-", script=_TABLE.format(table=table) + f"delete table ip {table}\n")
            nft("-j", "list", "tables")
        except HostError as error:
            return str(error)
        return ""

    def routes(self) -> frozenset[Route]:
        return self._present()[0]

    def apply(self, routes: Collection[Route]) -> None:
        wanted = frozenset(routes)
        present, retired = self._present()
        if wanted != present:
            nft("-f", "-", script=self._script(wanted, (present | retired) - wanted, retired & wanted))

    def stop(self) -> None:
        # Who may not use it has not made a table either.
        with contextlib.suppress(NoTableError, UnusableError):
            nft("delete", "table", "ip", self._table)

    def _present(self) -> tuple[frozenset[Route], frozenset[Route]]:
        """The routes there are, and the retired ones."""
        try:
            listed = nft("-j", "list", "table", "ip", self._table)
        except NoTableError:
            return frozenset(), frozenset()
        sets = {found["name"]: found.get("elem", []) for found in map(_set_of, listed) if found}
        routes, retired = sets.get("routes", []), sets.get("retired", [])
        return frozenset(map(_route_of_element, routes)), frozenset(map(_retired_of_element, retired))

    def _script(self, routes: Iterable[Route], retired: Iterable[Route], restored: Iterable[Route]) -> str:
        """All in one transaction: no connection finds half of it."""
        table = f"ip {self._table}"
        lines = [_TABLE.format(table=self._table)]
        lines += [f"add element {table} routes {{ {_from(route)} : {_to(route)} }}" for route in routes]
        lines += [f"add element {table} retired {{ {_from(route)} . {_to(route)} }}" for route in retired]
        lines += [f"delete element {table} retired {{ {_from(route)} . {_to(route)} }}" for route in restored]
        return "\n".join(lines) + "\n"


def _set_of(entry: dict[str, Any]) -> dict[str, Any] | None:
    """The map or the set that an entry of a listing is about."""
    return entry.get("map") or entry.get("set")


def _from(route: Route) -> str:
    return f"{route.address} . {route.port}"


def _to(route: Route) -> str:
    return f"{route.target} . {route.target_port}"


def _route_of_element(element: Any) -> Route:
    """`[{"concat": [address, port]}, {"concat": [target, target_port]}]`"""
    origin, target = element
    return Route(*origin["concat"], *target["concat"])


def _retired_of_element(element: Any) -> Route:
    """`{"elem": {"val": {"concat": [address, port, target, target_port]}, "expires": ...}}`"""
    return Route(*element["elem"]["val"]["concat"])


class NoTableError(HostError):
    """The service has no table."""


class UnusableError(HostError):
    """There is no nft, or we may not use it."""


def nft(*arguments: str, script: str | None = None) -> list[Any]:
    """What it prints as JSON, if it was asked to.

    Raises:
        HostError: it refused.
    """
    program = shutil.which("nft", path=SYSTEM_PATH)
    if program is None:
        raise UnusableError("nftables cannot be used: there is no program nft.")
    try:
        done = subprocess.run(
            [program, *arguments], input=script, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"nftables cannot be used: {error}.") from error
    if done.returncode != 0:
        raise _error(done.stderr.strip() or f"nft ended with {done.returncode}")
    return list(json.loads(done.stdout)["nftables"]) if arguments[0] == "-j" else []


def _error(output: str) -> HostError:
    message = f"nftables cannot be used: {output.splitlines()[0]}"
    if "No such file or directory" in output:
        return NoTableError(message)
    return (UnusableError if "not permitted" in output else HostError)(message)
