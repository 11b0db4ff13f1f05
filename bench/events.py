"""Events: how soon streams have them, what waiting and streams cost, and what writing them costs who accepts a task."""

import contextlib
import selectors
import socket
import statistics
import time
from collections.abc import Iterator

import uuid_utils

from bench.accepting import cost_of
from bench.figures import Figure, percentile, rounds, spread
from bench.load import UNBOUNDED, connect, receive, signed_get
from openrds.store.database import Store
from support.service import ServiceUnderTest, running_service

STREAMS = 200
EVENTS = 100
MANY = 1000
ENDED = 40
IDLE_SECONDS = 10.0
ACCEPTED = 200
ROUNDS = 9

_TELL = b"select tell_event(%s, 'instance', 'bench', null, jsonb_build_object('n', %s::integer))"
_TASK = b"""
insert into task (id, project_id, operation, name, instance_id, instance_name, parameters, created_at, changed_at)
values (%s, %s, 'bench', 'Bench', 'bench', 'bench', '{}', now(), now())
"""
_END = b"update task set status = 'Completed', ended_at = clock_timestamp() where id = %s"


def measure() -> Iterator[Figure]:
    options = {"request_rate": UNBOUNDED, "max_connections_per_address": str(2 * MANY)}
    with running_service(**options) as service, Store(service.store_dsn, connections=1) as store:
        yield from _latency(service, store)
        yield from _waiting(service, store)
        yield _memory(service)
        yield cost_of(
            "accepting a task, with events / without",
            "event_of_new_task",
            store,
            tasks=ACCEPTED,
            rounds=rounds(ROUNDS),
        )


def _latency(service: ServiceUnderTest, store: Store) -> Iterator[Figure]:
    """From the return of the commit to each of the streams having the event."""
    took: list[float] = []
    with _streams(service, STREAMS) as selector:
        for n in range(EVENTS):
            store.rows(_TELL, [service.project_id, n])
            committed = time.perf_counter()
            wanted, waiting = f'"n":{n}}}'.encode(), set(selector.get_map().values())
            while waiting:
                for key, _ in selector.select(5.0):
                    assert isinstance(key.fileobj, socket.socket)
                    if wanted in key.fileobj.recv(1 << 16) and key in waiting:
                        waiting.discard(key)
                        took.append(time.perf_counter() - committed)
            time.sleep(0.02)
    name = f"an event, from its commit to {STREAMS} streams"
    detail = spread(took, "ms", 1000)
    yield Figure(f"{name}, median", 1000 * statistics.median(took), 50, " ms", detail=detail)
    yield Figure(f"{name}, 99th percentile", 1000 * percentile(took, 99), 250, " ms")


def _waiting(service: ServiceUnderTest, store: Store) -> Iterator[Figure]:
    """Requests that wait, each for a task of its own."""
    api, took = service.child("api"), list[float]()
    ids = [_id() for _ in range(MANY)]
    for id_ in ids:
        store.rows(_TASK, [id_, service.project_id])
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(service)) for _ in ids]
        for connection, id_ in zip(connections, ids, strict=True):
            connection.sendall(signed_get(service, f"/v3/{service.project_id}/jobs?id={id_}&wait=60"))
        time.sleep(3)
        before, begun = sum(api.cpu_times()[:2]), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        share = (sum(api.cpu_times()[:2]) - before) / (time.perf_counter() - begun)
        for connection, id_ in list(zip(connections, ids, strict=True))[:ENDED]:
            store.rows(_END, [id_])
            ended = time.perf_counter()
            assert b'"Completed"' in receive(connection)
            took.append(time.perf_counter() - ended)
        for id_ in ids[ENDED:]:
            store.rows(_END, [id_])
        for connection in connections[ENDED:]:
            receive(connection)
    yield Figure(f"{MANY} requests that wait, of a core", 100 * share, 5, " %")
    yield Figure(
        "the end of a task to the answer of who waits for it, median",
        1000 * statistics.median(took),
        20,
        " ms",
        detail=spread(took, "ms", 1000),
    )


def _memory(service: ServiceUnderTest) -> Figure:
    with _streams(service, MANY):
        used = service.child("api").memory_info().rss / 2**20
    return Figure(f"the API process with {MANY} streams", used, 350, " MB")


@contextlib.contextmanager
def _streams(service: ServiceUnderTest, number: int) -> Iterator[selectors.EpollSelector]:
    """Streams that have begun."""
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(contextlib.closing(selectors.EpollSelector()))
        for _ in range(number):
            connection = stack.enter_context(connect(service))
            connection.sendall(signed_get(service, f"/v3/{service.project_id}/events"))
            answer = b""
            while b"id: " not in answer:
                answer += connection.recv(1 << 16)
                assert answer.startswith(b"HTTP/1.1 200"), answer
            selector.register(connection, selectors.EVENT_READ)
        yield selector


def _id() -> str:
    return str(uuid_utils.uuid7())
