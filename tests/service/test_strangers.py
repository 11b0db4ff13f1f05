"""Who has no key gets a little of the service's time and memory, and takes none from those who have one."""

import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from support.service import ServiceUnderTest, running_service, wait_for
from support.strangers import FORTY_ADDRESSES, KINDS, ONE_ADDRESS, Plan, Strangers

PATIENCE = 4.0
CROWD = 1000


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(request_timeout=str(PATIENCE), projects="local-1,other") as running:
        # The document is written when it is first asked for, which takes a moment.
        assert httpx.get(f"{running.endpoint}/schema/openapi.json", timeout=60).status_code == 200
        yield running


def memory(service: ServiceUnderTest) -> int:
    """MB of all processes, what they share counted once."""
    assert service.process is not None
    serve = psutil.Process(service.process.pid)
    return sum(one.memory_full_info().pss for one in (serve, *serve.children(recursive=True))) >> 20


def plan(service: ServiceUnderTest, kind: str, addresses: tuple[str, ...], count: int = CROWD) -> Plan:
    address = urlsplit(service.endpoint)
    assert address.hostname and address.port
    key = service.credentials["access_key"]
    return Plan(address.hostname, address.port, kind, count, addresses, key)


def raw(service: ServiceUnderTest, data: bytes) -> bytes:
    """What comes back until the connection is closed."""
    address = urlsplit(service.endpoint)
    got = b""
    with socket.create_connection((address.hostname or "", address.port or 0), 20) as connection:
        connection.sendall(data)
        try:
            while part := connection.recv(1 << 16):
                got += part
        except ConnectionResetError:
            pass
    return got


@pytest.mark.parametrize("addresses", [ONE_ADDRESS, FORTY_ADDRESSES], ids=["one-address", "forty"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_crowd_that_holds_connections_keeps_nobody_out(
    service: ServiceUnderTest, kind: str, addresses: tuple[str, ...]
) -> None:
    with Strangers(plan(service, kind, addresses)) as strangers:
        for _ in range(20):
            assert service.call("GET", "instances").status_code == 200
            # On a connection of its own, behind all those that wait.
            assert httpx.get(f"{service.endpoint}/healthz", timeout=10).text == "ok"
        assert memory(service) < 300
        assert strangers.held() <= CROWD
        # Whoever takes no answer is told apart from who is slow a moment later than the others.
        wait_for(lambda: strangers.held() == 0, 10 * PATIENCE, "all were sent away")


def test_the_descriptors_of_a_crowd_come_back(service: ServiceUnderTest) -> None:
    api = service.child("api")
    before = api.num_fds()
    with Strangers(plan(service, "idle", FORTY_ADDRESSES)):
        wait_for(lambda: api.num_fds() >= before + CROWD - 50, 20)
    wait_for(lambda: api.num_fds() <= before + 10, 10)


def sign_in(service: ServiceUnderTest, password: str, source: str = "127.0.0.1") -> httpx.Response:
    user = {"name": service.credentials["user"], "password": password}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
        return client.post(f"{service.endpoint}/v3/auth/tokens", json={"auth": auth}, timeout=60)


def test_a_crowd_that_signs_in_is_told_to_wait(service: ServiceUnderTest) -> None:
    """Sixty at once with a wrong password; signed calls are answered before the last of them."""
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(sign_in(service, "wrong", "127.0.9.1").status_code))
        for _ in range(60)
    ]
    for thread in threads:
        thread.start()
    for _ in range(10):
        assert service.call("GET", "instances").status_code == 200
    for thread in threads:
        thread.join()
    counted = Counter(statuses)
    assert set(counted) == {401, 429}
    assert counted[401] <= 16 + 6
    # Of that address no more is taken for now; the user elsewhere gets in.
    assert sign_in(service, service.credentials["password"], "127.0.9.1").status_code == 429
    assert sign_in(service, service.credentials["password"], "127.0.9.2").status_code == 201


