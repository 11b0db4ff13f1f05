"""The task center with a long history, and with a tenth of it: how fast it answers, and what that costs.

Both services run side by side and take turns. The load comes from one process; all requests are signed before they are
timed. Plain SQL asks the longer store the same questions: a count, the distinct names, and the page by its offset.

OPENRDS_BENCH_TASKS says how long the history is. OPENRDS_BENCH_DIR names a folder where the filled stores are kept for
the next run; without it they are made anew and removed.
"""

import contextlib
import datetime as dt
import itertools
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from bench.accepting import cost_of
from bench.figures import Figure, percentile, spread
from bench.load import UNBOUNDED, connect, latencies_at, latency, signed_get, throughput
from openrds.domain.task import RETENTION
from openrds.hosts import processes
from openrds.service import places
from openrds.store.database import Store
from openrds.tasks.retention import forget_expired
from support.service import ServiceUnderTest, free_port, private_cidr

TASKS = int(os.environ.get("OPENRDS_BENCH_TASKS") or 10_000_000)
QUESTIONS = 3000
#: A quarter for the paced requests, a quarter for single ones, half for throughput.
JOBS = 72_000
LIST_ROUNDS = 5
PLAIN_QUESTIONS = 60
ROUNDS = 7
SECONDS = 2.0
RATE = 500.0
RATE_SECONDS = 30
PACED_ROUNDS = 9
ACCEPTED = 150
QUIET_SECONDS = 20.0


@dataclass(frozen=True)
class Question:
    """What is asked of `tasklist`, as its query parameters."""

    parameters: dict[str, Any]

    @property
    def path(self) -> str:
        return f"tasklist?{urlencode(self.parameters)}"


