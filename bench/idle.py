"""What an idle service costs, without and with many instances: CPU and memory of its processes, its store's included.

The servers of instances are what the service is there for, and are not counted; what they use is told beside it.
"""

import contextlib
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import psutil

from bench.figures import Figure
from bench.pool import await_full_pool
from openrds.hosts.processes import RECORD, find, records_below
from support.dialects import POSTGRESQL, Dialect
from support.service import ServiceUnderTest, fresh, running_service

#: Instances, and the most that may be used then, in percent of a core.
BOUNDS = {0: 0.5, 100: 1.5, 300: 3.5}
#: The last creations are over by then, with all that follows them: the first checkpoint of a server comes after 5 min.
SETTLE_SECONDS = 345.0
#: Long enough for the ticks of 10 ms that the kernel counts in, and for each kind of round to come; the median leaves
#: out what disturbs one window.
WINDOW_SECONDS = 30.0
WINDOWS = 5
_AT_ONCE = 4
SERVERS = "servers of instances"
_SECONDS_FOR_ALL = 3600.0


def measure() -> Iterator[Figure]:
    # No first backups: they are work, and come once.
    options = {"heartbeat_interval": "2", "worker_timeout": "6", "instance_quota": str(max(BOUNDS))}
    options["private_cidr"] = "127.122.0.0/22"  # more than a test has
    with running_service(**options) as service:
        there = 0
        for instances, bound in BOUNDS.items():
            create_many(service, range(there, instances))
            there = instances
            await_full_pool(service)
            yield _cpu(service, f"idle CPU of one core, {instances} instances", bound)
            if not instances:
                yield _memory(service)


def create_many(service: ServiceUnderTest, numbers: range, dialect: Dialect = POSTGRESQL) -> None:
    body = service.create_body(dialect)

    def create(number: int) -> None:
        answer = service.call("POST", "instances", {**body, "name": f"idle-{number}"}, headers=fresh())
        assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
        service.completed(answer.json()["job_id"], _SECONDS_FOR_ALL)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(create, numbers))


def _cpu(service: ServiceUnderTest, name: str, bound: float) -> Figure:
    time.sleep(SETTLE_SECONDS)
    windows = [window([service])[0] for _ in range(WINDOWS)]
    servers = statistics.median(found.pop(SERVERS, 0.0) for found in windows)
    totals = [found.total() for found in windows]
    shares = {who: statistics.median(found[who] for found in windows) for who in set().union(*windows)}
    listed = ", ".join(
        f"{who} {share:.2f}" for who, share in sorted(shares.items(), key=lambda item: -item[1]) if share
    )
    spread = f"{min(totals):.2f} to {max(totals):.2f} in {WINDOWS} windows of {WINDOW_SECONDS:.0f} s"
    detail = f"{spread}; {listed}; the servers of the instances, not counted: {servers:.2f}"
    return Figure(name, statistics.median(totals), bound, " %", detail=detail)


def _memory(service: ServiceUnderTest) -> Figure:
    found = _memories(service)
    rss = sum(info.rss for info in found) / 2**20
    return Figure(
        "idle memory, whole tree (PSS)",
        memory_in_use(service),
        400,
        " MB",
        detail=f"RSS sum {rss:.0f} MB, which counts shared pages each time; {len(found)} processes",
    )


def memory_in_use(service: ServiceUnderTest) -> float:
    """MB of all its processes, each shared page counted once."""
    return sum(info.pss for info in _memories(service)) / 2**20


def _memories(service: ServiceUnderTest) -> list[Any]:
    return [info for _, process in _processes(service) if (info := _memory_of(process)) is not None]


def _memory_of(process: psutil.Process) -> Any:
    """None for one of the store's short-lived processes that has just ended."""
    try:
        return process.memory_full_info()
    except psutil.NoSuchProcess:
        return None


def _processes(service: ServiceUnderTest) -> list[tuple[str, psutil.Process]]:
    """Each of ours once, with what it is. Servers are children of whoever started them, so no tree is walked."""
    assert service.process is not None
    found = [
        ("supervisor", psutil.Process(service.process.pid)),
        ("API", service.child("api")),
        ("worker", service.child("worker")),
        ("store watch", service.child("store watch")),
    ]
    store = find(service.data_dir / "store" / RECORD)
    assert store is not None
    postmaster = psutil.Process(store.pid)
    found.append(("store: postmaster", postmaster))
    for process in postmaster.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            title = re.fullmatch(r"postgres: ([a-z ]*[a-z])( \d+)? *", " ".join(process.cmdline()))
            found.append((f"store: {title[1] if title else 'sessions'}", process))
    return found


@dataclass(frozen=True)
class _Used:
    """Seconds of CPU that a process has used, and those of its children that have ended."""

    who: str
    parent: int
    own: float
    of_ended: float


def window(services: Sequence[ServiceUnderTest]) -> list[Counter[str]]:
    """Who used how much of a core, in percent, of each service in the same time."""
    before = [(time.monotonic(), _used(service), _used_by_servers(service)) for service in services]
    time.sleep(WINDOW_SECONDS)
    return [_since(*then, service) for then, service in zip(before, services, strict=True)]


def _since(begun: float, before: dict[int, _Used], servers: float, service: ServiceUnderTest) -> Counter[str]:
    after, took = _used(service), time.monotonic() - begun
    used = Counter({SERVERS: _used_by_servers(service) - servers})
    for pid, now in after.items():
        then = before.get(pid) or _Used(now.who, now.parent, 0, 0)
        used[now.who] += now.own - then.own
        # Short-lived ones, such as the store's autovacuum; what they used before the window is not of it.
        gone = sum(old.own for key, old in before.items() if old.parent == pid and key not in after)
        used[f"{now.who}'s ended children"] += now.of_ended - then.of_ended - gone
    return Counter({who: 100 * seconds / took for who, seconds in used.items()})


def _used(service: ServiceUnderTest) -> dict[int, _Used]:
    used = {}
    for who, process in _processes(service):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            ended = times.children_user + times.children_system
            used[process.pid] = _Used(who, process.ppid(), times.user + times.system, ended)
    return used


def _used_by_servers(service: ServiceUnderTest) -> float:
    """Seconds of CPU that the servers of all instances have used, with their processes that have ended."""
    mains = {process.pid for process in servers_of(service)}
    used = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid in mains:
                used += sum(process.cpu_times()[:4])
            elif process.ppid() in mains:
                used += sum(process.cpu_times()[:2])
    return used


def servers_of(service: ServiceUnderTest) -> list[psutil.Process]:
    """The first process of the server of each node."""
    found = (find(record) for record in records_below(service.data_dir / "nodes"))
    return [psutil.Process(process.pid) for process in found if process is not None]
