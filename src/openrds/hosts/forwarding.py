"""Passing on what comes to one address to a server that listens on another: for endpoints that move, and public ones.

What is passed on at any time is the whole list of routes, worked out from the store: there is nothing else to remember,
and putting the same list in place again changes nothing.
"""

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.hosts.errors import HostError

#: Where programs of the system are, beside `PATH`: not every user's has them.
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


@dataclass(frozen=True, order=True)
class Route:
    """Connections to `address:port` go to `target:target_port`. All are of this host."""

    address: str
    port: int
    target: str
    target_port: int


class Forwarder(Protocol):
    """One way of passing connections on."""

    #: How it is called in the settings and in the store; empty where there is no means.
    name: str

    @property
    def refusal(self) -> str:
        """Why this host cannot pass anything on, for a caller to read; empty where it can."""

    def routes(self) -> frozenset[Route]:
        """What is really passed on now."""

    def apply(self, routes: Collection[Route]) -> None:
        """Make these all the routes there are; a route that stays is not interrupted.

        Connections by a route that went away, or leads elsewhere now, are cut: at once, or when they next send.

        Raises:
            HostError: the routes are not in place; some may be.
        """

    def stop(self) -> None:
        """Pass nothing on any more, and leave nothing behind."""


class NoForwarder:
    """For a host that has no means: nothing is passed on."""

    name = ""

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal

    def routes(self) -> frozenset[Route]:
        return frozenset()

    def apply(self, routes: Collection[Route]) -> None:
        if routes:
            raise HostError(self.refusal)

    def stop(self) -> None:
        """There is nothing to stop."""


def service_mark(data_dir: Path) -> str:
    """Tells what belongs to the service of a data directory from what another of this machine has made."""
    return hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:12]
