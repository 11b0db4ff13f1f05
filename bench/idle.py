"""What an idle service without instances costs: CPU and memory of its whole process tree, its store included."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psutil

from bench.figures import Figure
from bench.pool import await_full_pool
from support.service import ServiceUnderTest, running_service

SETTLE_SECONDS = 5.0
SECONDS = 60.0


def measure() -> Iterator[Figure]:
    with running_service(heartbeat_interval="2", worker_timeout="6") as service:
        await_full_pool(service.data_dir, len(service.get("datastores/PostgreSQL")["dataStores"]))
        time.sleep(SETTLE_SECONDS)
        before, begun = _cpu_seconds(service), time.monotonic()
        time.sleep(SECONDS)
        after, took = _cpu_seconds(service), time.monotonic() - begun
        memory = [info for process in _tree(service) if (info := _memory(process)) is not None]
        pss = sum(info.pss for info in memory) / 2**20
        rss = sum(info.rss for info in memory) / 2**20
    used = {name: after.get(name, 0) - before.get(name, 0) for name in after}
    percent = 100 * sum(used.values()) / took
    most = ", ".join(
        f"{name} {100 * value / took:.2f} %" for name, value in sorted(used.items()) if value > 0
    )
    yield Figure("idle CPU of one core", percent, 1, " %", detail=most)
    yield Figure(
        "idle memory, whole tree (PSS)",
        pss,
        400,
        " MB",
        detail=f"RSS sum {rss:.0f} MB, which counts shared pages each time; {len(memory)} processes",
    )


def _tree(service: ServiceUnderTest) -> list[psutil.Process]:
    assert service.process is not None
    root = psutil.Process(service.process.pid)
    postmaster = psutil.Process(int((service.data_dir / "store" / "process").read_text().split()[0]))
    return [root, *root.children(recursive=True), postmaster, *postmaster.children(recursive=True)]


def _memory(process: psutil.Process) -> Any:
    """None for one of the store's short-lived processes that has just ended."""
    try:
        return process.memory_full_info()
    except psutil.NoSuchProcess:
        return None


def _cpu_seconds(service: ServiceUnderTest) -> dict[str, float]:
    used: dict[str, float] = {}
    for process in _tree(service):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            command = " ".join(process.cmdline())
            kind = next(
                (word for word in ("worker_process", "api_process", "serve") if word in command), "store"
            )
            # A parent also has what its children used that have ended, such as the store's autovacuum.
            used[kind] = used.get(kind, 0) + sum(times[:4])
    return used
