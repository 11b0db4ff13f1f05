"""Limits of CPU and memory for the servers of a host."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Limit:
    """What one server may use: cores or parts of one, and MB of memory, the page cache of its files included."""

    vcpus: float
    memory_mb: int


class Limits(Protocol):
    """One way of holding servers to their limits, each under a name."""

    def admit(self, name: str, limit: Limit, pid: int) -> None:
        """Put a process under a limit, before it has children: they come under it too.

        Raises:
            HostError: it could not be done, and the process may use all there is.
        """

    def remove(self, name: str) -> None:
        """Forget a name whose processes have ended.

        Raises:
            HostError: processes are left.
        """


class NoLimits:
    """For a host that has no means: a server uses what it can get, and what it was configured for."""

    def admit(self, name: str, limit: Limit, pid: int) -> None:
        """Nothing holds it."""

    def remove(self, name: str) -> None:
        """There is nothing to forget."""
