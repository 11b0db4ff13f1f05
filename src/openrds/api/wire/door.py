"""Who may stay: all connections, by address, and which of them goes first when there is no more room."""

import asyncio
from collections.abc import Iterator
from typing import Protocol

from openrds.api.wire.bounds import Bounds

#: Seconds between looks at the deadlines, while there are connections.
_ROUND = 1.0


class Guest(Protocol):
    """A connection, as the door sees it."""

    #: Bytes it holds of us as a stranger.
    held: int

    def close(self) -> None:
        """At once, whatever it is doing; it leaves the door before this returns."""

    def look(self, now: float) -> None:
        """See whether a deadline has passed."""


class Address:
    """The connections of one address.

    Those that are not being served wait, in one of two queues, whoever waits longest first: `strangers`, and `known`
    ones, whose last request was authenticated.
    """

    __slots__ = ("all", "held", "known", "strangers")

    def __init__(self) -> None:
        self.all: set[Guest] = set()
        self.strangers: dict[Guest, None] = {}
        self.known: dict[Guest, None] = {}
        self.held = 0


class Door:
    """All connections of the process. Used from its event loop only.

    Where there is no more room, strangers go before known ones, of the address with the most of them, and of these who
    has waited longest. Nobody goes who is being served.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.addresses: dict[str, Address] = {}
        self.connections = 0
        self.held = 0
        self._round: asyncio.TimerHandle | None = None

    def enter(self, guest: Guest, name: str) -> Address | None:
        """Let a connection in, if need be in the place of another one; None if there is no room."""
        address = self.addresses.get(name)
        if not self._make_room(name, address):
            return None
        address = self.addresses.setdefault(name, Address())
        address.all.add(guest)
        address.strangers[guest] = None
        self.connections += 1
        if self._round is None:
            self._round = asyncio.get_running_loop().call_later(_ROUND, self._look)
        return address

    def leave(self, guest: Guest, name: str, address: Address) -> None:
        self.hold(guest, address, -guest.held)
        address.all.discard(guest)
        address.strangers.pop(guest, None)
        address.known.pop(guest, None)
        self.connections -= 1
        if not address.all:
            self.addresses.pop(name, None)

    def hold(self, guest: Guest, address: Address, more: int) -> None:
        """Note that a stranger holds so many bytes more. Where that is too much, whoever waits longest goes."""
        guest.held += more
        address.held += more
        self.held += more
        if more <= 0:
            return
        while address.held > self.bounds.held_of_address and self._close_holder(address):
            pass
        while self.held > self.bounds.held and self._close_holder(self._with_most_held()):
            pass

    def _make_room(self, name: str, address: Address | None) -> bool:
        bounds = self.bounds
        if (
            address is not None
            and len(address.all) >= bounds.connections_of_address
            and name not in bounds.trusted_proxies
        ):
            return _close_first(address.strangers) or _close_first(address.known)
        if self.connections < bounds.connections:
            return True
        addresses = self.addresses.values()
        most = max(addresses, key=lambda one: len(one.strangers))
        if not most.strangers:
            most = max(addresses, key=lambda one: len(one.known))
        return _close_first(most.strangers) or _close_first(most.known)

    def _with_most_held(self) -> Address:
        return max(self.addresses.values(), key=lambda one: one.held)

    def _close_holder(self, address: Address) -> bool:
        return _close_first(guest for guest in address.strangers if guest.held)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._round = loop.call_later(_ROUND, self._look) if self.addresses else None
        now = loop.time()
        for address in list(self.addresses.values()):
            for guest in list(address.all):
                guest.look(now)

    def close(self) -> None:
        """Close every connection."""
        if self._round is not None:
            self._round.cancel()
        for address in list(self.addresses.values()):
            for guest in list(address.all):
                guest.close()


def _close_first(guests: "dict[Guest, None] | Iterator[Guest]") -> bool:
    first = next(iter(guests), None)
    if first is not None:
        first.close()
    return first is not None
