"""Instances with a standby: made, switched over, given another flavor and failed over, beside the same done by hand.

By hand: a ready data directory, start, pg_basebackup, start of the standby; and for the switchover a fast stop of the
primary, pg_promote and a look each millisecond. Outages are seen by a client that keeps inserting rows.
"""

import itertools
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.figures import Figure, spread
from bench.hand import folder_of
from bench.pool import await_full_pool
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.protocol import Installation
from openrds.hosts import processes
from openrds.hosts.processes import wait_until
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers
from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.writer import Writer

CREATIONS = 5
SWITCHOVERS = 9
CLASS_CHANGES = 10
FAILOVERS = 20
SMALL, LARGE = "rds.pg.n1.medium.2.ha", "rds.pg.n1.large.2.ha"
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_ADDRESSES = ("127.126.1.1", "127.126.1.2")
_SETTINGS = "wal_retrieve_retry_interval = '100ms'\nmax_connections = 200\nshared_buffers = '512MB'\n"


def measure() -> Iterator[Figure]:
    with running_service(spare_data_dirs="1") as service:
        installation = PostgreSQL(service.data_dir, ServerUsers.choose(service.data_dir)).installations()[-1]
        yield from _creation(service, installation)
        yield from _switchover(service, installation)
        yield from _class_change(service)
        yield from _failover(service)


def _creation(service: ServiceUnderTest, installation: Installation) -> Iterator[Figure]:
    ours, theirs = [], []
    versions = len(service.get("datastores/PostgreSQL")["dataStores"])
    for round_ in range(CREATIONS + 1):
        await_full_pool(service.data_dir, versions)
        with bare_pair(installation) as pair:
            begun = time.perf_counter()
            pair.build()
            by_hand = time.perf_counter() - begun
        begun = time.perf_counter()
        instance_id = _create(service, f"bench-{round_}", "async")
        took = time.perf_counter() - begun
        service.delete(instance_id)
        if round_ > 0:  # the first round warms the page cache
            ours.append(took)
            theirs.append(by_hand)
    yield _compared("create with a standby / by hand", ours, theirs, 1.5)


def _switchover(service: ServiceUnderTest, installation: Installation) -> Iterator[Figure]:
    ours, theirs = [], []
    instance = service.instance(_create(service, "bench-switchover", "async"))
    with bare_pair(installation) as pair:
        pair.build()
        for _ in range(SWITCHOVERS):
            theirs.append(pair.switch_over())
            ours.append(_outage(instance, lambda: _switch(service, instance)))
    service.delete(instance["id"])
    yield _compared("write outage of a switchover / by hand", ours, theirs, 3)
    yield Figure("write outage of a switchover, longest", max(ours), 1, " s", detail=spread(ours))


def _class_change(service: ServiceUnderTest) -> Iterator[Figure]:
    """To the larger flavor and back to the smaller one, each time after a switchover of the same pair."""
    changes, switchovers = [], []
    instance = service.instance(_create(service, "bench-class-change", "async"))
    for flavor in itertools.islice(itertools.cycle((LARGE, SMALL)), CLASS_CHANGES):
        switchovers.append(_outage(instance, lambda: _switch(service, instance)))
        changes.append(_outage(instance, lambda wanted=flavor: _resize(service, instance, wanted)))
    service.delete(instance["id"])
    ratio = statistics.median(one / other for one, other in zip(changes, switchovers, strict=True))
    detail = (
        f"larger {spread(changes[::2])}; smaller {spread(changes[1::2])}; switchover {spread(switchovers)}"
    )
    yield Figure("class change of a pair: write outage / of a switchover", ratio, 1.5, detail=detail)
    yield Figure(
        "class change of a pair: write outage, longest", max(changes), 1, " s", detail=spread(changes)
    )


def _failover(service: ServiceUnderTest) -> Iterator[Figure]:
    instance = service.instance(_create(service, "bench-failover", "sync"))
    outages, lost = [], 0
    for _ in range(FAILOVERS):
        lost_now: list[int] = []
        outages.append(_outage(instance, lambda: _kill(service, instance), lost_now))
        lost += sum(lost_now)
    service.delete(instance["id"])
    yield Figure(
        "kill -9 of the primary to the next acknowledged write, median",
        statistics.median(outages),
        3,
        " s",
        detail=spread(outages),
    )
    yield Figure(f"acknowledged writes lost in {FAILOVERS} failovers with sync", lost, 0)


def _compared(name: str, ours: list[float], theirs: list[float], limit: float) -> Figure:
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    return Figure(name, ratio, limit, detail=f"{spread(ours)}; by hand {spread(theirs)}")


def _create(service: ServiceUnderTest, name: str, mode: str) -> str:
    body = service.create_body(
        name=name,
        flavor_ref=SMALL,
        availability_zone="local-1a,local-1a",
        ha={"mode": "Ha", "replication_mode": mode},
    )
    answer = service.call("POST", "instances", body, headers=fresh()).json()
    service.completed(answer["job_id"])
    return str(answer["instance"]["id"])


