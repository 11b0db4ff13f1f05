"""From the HTTP call that creates an instance to the first query answered, beside the same done by hand.

By hand: initdb with the same options, start on an address of its own, first query over TCP. The three kinds of
run follow each other in turn, and a ratio is the median of the ratios of neighbours.
"""

import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg

from bench.figures import Figure, spread
from bench.hand import folder_of
from bench.pool import await_full_pool
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.protocol import Installation
from openrds.hosts import processes
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers
from support.service import PASSWORD, ServiceUnderTest, running_service

ROUNDS = 9
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def measure() -> Iterator[Figure]:
    bare, warm, cold = [], [], []
    with (
        running_service(spare_data_dirs="1") as warm_service,
        running_service(spare_data_dirs="0") as cold_service,
    ):
        installation = installation_of(warm_service)
        versions = len(warm_service.get("datastores/PostgreSQL")["dataStores"])
        for round_ in range(ROUNDS + 1):
            times = []
            for run in (
                lambda: by_hand(installation),
                lambda number=round_: by_service(warm_service, number),
                lambda number=round_: by_service(cold_service, number),
            ):
                # A pool that is being refilled would disturb whoever comes next.
                await_full_pool(warm_service.data_dir, versions)
                times.append(run())
            if round_ > 0:  # the first round warms the page cache
                for values, value in zip((bare, warm, cold), times, strict=True):
                    values.append(value)
    hand = f"by hand {spread(bare)}"
    for name, values, limit in (
        ("create, warm pool / by hand", warm, 0.2),
        ("create, cold pool / by hand", cold, 1.3),
    ):
        ratio = statistics.median(ours / theirs for ours, theirs in zip(values, bare, strict=True))
        yield Figure(name, ratio, limit, detail=f"{spread(values)}; {hand}")


def installation_of(service: ServiceUnderTest) -> Installation:
    """The version that instances get by default, the newest."""
    return PostgreSQL(service.data_dir, ServerUsers.choose(service.data_dir)).installations()[-1]


def by_hand(installation: Installation) -> float:
    user = ServerUser.choose()
    with folder_of(user) as root:
        begun = time.perf_counter()
        server = serve_by_hand(installation, root, "127.126.0.1")
        took = time.perf_counter() - begun
        server.stop((signal.SIGINT,))
        return took


def serve_by_hand(installation: Installation, root: Path, address: str) -> processes.Process:
    """A new server in a folder, which has answered its first query."""
    user = ServerUser.choose()
    initdb = processes.spawn(
        [
            installation.bin_dir / "initdb",
            "-D",
            root / "data",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--auth=trust",
        ],
        root.parent / f"{root.name}.initdb",
        root / "initdb.log",
        user=user,
        env=_ENVIRONMENT,
    )
    assert initdb.wait(600)
    server = processes.spawn(
        [installation.bin_dir / "postgres", "-D", root / "data", "-h", address, "-k", root],
        root.parent / f"{root.name}.process",
        root / "log",
        user=user,
        env=_ENVIRONMENT,
    )
    first_query(address, "postgres", "")
    return server


def by_service(service: ServiceUnderTest, round_: int) -> float:
    body = service.create_body(name=f"bench-{round_}")
    begun = time.perf_counter()
    answer = service.call("POST", "instances", body).json()
    job = service.completed(answer["job_id"])
    address = job["entities"]["instance"]["endpoint"].partition(":")[0]
    first_query(address, "root", PASSWORD)
    took = time.perf_counter() - begun
    service.delete(answer["instance"]["id"])
    return took


def first_query(address: str, user: str, password: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(host=address, user=user, password=password, dbname="postgres") as connection,
        ):
            connection.execute("select 1")
            return
        time.sleep(0.002)
    raise AssertionError("no query was answered")
