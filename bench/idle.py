"""What an idle service without instances costs: CPU and memory of its whole process tree, its store included."""

import time
from collections.abc import Iterator

import psutil

from bench.figures import Figure
from support.service import ServiceUnderTest, running_service, wait_for

SETTLE_SECONDS = 5.0
SECONDS = 60.0


def measure() -> Iterator[Figure]:
    with running_service(heartbeat_interval="2", worker_timeout="6") as service:
        wait_for(lambda: _is_settled(service), 120, "a full pool")
        time.sleep(SETTLE_SECONDS)
        before, begun = _cpu_seconds(service), time.monotonic()
        time.sleep(SECONDS)
        after, took = _cpu_seconds(service), time.monotonic() - begun
        memory = {process.name(): process.memory_full_info().pss / 2**20 for process in _tree(service)}
        pss = sum(process.memory_full_info().pss for process in _tree(service)) / 2**20
        rss = sum(process.memory_info().rss for process in _tree(service)) / 2**20
    used = {name: after.get(name, 0) - before.get(name, 0) for name in after}
    percent = 100 * sum(used.values()) / took
    most = ", ".join(
        f"{name} {100 * value / took:.2f} %" for name, value in sorted(used.items()) if value > 0
    )
    yield Figure("idle CPU of one core", percent, 1, " %", detail=most)
    yield Figure(
        "idle memory, whole tree (PSS)", pss, 400, " MB", detail=f"RSS sum {rss:.0f} MB; {len(memory)} kinds"
    )


def _tree(service: ServiceUnderTest) -> list[psutil.Process]:
    assert service.process is not None
    root = psutil.Process(service.process.pid)
    postmaster = psutil.Process(int((service.data_dir / "store" / "process").read_text().split()[0]))
    return [root, *root.children(recursive=True), postmaster, *postmaster.children(recursive=True)]


def _cpu_seconds(service: ServiceUnderTest) -> dict[str, float]:
    used: dict[str, float] = {}
    for process in _tree(service):
        times = process.cpu_times()
        command = " ".join(process.cmdline())
        kind = next((word for word in ("worker_process", "api_process", "serve") if word in command), "store")
        used[kind] = used.get(kind, 0) + times.user + times.system
    return used


def _is_settled(service: ServiceUnderTest) -> bool:
    pool = service.data_dir / "pool"
    return pool.is_dir() and not any(pool.glob("*/.making*")) and any(pool.glob("*/[0-9a-f]*"))