def _outage(instance: dict[str, Any], act: Callable[[], None], lost: list[int] | None = None) -> float:
    """The longest time between two acknowledged writes, while the act is done and until it is settled."""
    with Writer(instance) as writer:
        writer.wait_for_one_after(0)
        begun = time.monotonic()
        act()
        writer.wait_for_one_after(time.monotonic())
    moments = [moment for moment in writer.acknowledged.values() if moment > begun - 0.5]
    if lost is not None:
        lost.append(len(writer.lost()))
    return max(later - earlier for earlier, later in itertools.pairwise(moments))


def _switch(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    answer = service.call("PUT", f"instances/{instance['id']}/failover", {}, headers=fresh()).json()
    service.completed(answer["workflowId"])


def _resize(service: ServiceUnderTest, instance: dict[str, Any], flavor: str) -> None:
    action = {"resize_flavor": {"spec_code": flavor}}
    answer = service.call("POST", f"instances/{instance['id']}/action", action, headers=fresh()).json()
    service.completed(answer["job_id"])


def _kill(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    """And wait until the old primary is the standby, which confirms again."""
    nodes = service.instance(instance["id"])["nodes"]
    (primary,) = (node["id"] for node in nodes if node["role"] == "master")
    process = processes.find(service.data_dir / "nodes" / primary / processes.RECORD)
    assert process is not None
    query = f"tasklist?instance_id={instance['id']}&name=SwitchoverPostgresqlInstance&status=Completed"
    before = service.get(query)["total_count"]
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: service.get(query)["total_count"] > before, 60, "the end of the failover")


@dataclass
class BarePair:
    """Two servers as a careful person would set them up with the server's own programs."""

    installation: Installation
    root: Path
    user: ServerUser
    primary: int = 0

    def build(self) -> None:
        self._start(0)
        self._wait(0, "SELECT 1")
        with self._session(0) as session:
            session.execute("SELECT pg_create_physical_replication_slot('node1', true)")
        self._run(
            "pg_basebackup", "-D", self.root / "1", "-R", "-X", "stream", "-c", "fast", "-S", "node1",
            "-h", _ADDRESSES[0], "-U", "postgres",
        )  # fmt: skip
        self._start(1)
        self._wait(0, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")

    def switch_over(self) -> float:
        """The outage that a client sees; afterwards the old primary streams from the new one."""
        old, new = self.primary, 1 - self.primary
        with self._session(old) as session:
            session.execute("CREATE TABLE IF NOT EXISTS written (number int)")
            session.execute("INSERT INTO written VALUES (1)")
            begun = time.perf_counter()
            self._process(old).stop((signal.SIGINT,))
        with self._session(new) as session:
            session.execute("SELECT pg_promote(false)")
            while session.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                time.sleep(0.001)
        with self._session(new) as session:
            session.execute("INSERT INTO written VALUES (2)")
        outage = time.perf_counter() - begun
        self.primary = new
        with self._session(new) as session:
            session.execute(
                "SELECT pg_create_physical_replication_slot(%(name)s, true)"
                " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %(name)s)",
                {"name": f"node{old}"},
            )
        upstream = f"host={_ADDRESSES[new]} user=postgres"
        self.user.write(
            self.root / str(old) / "postgresql.auto.conf",
            f"primary_conninfo = '{upstream}'\nprimary_slot_name = 'node{old}'\n",
        )
        self.user.write(self.root / str(old) / "standby.signal", "")
        self._start(old)
        self._wait(new, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")
        return outage

    def prepare(self) -> None:
        self._run("initdb", "-D", self.root / "0", "--username=postgres", "--data-checksums", "--auth=trust")
        with (self.root / "0" / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS)

    def stop(self) -> None:
        for number in (0, 1):
            processes.stop_recorded(self.root.parent / f"process{number}")

    def _start(self, number: int) -> None:
        processes.spawn(
            [
                self.installation.bin_dir / "postgres",
                "-D",
                self.root / str(number),
                "-h",
                _ADDRESSES[number],
                "-k",
                "",
            ],
            self.root.parent / f"process{number}",
            self.root / "log",
            user=self.user,
            env=_ENVIRONMENT,
            stop_signals=(signal.SIGINT,),
        )

    def _process(self, number: int) -> processes.Process:
        process = processes.find(self.root.parent / f"process{number}")
        assert process is not None
        return process

    def _session(self, number: int) -> psycopg.Connection[Any]:
        return psycopg.connect(host=_ADDRESSES[number], user="postgres", dbname="postgres", autocommit=True)

    def _wait(self, number: int, question: str) -> None:
        def holds() -> bool:
            with suppress(psycopg.OperationalError), self._session(number) as session:
                return session.execute(question.encode()).fetchone() is not None
            return False

        assert wait_until(holds, 60)

    def _run(self, program: str, *words: str | Path) -> None:
        subprocess.run(
            [self.installation.bin_dir / program, *words],
            check=True,
            capture_output=True,
            cwd=self.root,
            env=_ENVIRONMENT,
            **self.user.identity(),
        )


@contextmanager
def bare_pair(installation: Installation) -> Iterator[BarePair]:
    """With a ready data directory, as the service has one in its pool."""
    user = ServerUser.choose()
    with folder_of(user) as root:
        pair = BarePair(installation, root, user)
        try:
            pair.prepare()
            yield pair
        finally:
            pair.stop()