def test_who_knows_a_key_locks_its_owner_out_of_nowhere_else(service: ServiceUnderTest) -> None:
    bad = plan(service, "body", ONE_ADDRESS)
    head = (
        "GET /v3/projects HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Sdk-Date: {}\r\nAuthorization: "
        f"SDK-HMAC-SHA256 Access={bad.access_key}, SignedHeaders=x-sdk-date, Signature={64 * '0'}\r\n\r\n"
    ).format(time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    answers = []
    for _ in range(8):
        connection = socket.create_connection((bad.host, bad.port), 20, ("127.0.9.1", 0))
        connection.sendall(head.encode())
        answers.append(connection.makefile("rb").read())
        connection.close()
    assert [b"reach the limit" in answer for answer in answers] == [False] * 6 + [True] * 2
    assert service.call("GET", "instances").status_code == 200


HOSTILE = [
    b"GET /schema/ui/%00%0d%0aFORGED HTTP/1.1\r\n",
    b"GET /schema/%00%0d%0aFORGED HTTP/1.1\r\n",
    b"GET /schema/ui/" + 5000 * b"a" + b" HTTP/1.1\r\n",
    b"GET /schema/ui/" + 2000 * b"a/" + b" HTTP/1.1\r\n",
    b"GET /schema/ui/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n",
    b"GET /schema/ui/%ff HTTP/1.1\r\n",
    b"GET /v3/%ED%A0%80 HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n",
    b"GET / HTTP/1.1\r\nCookie: \xff=\xfe; ;;=\r\n",
    b"GET /schema/openapi.json HTTP/1.1\r\nAccept: \xff;q=x\r\n",
    b"GET /schema/ui/swagger-ui.css HTTP/1.1\r\nRange: bytes=x\r\nIf-Modified-Since: x\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"TRACE / HTTP/1.1\r\n",
    b"PROPFIND /v3 HTTP/1.1\r\n",
    b"HEAD /v3 HTTP/1.1\r\n",
    b"GET /v3/projects HTTP/1.1\r\nX-Auth-Token: a.b.c.d.e.f\xff\r\n",
    b"GET /v3/projects HTTP/1.1\r\nAuthorization: SDK-HMAC-SHA256 \xff\r\n",
    b"POST /v3/auth/tokens HTTP/1.1\r\nContent-Type: application/x-msgpack\r\nContent-Length: 0\r\n",
    b"POST /v3/auth/tokens HTTP/1.1\r\nContent-Type: \xff\r\nContent-Length: 0\r\n",
]
HOSTILE_BODIES = [
    8000 * b"[",
    2000 * b'{"a":',
    b'{"auth":' + 5000 * b"9" + b"}",
    b"\xff\xfe",
    b"1e999",
    b'{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"\\ud800\\u0000","password":"\\udfff"}}}}}',
    b'{"auth":{"identity":{"methods":["token"],"token":{"id":"KEY.project.' + 5000 * b"9" + b'.1.x.y"}}}}',
]


@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: repr(data[:40]))
def test_hostile_requests_are_no_fault_of_ours(service: ServiceUnderTest, data: bytes) -> None:
    answer = raw(service, data + b"Connection: close\r\n\r\n")
    assert answer[9:10] in {b"2", b"4"}, answer[:300]


@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=lambda body: repr(body[:40]))
def test_hostile_bodies_are_no_fault_of_ours(service: ServiceUnderTest, body: bytes) -> None:
    body = body.replace(b"KEY", service.credentials["access_key"].encode())
    head = b"POST /v3/auth/tokens HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
    answer = raw(service, head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert answer[9:10] == b"4", answer[:300]


NINES = 5000 * "9"


@pytest.mark.parametrize(
    "query",
    [
        f"tasklist?limit={NINES}",
        f"tasklist?start_time={NINES}&end_time={NINES}",
        f"instances?limit={NINES}",
        f"instances?offset={2**64}",
        f"schedule-tasks?offset={NINES}",
        f"backups?limit={NINES}",
        "instances?name=%ED%A0%80%00",
        "jobs?id=%00%ff",
    ],
    ids=lambda query: query[:30],
)
def test_hostile_queries_of_customers_are_refused(service: ServiceUnderTest, query: str) -> None:
    assert service.call("GET", query).status_code in {200, 400, 414}


def test_network_look_ups_take_no_endless_numbers(service: ServiceUnderTest) -> None:
    for query in (f"limit={NINES}", f"offset={NINES}"):
        answer = service.call("GET", f"/v1/{service.project_id}/vpcs?{query}")
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "body", [150_000 * b"[", b'{"name":' + NINES.encode() + b"}"], ids=["deep", "digits"]
)
def test_hostile_bodies_of_customers_are_refused(service: ServiceUnderTest, body: bytes) -> None:
    answer = service.call("POST", "instances", content=body)
    assert answer.status_code in {400, 422}, answer.text


