"""Addresses that instances listen on, each on its engine's standard port."""

import errno
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from openrds.hosts.errors import HostError

_ENDS_ARE_RESERVED_BELOW = 31
_CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class AddressPool:
    network: ipaddress.IPv4Network

    @property
    def size(self) -> int:
        """How many addresses can be given out."""
        reserved = 2 if self.network.prefixlen < _ENDS_ARE_RESERVED_BELOW else 0
        return self.network.num_addresses - reserved

    def offers(self, address: ipaddress.IPv4Address) -> bool:
        """Whether it is one of the candidates."""
        network = self.network
        ends = (network.network_address, network.broadcast_address)
        return address in network and (network.prefixlen >= _ENDS_ARE_RESERVED_BELOW or address not in ends)

    def candidates(self) -> Iterator[str]:
        """All addresses but the network's own and the broadcast one, lowest first."""
        return (str(address) for address in self.network.hosts())


def claim_listening(address: str) -> socket.socket | None:
    """
    The sole right among all openrds of this machine to listen on `HOST:PORT`, for as long as the socket is open.

    None if another has it. The kernel does not tell: servers that share a port for speed (SO_REUSEPORT) may both
    bind it, and each would get half of the other's requests.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0openrds listens on {address}")
    except OSError:
        claim.close()
        return None
    return claim


def is_answering(address: str, port: int) -> bool:
    """Whether anybody accepts connections there, be it that they are passed on."""
    try:
        with socket.create_connection((address, port), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def free_port(address: str) -> int:
    """
    One that nobody listens on now, and that nobody is told of.

    Raises:
        HostError: the address is not this host's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise HostError(f"Cannot listen on {address}: {error.strerror}.") from error
        return int(probe.getsockname()[1])


def port_is_free(address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """
    Whether a server could listen here now: closed connections that linger do not count, a listener does.

    By default one of TCP.

    Raises:
        HostError: the address is not this host's, or the port is not for us.
    """
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:  # with UDP it would be for two who share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise HostError(f"Cannot listen on {address}:{port}: {error.strerror}.") from error
    return True
