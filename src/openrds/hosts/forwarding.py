"""Passing on what comes to one address to a server that listens on another: for endpoints that move, and public ones.

What is passed on at any time is the whole list of routes, worked out from the store: there is nothing else to remember,
and putting the same list in place again changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from openrds.hosts.errors import HostError


@dataclass(frozen=True, order=True)
class Route:
    """Connections to `address:port` go to `target:target_port`. All are of this host."""

    address: str
    port: int
    target: str
    target_port: int


class Forwarder(Protocol):
    """One way of passing connections on."""

    @property
    def refusal(self) -> str:
        """Why this host cannot pass anything on, for a caller to read; empty where it can."""

    def apply(self, routes: Sequence[Route]) -> None:
        """Make these all the routes there are; a route that stays is not interrupted.

        Raises:
            HostError: the routes are not in place; some may be.
        """

    def stop(self) -> None:
        """Pass nothing on any more, and leave nothing behind."""


class NoForwarder:
    """For a host that has no means: nothing is passed on."""

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal

    def apply(self, routes: Sequence[Route]) -> None:
        if routes:
            raise HostError(self.refusal)

    def stop(self) -> None:
        """There is nothing to stop."""
