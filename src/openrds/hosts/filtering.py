"""Letting in only some of those who come to the addresses of an instance: what its security group says.

What is filtered at any time is the whole list of guards, worked out from the store: there is nothing else to remember,
and putting the same list in place again changes nothing.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from openrds.domain.filtering import Verdict

logger = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class Guard:
    """New connections to the port at any of these addresses are let in as the first verdict about their source says.

    So are all of these users of this host, such as the servers that follow; whom no verdict is about is not.
    """

    addresses: tuple[str, ...]
    port: int
    verdicts: tuple[Verdict, ...]
    users: tuple[int, ...]


class Filter(Protocol):
    """One way of keeping connections out."""

    #: Why this host filters nothing, for people to read; empty where it does.
    refusal: str

    def apply(self, guards: Collection[Guard]) -> None:
        """Make these all the guards there are. Connections that are there stay.

        Raises:
            HostError: they are not in place; those from before are.
        """


class NoFilter:
    """For a host that has no means: everybody is let in, which is told once."""

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal
        self._told = False

    def apply(self, guards: Collection[Guard]) -> None:
        if guards and not self._told:
            logger.warning("the rules of security groups keep nobody out: %s", self.refusal)
            self._told = True
