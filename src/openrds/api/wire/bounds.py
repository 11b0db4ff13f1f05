"""How much callers may hold of us: connections, memory and time."""

import ipaddress
import resource
from dataclasses import dataclass, field

from openrds.domain.settings import Settings

#: Descriptors that are not for connections: the store's, files, libraries.
_OTHER_DESCRIPTORS = 200
#: Of the descriptors that a process may have, the part that connections may take.
_SHARE_OF_DESCRIPTORS = 0.8


@dataclass(frozen=True)
class Bounds:
    """Sizes in bytes, times in seconds. A *stranger* is a connection whose last request was not authenticated.

    `held` bytes are those of requests that strangers have begun, and of answers that they have not read.
    """

    connections: int
    connections_of_address: int
    #: A whole head, then a whole body, must have come within so long, and an answer must be taken.
    patience: float
    #: How long an authenticated client may be silent between two requests.
    idle: float = 75.0
    #: How long what a client still sends is read and thrown away, so that it gets to read why it was refused.
    linger: float = 2.0
    held: int = 24 * 2**20
    held_of_address: int = 6 * 2**20
    head: int = 32 * 2**10
    headers: int = 100
    #: How many requests a client may send ahead of their answers.
    pipeline: int = 16
    trusted_proxies: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        connections = min(settings.max_connections, _allowed_by_descriptors())
        return cls(
            connections=connections,
            connections_of_address=min(settings.max_connections_per_address, connections),
            patience=settings.request_timeout,
            trusted_proxies=frozenset(str(ipaddress.ip_address(one)) for one in settings.trusted_proxies),
        )


def _allowed_by_descriptors() -> int:
    """How many connections the limit of descriptors leaves room for, once it is as high as it may be."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return max(1, int(_SHARE_OF_DESCRIPTORS * (most - _OTHER_DESCRIPTORS)))
