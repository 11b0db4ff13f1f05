"""Connections to a small application behind a real door: what comes too slowly, too long, or in too great a number."""

import contextlib
import gc
import json
import time
from dataclasses import replace

import pytest
from door_server import BOUNDS, LARGE, Server, rest
from iam_app import PROJECT, signed_headers
from litestar import Request, get

from openrds.api.wire.connection import Connection
from support.service import wait_for


def is_open(connection):
    connection.setblocking(False)
    try:
        return bool(connection.recv(1 << 16))
    except BlockingIOError:
        return True
    except OSError:
        return False


def signed(method, path, body=b"", **headers):
    sent = signed_headers(method, path, body, **headers)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return ("\r\n".join(lines) + f"\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body


def reason(answer):
    """Of a refusal of the door."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), answer
    assert b"\r\nx-request-id: " in head
    assert b"\r\nconnection: close" in head
    error = json.loads(body)
    assert error["error_code"] == "APIGW.0201"
    return error["error_msg"].removeprefix("The request cannot be served: ").removesuffix(".")


@pytest.fixture(scope="module")
def server():
    with Server(BOUNDS) as running:
        yield running


HEALTHY = b"GET /v3 HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = HEALTHY.replace(b"Host", b"Connection: close\r\nHost")
WHO = f"/v3/{PROJECT.id}/who"
SIZE = f"/v3/{PROJECT.id}/size"
BEGUN = f"POST {SIZE} HTTP/1.1\r\nContent-Length: 1000\r\n".encode()
TOO_SLOW = "it did not come within 2 s"


def test_requests_are_answered_one_after_the_other(server):
    answer = server.ask(HEALTHY + HEALTHY + LAST)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert answer.count(b"connection: close") == 1


def test_old_clients_are_answered(server):
    assert server.ask(b"GET /v3 HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    kept = server.ask(b"GET /v3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + LAST)
    assert kept.count(b"200 OK") == 2


def test_a_body_in_parts_arrives_whole(server):
    body = b"x" * 200_000
    with contextlib.closing(server.connect()) as connection:
        whole = signed("POST", SIZE, body)
        for start in range(0, len(whole), 30_000):
            connection.sendall(whole[start : start + 30_000])
        assert connection.recv(1 << 16).endswith(b"\r\n\r\n200000")


def test_chunks_are_put_together(server):
    head = signed("POST", SIZE, b"").replace(
        b"content-length: 0", b"transfer-encoding: chunked\r\nconnection: close"
    )
    # The signature is of another body, which is only found out once all chunks are there.
    assert b"verify aksk signature fail" in server.ask(head + b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")


def test_headers_behind_a_body_are_not_looked_at(server):
    seen = server.ask(
        b"POST /v3/auth/tokens HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\n{\r\n0\r\nX-Request-Id: forged\r\n\r\n"
    )
    assert seen.startswith(b"HTTP/1.1 422 ")
    assert b"forged" not in seen


def test_connections_leave_nothing(server):
    for _ in range(20):
        server.ask(LAST)
    gc.collect()
    wait_for(lambda: not any(isinstance(one, Connection) for one in gc.get_objects()), 10)


def test_who_has_to_wait_for_leave_to_send_a_body_gets_it(server):
    with contextlib.closing(server.connect()) as connection:
        whole = signed("POST", SIZE, b"abc", expect="100-continue")
        connection.sendall(whole[:-3])
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(whole[-3:])
        assert connection.recv(1000).endswith(b"\r\n\r\n3")


def test_nobody_unknown_gets_leave_to_send_a_body(server):
    answer = server.ask(BEGUN + b"Expect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"x-auth-token not found" in answer


ENDLESS = [
    (b"", None),
    (b"\r\n", None),
    (b"GET /v3", TOO_SLOW),
    (b"GET /v3 HTTP/1.1\r\nA: b\r\n", TOO_SLOW),
    (signed("POST", SIZE, b"x" * 1000)[:-1], TOO_SLOW),
    (b"POST /v3/auth/tokens HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc", TOO_SLOW),
]


def test_who_does_not_come_to_an_end_is_sent_away(server):
    """Whoever says nothing, half a line, half a head, half a body: all at the same time, which takes less of ours."""
    begun = time.monotonic()
    crowd = [server.connect() for _ in ENDLESS]
    for connection, (data, _) in zip(crowd, ENDLESS, strict=True):
        connection.sendall(data)
    for connection, (_, why) in zip(crowd, ENDLESS, strict=True):
        answer = rest(connection)
        connection.close()
        assert (reason(answer) if why else answer) == (why or b"")
    assert 1.9 < time.monotonic() - begun < 10


def test_drops_do_not_put_off_the_end(server):
    with contextlib.closing(server.connect()) as connection:
        begun = time.monotonic()
        connection.sendall(b"GET /v3 HTTP/1.1\r\nA: ")
        connection.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - begun < 10:
            connection.sendall(b"b")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(1000)
        assert reason(answer) == TOO_SLOW
        assert time.monotonic() - begun < 10


def test_a_stranger_has_to_take_its_answer(server):
    with contextlib.closing(server.connect(receive_buffer=4096)) as connection:
        connection.sendall(4 * b"GET /large HTTP/1.1\r\n\r\n")
        # As long as it is there it gets the rest of what the kernel has for it; the others are never sent.
        time.sleep(5)
        assert len(rest(connection)) < 2 * len(LARGE)


def test_known_clients_may_be_silent_for_longer(server):
    with contextlib.closing(server.connect()) as connection:
        connection.sendall(signed("GET", WHO))
        assert connection.recv(1000).endswith(PROJECT.id.encode())
        time.sleep(4)
        connection.sendall(signed("GET", WHO))
        assert connection.recv(1000).endswith(PROJECT.id.encode())
        begun = time.monotonic()
        assert rest(connection) == b""
        assert 5 < time.monotonic() - begun < 15


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"nonsense\r\n\r\n", "it is not HTTP/1.1"),
        (b"GET / HTTP/2.0\r\n\r\n", "it is not HTTP/1.1"),
        (b"GET /\r\n\r\n", "it is not HTTP/1.1"),
        (b"GET /v3 HTTP/1.1\r\nA: b\0c\r\n\r\n", "it is not HTTP/1.1"),
        (b"POST /v3 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "it is not HTTP/1.1"),
        (
            b"POST /v3 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "it is not HTTP/1.1",
        ),
        (b"POST /v3/auth/tokens HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "it is not HTTP/1.1"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", "its URL is malformed"),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", "its URL is malformed"),
        (b"GET /v3?" + 40_000 * b"a" + b" HTTP/1.1\r\n\r\n", "its head is too long"),
        (b"GET /v3 HTTP/1.1\r\nA: " + 40_000 * b"a", "its head is too long"),
        (b"GET /v3 HTTP/1.1\r\n" + 101 * b"a: b\r\n" + b"\r\n", "it has more than 100 headers"),
        (18 * HEALTHY, "too many requests were sent ahead"),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_what_is_refused_at_the_door(server, data, why):
    answer = server.ask(data)
    if b"200 OK" not in answer:
        assert reason(answer) == why
    else:
        # The requests before it were answered.
        assert answer.count(b"200 OK") <= 18


def test_an_answer_to_a_body_that_is_not_read_gets_through(server):
    """A large one of a stranger is not wanted; the client, which first sends all of it, learns why."""
    answer = server.ask(BEGUN.replace(b"1000", b"4000000") + b"\r\n" + 4_000_000 * b"x")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer


def test_of_one_address_the_oldest_stranger_goes(server):
    crowd = [server.connect("127.0.9.1") for _ in range(30)]
    wait_for(lambda: not any(map(is_open, crowd[:10])), 5)
    assert all(map(is_open, crowd[10:]))
    for connection in crowd:
        connection.close()


def test_who_is_known_stays_when_it_gets_crowded(server):
    with contextlib.closing(server.connect("127.0.9.99")) as known:
        known.sendall(signed("GET", WHO))
        assert known.recv(1000).endswith(PROJECT.id.encode())
        crowd = [server.connect(f"127.0.9.{number}") for number in range(1, 41) for _ in range(3)]
        # A new one with something to say is served too.
        assert b"200 OK" in server.ask(LAST, "127.0.9.98")
        known.sendall(signed("GET", WHO))
        assert known.recv(1000).endswith(PROJECT.id.encode())
        assert sum(map(is_open, crowd)) <= BOUNDS.connections
        for connection in crowd:
            connection.close()


def test_what_strangers_have_half_sent_is_bounded(server):
    half = signed("POST", SIZE, b"x" * 200_000)[:-100_000]
    crowd = [server.connect("127.0.9.1") for _ in range(10)]
    for connection in crowd:
        with contextlib.suppress(OSError):
            connection.sendall(half)
    # Before the deadline of the bodies.
    wait_for(lambda: sum(map(is_open, crowd)) <= 3, 1.5)
    for connection in crowd:
        connection.close()


def test_a_proxy_tells_who_called():
    seen = []

    @get("/seen", opt={"public": True}, sync_to_thread=False)
    def note(request: Request) -> None:
        seen.append((request.scope["client"] or ("",))[0])

    bounds = replace(BOUNDS, trusted_proxies=frozenset({"127.0.9.7", "10.0.0.1"}))
    told = b"GET /seen HTTP/1.1\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n" + (
        b"X-Forwarded-For: 10.0.0.1\r\n\r\n"
    )
    with Server(bounds, note) as server:
        server.ask(told, "127.0.9.7")
        server.ask(told, "127.0.9.8")
        server.ask(b"GET /seen HTTP/1.1\r\nConnection: close\r\n\r\n", "127.0.9.7")
    assert seen == ["1.2.3.4", "127.0.9.8", "127.0.9.7"]
