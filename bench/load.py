"""Signed requests to a service, sent from one process over a few keep-alive connections."""

import datetime as dt
import itertools
import selectors
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from openrds.domain.signature import sign
from support.service import ServiceUnderTest

CONNECTIONS = 8
#: The setting `request_rate` where throughput is measured: more than can be sent.
UNBOUNDED = "1000000"


def signed_get(service: ServiceUnderTest, path: str, keys: dict[str, str] | None = None) -> bytes:
    """A whole GET request. The credentials may be given, where many are signed."""
    keys = keys or service.credentials
    headers = sign(
        "GET",
        keys["endpoint"] + path,
        {"content-type": "application/json"},
        b"",
        access_key=keys["access_key"],
        secret_key=keys["secret_key"],
        now=dt.datetime.now(dt.UTC),
    )
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connect(service: ServiceUnderTest) -> socket.socket:
    address = urlsplit(service.endpoint)
    connection = socket.create_connection((address.hostname or "", address.port or 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection: socket.socket) -> bytes:
    """One answer, which must be a success."""
    answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(1 << 16)
    return body


def latency(connection: socket.socket, request: bytes) -> float:
    """Seconds from a request to the whole answer."""
    begun = time.perf_counter()
    connection.sendall(request)
    receive(connection)
    return time.perf_counter() - begun


def throughput(service: ServiceUnderTest, requests: Sequence[bytes], seconds: float) -> float:
    """Requests a second, one under way on each connection; the requests are sent over and over, in their order."""
    selector = selectors.EpollSelector()
    connections = [connect(service) for _ in range(CONNECTIONS)]
    following = itertools.cycle(requests)
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(next(following))
    answered, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for key, _ in selector.select(1.0):
            assert isinstance(key.fileobj, socket.socket)
            receive(key.fileobj)
            answered += 1
            key.fileobj.sendall(next(following))
    took = time.perf_counter() - begun
    selector.close()
    for connection in connections:
        connection.close()
    return answered / took


def latencies_at(service: ServiceUnderTest, requests: Sequence[bytes], rate: float) -> list[float]:
    """Seconds from when each request was due, at so many a second, to its answer; a late start counts."""
    selector = selectors.EpollSelector()
    free = [connect(service) for _ in range(4 * CONNECTIONS)]
    for connection in free:
        selector.register(connection, selectors.EVENT_READ)
    due_at: dict[socket.socket, float] = {}
    took: list[float] = []
    begun, sent = time.perf_counter(), 0
    while len(took) < len(requests):
        now = time.perf_counter()
        while sent < len(requests) and free and begun + sent / rate <= now:
            connection = free.pop()
            due_at[connection] = begun + sent / rate
            connection.sendall(requests[sent])
            sent += 1
        wait = max(0.0, begun + sent / rate - time.perf_counter()) if sent < len(requests) else 1.0
        for key, _ in selector.select(wait if free else 1.0):
            assert isinstance(key.fileobj, socket.socket)
            receive(key.fileobj)
            took.append(time.perf_counter() - due_at.pop(key.fileobj))
            free.append(key.fileobj)
    selector.close()
    for connection in free:
        connection.close()
    return took
