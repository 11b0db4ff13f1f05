"""`GET jobs?id=` of a running task beside a static JSON route of the same API process, both signed.

The load comes from one process on keep-alive connections; the two routes take turns.
"""

import datetime as dt
import selectors
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from bench.figures import Figure, spread
from openrds.domain.signature import sign
from support.service import ServiceUnderTest, running_service

CONNECTIONS = 8
SECONDS = 2.0
ROUNDS = 9


def measure() -> Iterator[Figure]:
    with running_service() as service:
        instance = service.create(name="bench-requests")
        # A worker that is stopped keeps the task running for as long as it is asked for.
        worker = service.child("worker_process")
        worker.send_signal(signal.SIGSTOP)
        try:
            answer = service.call("POST", f"instances/{instance['id']}/action", {"restart": {}})
            job_id = answer.json()["job_id"]
            assert service.job(job_id)["status"] == "Running"
            job = _request(service, f"/v3/{service.project_id}/jobs?id={job_id}")
            static = _request(service, "/v3/regions")
            _throughput(service, job), _throughput(service, static)
            pairs = [(_throughput(service, job), _throughput(service, static)) for _ in range(ROUNDS)]
            assert service.job(job_id)["status"] == "Running"
        finally:
            worker.send_signal(signal.SIGCONT)
        service.completed(job_id)
    ratio = statistics.median(jobs / statics for jobs, statics in pairs)
    jobs, statics = zip(*pairs, strict=True)
    yield Figure(
        "GET jobs?id= / static JSON route",
        ratio,
        0.35,
        at_least=True,
        detail=f"jobs {spread(jobs, '/s')}; static {spread(statics, '/s')}",
    )


def _request(service: ServiceUnderTest, path: str) -> bytes:
    keys = service.credentials
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


def _throughput(service: ServiceUnderTest, request: bytes) -> float:
    """Requests a second over a few keep-alive connections, each with one request under way."""
    address = urlsplit(service.endpoint)
    selector = selectors.EpollSelector()
    connections = [
        socket.create_connection((address.hostname or "", address.port or 0)) for _ in range(CONNECTIONS)
    ]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(request)
    answered, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        for key, _ in selector.select(1.0):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            answered += 1
            connection.sendall(request)
    took = time.perf_counter() - begun
    selector.close()
    for connection in connections:
        connection.close()
    return answered / took
