import os
import secrets
import socket
from ipaddress import IPv4Network

import pytest

from openrds.hosts.addresses import AddressPool, claim_listening, port_is_free
from openrds.hosts.errors import HostError


@pytest.fixture
def address():
    return f"127.65.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


@pytest.mark.parametrize(
    ("network", "first", "last", "size"),
    [
        ("127.64.0.0/16", "127.64.0.1", "127.64.255.254", 65534),
        ("10.0.0.0/30", "10.0.0.1", "10.0.0.2", 2),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1", 2),
        ("10.0.0.7/32", "10.0.0.7", "10.0.0.7", 1),
    ],
)
def test_candidates(network, first, last, size):
    pool = AddressPool(IPv4Network(network))
    candidates = list(pool.candidates())

    assert (candidates[0], candidates[-1]) == (first, last)
    assert len(candidates) == pool.size == size


def test_a_listener_takes_the_port_of_its_address_only(address):
    with socket.create_server((address, 5432)):
        assert not port_is_free(address, 5432)
        assert port_is_free(address, 5433)
    assert port_is_free(address, 5432)


def test_a_listener_on_all_addresses_takes_the_port_of_each(address):
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not port_is_free(address, server.getsockname()[1])


def test_a_closed_connection_that_lingers_does_not_count(address):
    with socket.create_server((address, 5432)) as server, socket.create_connection((address, 5432)) as client:
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first lingers
        assert client.recv(1) == b""

    assert port_is_free(address, 5432)


def test_an_address_of_another_host_is_an_error():
    with pytest.raises(HostError, match=r"192\.0\.2\.1:5432"):
        port_is_free("192.0.2.1", 5432)


def test_one_openrds_may_claim_an_address_to_listen_on() -> None:
    address = f"127.0.0.1:test-{os.getpid()}"
    first = claim_listening(address)
    assert first is not None
    assert claim_listening(address) is None
    first.close()
    again = claim_listening(address)
    assert again is not None
    again.close()
