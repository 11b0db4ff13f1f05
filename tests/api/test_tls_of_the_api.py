"""The door with a certificate: who speaks TLS is served, and who does not is a stranger within the same bounds."""

import asyncio
import contextlib
import socket
import ssl
import time
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from door_server import BOUNDS, LARGE, Server, rest
from litestar import Request, get

from openrds.api.wire import tls
from openrds.api.wire.tls import Certificate, CertificateError
from support.api_certificate import ApiCertificate
from support.service import wait_for

GET_LARGE = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n"


@get("/scheme", opt={"public": True}, sync_to_thread=False)
def scheme(request: Request) -> str:
    return request.scope["scheme"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return ApiCertificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=[asyncio.new_event_loop, uvloop.new_event_loop])
def server(request, files):
    certificate = Certificate(files.chain, files.key)
    with Server(BOUNDS, scheme, certificate=certificate, loop=request.param()) as running:
        yield SimpleNamespace(connect=running.connect, files=files)


@contextlib.contextmanager
def greeted(server, context=None):
    with contextlib.closing(server.connect()) as plain:
        context = context or server.files.client()
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            yield connection


def ask(server, request, context=None):
    with greeted(server, context) as connection:
        connection.sendall(request)
        return rest(connection)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_speaks_tls_is_served(server, version):
    request = b"GET /scheme HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    answer = ask(server, request, server.files.client(version))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"https")


def test_older_versions_are_not_spoken(server):
    context = server.files.client()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)), greeted(server, context):
        pass


def test_a_connection_serves_one_request_after_the_other(server):
    with greeted(server) as connection:
        for _ in range(3):
            connection.sendall(GET_LARGE)
            got = b""
            while len(got.partition(b"\r\n\r\n")[2]) < len(LARGE):
                got += connection.recv(1 << 16)
            assert got.startswith(b"HTTP/1.1 200 ")


def test_a_refusal_is_read_also_in_the_middle_of_a_body(server):
    head = b"POST /v3/x/size HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000000\r\n\r\n"
    answer = ask(server, head + b"x" * 100_000)
    assert answer.startswith(b"HTTP/1.1 401 "), answer[:200]


def test_who_speaks_no_tls_gets_nothing(server):
    with contextlib.closing(server.connect()) as connection:
        connection.sendall(GET_LARGE)
        # At most an alert of TLS, which is no HTTP.
        assert not rest(connection).startswith(b"HTTP")


def test_who_says_nothing_is_sent_away_in_time(server):
    begun = time.monotonic()
    with contextlib.closing(server.connect()) as connection:
        assert rest(connection) == b""
    assert time.monotonic() - begun < BOUNDS.patience + 3


def test_who_greets_counts_as_a_connection_of_its_address(files):
    bounds = replace(BOUNDS, connections_of_address=3, patience=30.0)
    certificate = Certificate(files.chain, files.key)
    with Server(bounds, certificate=certificate) as running, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(contextlib.closing(running.connect())) for _ in range(4)]
        # The one who has waited longest makes room.
        assert rest(silent[0]) == b""
        server = SimpleNamespace(connect=running.connect, files=files)
        assert ask(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.")


def test_a_renewed_certificate_is_taken_up_and_a_bad_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tls, "_LOOK_INTERVAL", 0.0)
    files = ApiCertificate(tmp_path)
    with Server(BOUNDS, certificate=Certificate(files.chain, files.key)) as running:
        server = SimpleNamespace(connect=running.connect, files=files)

        def shown():
            with greeted(server) as connection:
                return connection.getpeercert()["serialNumber"]

        first = shown()
        files.renew()
        second = wait_for(lambda: (number := shown()) != first and number, 10)
        files.key.write_text("no key")
        assert shown() == second


@pytest.mark.parametrize("spoil", ["missing", "locked", "another"])
def test_files_that_cannot_be_used_are_said(tmp_path, spoil):
    files = ApiCertificate(tmp_path)
    if spoil == "missing":
        files.key.unlink()
    elif spoil == "locked":
        files.renew(password=b"secret")
    else:
        files.key.write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    with pytest.raises(CertificateError, match=r"tls_cert .* cannot be used: .+"):
        Certificate(files.chain, files.key)


def test_links_are_as_a_trusted_proxy_says():
    request = b"GET /scheme HTTP/1.1\r\nhost: x\r\nx-forwarded-proto: https\r\nconnection: close\r\n\r\n"
    for trusted, expected in ((frozenset({"127.0.0.1"}), b"https"), (frozenset(), b"http")):
        with Server(replace(BOUNDS, trusted_proxies=trusted), scheme) as running:
            assert running.ask(request).rpartition(b"\r\n")[2] == expected


def test_a_client_that_leaves_in_the_middle_leaves_nothing(server):
    with contextlib.closing(server.connect()) as plain:
        plain.sendall(b"\x16\x03\x01")
        plain.shutdown(socket.SHUT_WR)
        assert not rest(plain).startswith(b"HTTP")
