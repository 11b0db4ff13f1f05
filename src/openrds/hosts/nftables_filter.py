"""Keeping connections out in the kernel, by nftables. It needs root, or CAP_NET_ADMIN."""

import contextlib
import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from openrds.hosts.filtering import Guard
from openrds.hosts.forwarding import service_mark
from openrds.hosts.nftables import NoTableError, UnusableError, nft

#: Before connections are passed on, so that they are told by where clients come. What comes from this host has gone
#: through `local` when it comes through `remote`. An empty chain says by its name what all the others hold.
_TABLE = """
table ip {table} {{ }}
delete table ip {table}
table ip {table} {{
    chain {digest} {{ }}
{chains}
    map guarded {{ type ipv4_addr . inet_service : verdict; }}
    chain local {{
        type filter hook output priority -150;
        tcp flags & (syn | ack) == syn ip daddr . tcp dport vmap @guarded
    }}
    chain remote {{
        type filter hook prerouting priority -150;
        iifname != "lo" tcp flags & (syn | ack) == syn ip daddr . tcp dport vmap @guarded
    }}
}}
{elements}
"""


class NftablesFilter:
    """A table of the service's own, which is replaced in one transaction."""

    refusal = ""

    def __init__(self, data_dir: Path) -> None:
        self._table = f"openrds_{service_mark(data_dir)}_groups"

    def apply(self, guards: Collection[Guard]) -> None:
        if not guards:
            self.stop()
            return
        ordered = sorted(guards)
        digest = f"holds_{hashlib.sha256(repr(ordered).encode()).hexdigest()[:32]}"
        if digest in self._chains():
            return
        chains = "\n".join(line for number, guard in enumerate(ordered) for line in _chain(number, guard))
        elements = "\n".join(
            f"add element ip {self._table} guarded {{ {address} . {guard.port} : jump guard_{number} }}"
            for number, guard in enumerate(ordered)
            for address in guard.addresses
        )
        nft(
            "-f",
            "-",
            script=_TABLE.format(table=self._table, digest=digest, chains=chains, elements=elements),
        )

    def stop(self) -> None:
        """Keep nobody out any more, and leave nothing behind."""
        # Who may not use it has not made a table either.
        with contextlib.suppress(NoTableError, UnusableError):
            nft("delete", "table", "ip", self._table)

    def _chains(self) -> set[str]:
        try:
            listed = nft("-j", "list", "chains", "ip")
        except NoTableError:
            return set()
        found = (entry["chain"] for entry in listed if "chain" in entry)
        return {chain["name"] for chain in found if chain["table"] == self._table}


def _chain(number: int, guard: Guard) -> Iterator[str]:
    yield f"    chain guard_{number} {{"
    if guard.users:
        yield f"        meta skuid {{ {', '.join(map(str, guard.users))} }} accept"
    for verdict in guard.verdicts:
        yield f"        ip saddr {verdict.source} {'accept' if verdict.lets_in else 'drop'}"
    yield "        drop"
    yield "    }"