def test_the_log_tells_of_none_of_it(service: ServiceUnderTest) -> None:
    """After the tests above, and some clients that went away in the middle."""
    address = urlsplit(service.endpoint)
    for _ in range(5):
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall(b"POST /v3/auth/tokens HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall(b"GET /schema/openapi.json HTTP/1.1\r\n\r\n")
    assert service.call("GET", "instances").status_code == 200
    text = service.log_text()
    assert "ERROR" not in text
    assert "Traceback" not in text
    assert "FORGED" not in text


def test_a_revoked_token_stays_so(service: ServiceUnderTest) -> None:
    """Also the one that was had for it, and after a restart; not another one of the same user."""
    signed_in = [sign_in(service, service.credentials["password"]) for _ in range(2)]
    first, other = (answer.headers["x-subject-token"] for answer in signed_in)
    scope = {"project": {"id": service.project_id}}
    auth = {"identity": {"methods": ["token"], "token": {"id": first}}, "scope": scope}
    renewed = httpx.post(f"{service.endpoint}/v3/auth/tokens", json={"auth": auth})
    second = renewed.headers["x-subject-token"]
    assert renewed.json()["token"]["expires_at"] == signed_in[0].json()["token"]["expires_at"]

    def works(token: str) -> bool:
        answer = httpx.get(f"{service.endpoint}/v3/auth/projects", headers={"X-Auth-Token": token})
        assert answer.status_code in {200, 401}
        return answer.status_code == 200

    assert all(map(works, (first, second, other)))
    headers = {"X-Auth-Token": other, "X-Subject-Token": second}
    assert httpx.delete(f"{service.endpoint}/v3/auth/tokens", headers=headers).status_code == 204
    assert list(map(works, (first, second, other))) == [False, False, True]
    assert httpx.get(f"{service.endpoint}/v3/auth/tokens", headers=headers).status_code == 401
    service.stop()
    service.start()
    assert list(map(works, (first, second, other))) == [False, False, True]


def test_nobody_revokes_the_token_of_another(service: ServiceUnderTest) -> None:
    stranger = ServiceUnderTest(service.data_dir, project="other")
    own = sign_in(stranger, stranger.credentials["password"]).headers["x-subject-token"]
    token = sign_in(service, service.credentials["password"]).headers["x-subject-token"]
    headers = {"X-Auth-Token": own, "X-Subject-Token": token}
    assert httpx.delete(f"{service.endpoint}/v3/auth/tokens", headers=headers).status_code == 403
    assert (
        httpx.delete(f"{service.endpoint}/v3/auth/tokens", headers={"X-Auth-Token": own}).status_code == 400
    )


def test_a_log_line_cannot_be_forged() -> None:
    """By any text of a record, or of an exception that is told with it."""
    program = """
import logging
from openrds.service.logs import set_up_logging
set_up_logging("INFO")
forged = "\\r\\n2026-01-01 00:00:00,000 ERROR forged\\x1b[2J\\u2028\\u0085é"
logging.getLogger("a").warning("said: %s", forged)
try:
    raise ValueError(forged)
except ValueError:
    logging.getLogger("b").exception("failed")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env={"PYTHONIOENCODING": "utf-8"}
    )
    first, second, *further = done.stderr.decode().splitlines()
    assert first.endswith("WARNING a: said: " + _ESCAPED)
    assert second.endswith("ERROR b: failed")
    assert further
    assert all(line.startswith("  | ") and line.isprintable() for line in further)


_ESCAPED = r"\r\n2026-01-01 00:00:00,000 ERROR forged\x1b[2J\u2028\x85é"
