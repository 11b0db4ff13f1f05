"""Requests to where tenants point: which addresses they may reach, and whom they trust."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from openrds.domain.webhooks import Network, is_allowed
from openrds.hosts import outgoing
from openrds.hosts.outgoing import Outcome, Outgoing
from support.api_certificate import ApiCertificate
from support.receiver import Receiver, running_receiver

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def post(url: str, opened: tuple[Network, ...] = LOOPBACK, tls: ssl.SSLContext | None = None) -> Outcome:
    return asyncio.run(Outgoing(opened, tls).post(url, {"x-own": "1"}, b"{}"))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *(
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "198.18.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "239.1.1.1",
        ),
        *("240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *(
            "2001:0:1::1",
            "2002:7f00:1::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fe80::1%lo",
        ),
        *("fec0::1", "ff02::1", "ff0e::1", "100::1", "4000::1"),
    ],
)
def test_what_is_not_public_is_not_for_tenants(address: str) -> None:
    assert not is_allowed(ip_address(address), ())


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_what_is_public_is_for_tenants(address: str) -> None:
    assert is_allowed(ip_address(address), ())


def test_networks_are_opened() -> None:
    opened = (ip_network("10.1.0.0/16"), ip_network("fd00::/64"))
    for address, allowed in (
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("fd00::9", True),
    ):
        assert is_allowed(ip_address(address), opened) is allowed, address


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "0x7f000001", "[::1]"])
def test_nothing_connects_where_it_may_not(receiver: Receiver, host: str) -> None:
    """However the address is written or named."""
    outcome = post(f"http://{host}:{receiver.server.server_port}/", ())
    assert outcome.status is None
    assert "neither public nor in webhook_allowed_networks" in outcome.error
    assert not receiver.got


def test_each_address_of_a_name_must_be_allowed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a name is looked up once: what was checked is what is connected to."""
    port = receiver.server.server_port
    looked_up: list[str] = []
    answers = [["127.0.0.1"], ["127.0.0.1", "127.0.0.9"]]

    def lookup(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        looked_up.append(host)
        return [(0, 0, 0, "", (address, port)) for address in answers[len(looked_up) - 1]]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    one = (ip_network("127.0.0.1/32"),)
    assert post(f"http://rebinding.test:{port}/", one).status == 200
    assert receiver.got[0].headers["host"] == f"rebinding.test:{port}"
    assert post(f"http://rebinding.test:{port}/", one).status is None
    assert looked_up == ["rebinding.test"] * 2
    assert len(receiver.got) == 1


def test_a_server_proves_its_name(receiver: Receiver, tmp_path: Path) -> None:
    certificate = ApiCertificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    port = receiver.server.server_port
    tls = ssl.create_default_context(cafile=str(certificate.ca))
    assert post(f"https://127.0.0.1:{port}/", tls=tls).status == 200
    for url, trust in ((f"https://127.0.0.1:{port}/", None), (f"https://localhost:{port}/", tls)):
        outcome = post(url, tls=trust)
        assert outcome.status is None
        assert "certificate" in outcome.error.lower()
    assert len(receiver.got) == 1


def test_who_does_not_answer_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT", 0.5)
    receiver.hanging["/hangs"] = threading.Event()
    begun = time.monotonic()
    outcome = post(receiver.url("/hangs"))
    assert (outcome.status, time.monotonic() - begun < 5) == (None, True)
    assert "no answer" in outcome.error or "Timeout" in outcome.error


def test_bad_names_are_told_of(receiver: Receiver) -> None:
    for host in ("no-such-host.invalid", "a" * 64 + ".invalid"):
        outcome = post(f"http://{host}/")
        assert outcome.status is None and outcome.error