def measure() -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        folder = os.environ.get("OPENRDS_BENCH_DIR") or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="ords-", dir="/tmp")
        )
        Path(folder).chmod(0o711)
        big, small = (stack.enter_context(_filled(Path(folder), tasks)) for tasks in (TASKS, TASKS // 10))
        yield from _measure(big, small)


def _measure(big: ServiceUnderTest, small: ServiceUnderTest) -> Iterator[Figure]:
    both = (big, small)
    questions = {service.data_dir: _questions(service) for service in both}
    jobs = {service.data_dir: _job_requests(service, JOBS) for service in both}
    # Each is asked for once, by any of the measurements: an ended task that was asked for before is in memory.
    listed, asked = _list_latencies(both, questions, jobs[big.data_dir][JOBS // 4 :])
    ours, tenth = ([1000 * percentile(took, 99) for took in listed[service.data_dir]] for service in both)
    middle = statistics.median(1000 * seconds for took in listed[big.data_dir] for seconds in took)
    yield Figure(
        "tasklist, any page and filters, p99",
        statistics.median(ours),
        25,
        " ms",
        detail=f"{spread(ours, 'ms')}; median of all {middle:.3g} ms",
    )
    plain, same = _plain_latencies(big, questions[big.data_dir])
    yield Figure(
        "tasklist / plain SQL, worst case",
        max(same) / max(plain),
        0.05,
        detail=f"worst {1000 * max(same):.1f} ms beside {1000 * max(plain):.0f} ms of {len(plain)} questions",
    )
    alone = [1000 * percentile(took, 99) for took in asked]
    yield Figure(
        "tasklist p99 / jobs?id= p99, one at a time",
        statistics.median(one / other for one, other in zip(ours, alone, strict=True)),
        4,
        detail=f"jobs {spread(alone, 'ms')}",
    )
    yield Figure(
        "tasklist p99, all tasks / a tenth",
        statistics.median(one / other for one, other in zip(ours, tenth, strict=True)),
        1.1,
        detail=f"a tenth: {spread(tenth, 'ms')}",
    )

    yield from _paced(both, jobs)

    yield from _throughputs(big, jobs[big.data_dir])
    yield _cost_of_counting(big)
    memory = big.child("api").memory_info().rss / 2**20
    yield _pause_while_dropping(big)
    memory = max(memory, big.child("api").memory_info().rss / 2**20)
    yield Figure("memory of the API process", memory, 250, " MB")


def _paced(services: Sequence[ServiceUnderTest], jobs: dict[Path, list[bytes]]) -> Iterator[Figure]:
    """Requests that come at their times, whether or not the ones before were answered: tasks, and a static route."""
    big, small = services
    count = int(RATE * RATE_SECONDS / PACED_ROUNDS)
    static = [signed_get(big, "/v3/regions")] * count
    for service in services:  # warm
        latencies_at(service, jobs[service.data_dir][-1000:], RATE)
    rounds = []
    for part in range(PACED_ROUNDS):
        here = slice(part * count, (part + 1) * count)
        rounds.append(
            [
                1000 * percentile(latencies_at(service, requests, RATE), 99)
                for service, requests in (
                    (big, static),
                    (big, jobs[big.data_dir][here]),
                    (small, jobs[small.data_dir][here]),
                )
            ]
        )
    statics, ours, tenth = (list(column) for column in zip(*rounds, strict=True))
    yield Figure("jobs?id= at 500/s, p99", statistics.median(ours), 10, " ms", detail=spread(ours, "ms"))
    yield Figure(
        "jobs?id= p99 / static signed route, both at 500/s",
        statistics.median(one / other for one, other in zip(ours, statics, strict=True)),
        2.5,
        detail=f"static {spread(statics, 'ms')}",
    )
    yield Figure(
        "jobs p99, all tasks / a tenth",
        statistics.median(one / other for one, other in zip(ours, tenth, strict=True)),
        1.3,
        detail=f"a tenth: {spread(tenth, 'ms')}",
    )


@contextlib.contextmanager
def _filled(folder: Path, tasks: int) -> Iterator[ServiceUnderTest]:
    root = folder / str(tasks)
    is_filled = root.exists()
    root.mkdir(exist_ok=True)
    root.chmod(0o711)
    options = {
        "listen": f"127.0.0.1:{free_port()}",
        "private_cidr": private_cidr(),
        "spare_data_dirs": "0",
        "request_rate": UNBOUNDED,
    }
    service = ServiceUnderTest(root / "d", options)
    if not is_filled:
        # Only a service makes a folder a data directory.
        service.start()
        service.down()
        command = service.command("bench", "seed", "--data-dir", str(service.data_dir), "--tasks", str(tasks))
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=service.environment())
        print(f"  {done.stdout.strip()}", flush=True)
    service.start()
    try:
        yield service
    finally:
        service.stop()
        for record in processes.records_below(service.data_dir):
            processes.stop_recorded(record)


def _dsn(service: ServiceUnderTest) -> str:
    return f"host={places.socket_root(service.data_dir) / 'store'} port=5432 user=rdsAdmin dbname=postgres"


def _sample(service: ServiceUnderTest, count: int) -> list[tuple[Any, ...]]:
    """Some of the project's tasks, from all over the month, but none that expires while it is asked for."""
    with psycopg.connect(_dsn(service)) as connection:
        share = min(100.0, 400 * count / TASKS * (10 if str(TASKS // 10) in str(service.data_dir) else 1))
        return connection.execute(
            "select id, instance_id, order_id, name, status, created_at from task "
            "tablesample bernoulli (%s) repeatable (1) "
            "where project_id = %s and created_at > now() - %s order by md5(id::text) limit %s",
            [share, service.project_id, RETENTION - dt.timedelta(hours=1), count],
        ).fetchall()


def _questions(service: ServiceUnderTest) -> list[Question]:
    """Every combination of filters comes up; offsets reach to the end of what matches without them."""
    rng = random.Random(1)
    total = service.get("tasklist?limit=1")["total_count"]
    sample = _sample(service, QUESTIONS)
    with psycopg.connect(_dsn(service)) as connection:
        busiest = connection.execute(
            "select instance_id from task where project_id = %s group by 1 order by count(*) desc limit 3",
            [service.project_id],
        ).fetchall()
    questions = [
        Question({"offset": 0, "limit": 10}),
        Question({"offset": total - 10, "limit": 50}),
        Question({"offset": total // 2, "limit": 50}),
        *(Question({"instance_id": instance, "offset": 20_000, "limit": 50}) for (instance,) in busiest),
        *(
            Question({"name": f"RestoreTable{engine}", "status": "Failed", "limit": 50})
            for engine in ("Mysql", "Postgresql", "Sqlserver")
        ),
    ]
    while len(questions) < QUESTIONS:
        task, other = rng.choice(sample), rng.choice(sample)
        id_, instance, order, name, status, created = task
        offered: dict[str, Any] = {"name": name, "status": status}
        if rng.random() < 0.3:
            offered["instance_id"] = instance
        if order and rng.random() < 0.5:
            offered["order_id"] = order
        if rng.random() < 0.05:
            offered["id"] = id_
        chosen = {field: value for field, value in offered.items() if rng.random() < 0.5}
        if rng.random() < 0.5:
            start, end = sorted((created, other[5]))
            chosen |= {"start_time": _milliseconds(start), "end_time": _milliseconds(end)}
        offset = rng.choice((0, 0, rng.randrange(100), rng.randrange(total)))
        questions.append(Question({**chosen, "offset": offset, "limit": rng.choice((10, 50))}))
    return questions


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _list_latencies(
    services: Sequence[ServiceUnderTest], questions: dict[Path, list[Question]], jobs: Sequence[bytes]
) -> tuple[dict[Path, list[list[float]]], list[list[float]]]:
    """What each question took, by round, and a task by its id after each question to the first service.

    The services are asked in turn, so what else the machine does hits both.
    """
    asked = {
        service.data_dir: [
            signed_get(service, f"/v3/{service.project_id}/{question.path}", service.credentials)
            for question in questions[service.data_dir]
        ]
        for service in services
    }
    first = services[0].data_dir
    connections = {service.data_dir: connect(service) for service in services}
    took: dict[Path, list[list[float]]] = {service.data_dir: [] for service in services}
    of_jobs: list[list[float]] = []
    others = iter(jobs)
    for _ in range(1 + LIST_ROUNDS):
        for rounds in (*took.values(), of_jobs):
            rounds.append([])
        for number in range(QUESTIONS):
            for place, connection in connections.items():
                took[place][-1].append(latency(connection, asked[place][number]))
            of_jobs[-1].append(latency(connections[first], next(others)))
    for connection in connections.values():
        connection.close()
    return {place: rounds[1:] for place, rounds in took.items()}, of_jobs[1:]  # the first warms


def _plain_latencies(service: ServiceUnderTest, questions: list[Question]) -> tuple[list[float], list[float]]:
    """Plain SQL and ours, for the same questions."""
    plain, ours = [], []
    with psycopg.connect(_dsn(service), autocommit=True) as connection:
        connection.execute("set jit = off")
        for question in questions[:PLAIN_QUESTIONS]:
            where, values = _condition(service.project_id, question)
            page = f"select * from task where {where} order by id desc limit %s offset %s"
            bounds = [question.parameters["limit"], question.parameters.get("offset", 0)]
            begun = time.perf_counter()
            connection.execute(f"select count(*) from task where {where}", values).fetchall()
            connection.execute(f"select distinct name from task where {where}", values).fetchall()
            connection.execute(page, [*values, *bounds]).fetchall()
            plain.append(time.perf_counter() - begun)
            request = signed_get(service, f"/v3/{service.project_id}/{question.path}")
            # A connection that is silent for as long as plain SQL can take is closed by the server.
            with connect(service) as http:
                ours.append(statistics.median(latency(http, request) for _ in range(3)))
    return plain, ours


def _condition(project_id: str, question: Question) -> tuple[str, list[Any]]:
    columns = {
        "id": "id = %s",
        "instance_id": "instance_id = %s",
        "order_id": "order_id = %s",
        "name": "name = %s",
        "status": "status = %s",
        "start_time": "id >= first_task_id(to_timestamp(%s / 1000.0))",
        "end_time": "id < first_task_id(to_timestamp((%s + 1) / 1000.0))",
    }
    used = [
        (text, question.parameters[name]) for name, text in columns.items() if name in question.parameters
    ]
    conditions = ["project_id = %s", "not hidden", *(text for text, _ in used)]
    return " and ".join(conditions), [project_id, *(value for _, value in used)]


def _job_requests(service: ServiceUnderTest, count: int) -> list[bytes]:
    """Each for another task."""
    keys = service.credentials
    return [
        signed_get(service, f"/v3/{service.project_id}/jobs?id={row[0]}", keys)
        for row in _sample(service, count)
    ]


def _throughputs(service: ServiceUnderTest, jobs: Sequence[bytes]) -> Iterator[Figure]:
    static = signed_get(service, "/v3/regions")
    page = signed_get(service, f"/v3/{service.project_id}/tasklist")
    repeated = jobs[:100]
    fresh = iter(range(len(jobs) // 2, len(jobs), (len(jobs) // 2) // ROUNDS))
    rounds = []
    throughput(service, repeated, SECONDS)
    for _ in range(ROUNDS):
        begin = next(fresh)
        rounds.append(
            (
                throughput(service, [static], SECONDS),
                throughput(service, repeated, SECONDS),
                throughput(service, jobs[begin:], SECONDS / 4),
                throughput(service, [page], SECONDS),
            )
        )
    statics, repeats, polls, pages = zip(*rounds, strict=True)
    yield Figure(
        "repeated jobs?id= of finished tasks / static JSON route",
        statistics.median(repeat / other for repeat, other in zip(repeats, statics, strict=True)),
        0.85,
        at_least=True,
        detail=f"repeated {spread(repeats, '/s')}; static {spread(statics, '/s')}",
    )
    yield Figure(
        "tasklist, first page / jobs?id=, each of another task",
        statistics.median(one / other for one, other in zip(pages, polls, strict=True)),
        0.4,
        at_least=True,
        detail=f"tasklist {spread(pages, '/s')}; jobs {spread(polls, '/s')}",
    )


def _cost_of_counting(service: ServiceUnderTest) -> Figure:
    """Accepting with the triggers that note changes of the counts, and without."""
    name, trigger = "accepting a task, with counts / without", "note_new_task"
    with Store(_dsn(service), connections=1) as store:
        return cost_of(name, trigger, store, tasks=ACCEPTED, rounds=ROUNDS)


def _pause_while_dropping(service: ServiceUnderTest) -> Figure:
    """Readers go on while all whole weeks are forgotten and dropped; the longest they waited."""
    requests = [
        signed_get(service, f"/v3/{service.project_id}/tasklist{query}")
        for query in ("", f"?offset={TASKS // 4}", "?status=Failed&offset=1000")
    ]
    later = dt.datetime.now(dt.UTC) + RETENTION
    with Store(_dsn(service), connections=1) as store:
        quiet = _waits(service, requests, lambda: time.sleep(QUIET_SECONDS))

        def drop() -> None:
            begun = len(_weeks(store))
            deadline = time.monotonic() + 600
            while any(week < (later - RETENTION).date() - dt.timedelta(days=7) for week in _weeks(store)):
                assert time.monotonic() < deadline
                forget_expired(store, later)
            print(f"  {begun - len(_weeks(store))} weeks dropped", flush=True)

        waits = _waits(service, requests, drop)
    limit = 50
    return Figure(
        "longest pause of readers while a month is dropped", 1000 * max(waits), limit, " ms",
        detail=f"{_distribution(waits, limit)} in {sum(waits):.0f} s; without dropping "
        f"{_distribution(quiet, limit)} in {sum(quiet):.0f} s",
    )  # fmt: skip


def _distribution(waits: Sequence[float], limit: float) -> str:
    over = sum(1000 * wait > limit for wait in waits)
    p99 = 1000 * percentile(waits, 99)
    return f"p99 {p99:.3g}, longest {1000 * max(waits):.3g} ms, {over} of {len(waits)} over {limit:g} ms"


def _weeks(store: Store) -> list[dt.date]:
    rows = store.rows(
        b"select right(relid::regclass::text, 8) as day from pg_partition_tree('task') where isleaf"
    )
    return [dt.date(int(row["day"][:4]), int(row["day"][4:6]), int(row["day"][6:])) for row in rows]


def _waits(
    service: ServiceUnderTest, requests: Sequence[bytes], meanwhile: Callable[[], None]
) -> list[float]:
    """What each request took, one after the other, until something is done."""
    stop = threading.Event()
    waits: list[float] = []

    def read() -> None:
        connection = connect(service)
        for request in itertools.cycle(requests):
            if stop.is_set():
                break
            waits.append(latency(connection, request))
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        meanwhile()
    finally:
        stop.set()
        reader.join()
    return waits
