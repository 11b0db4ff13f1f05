"""A running service and a simple model of what it must have: what each instance is, and how many rows it holds."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import psycopg
from holdings import Holdings, Host
from psycopg.rows import dict_row

from openrds.hosts.forwarders import stop_forwarding
from openrds.hosts.forwarding import Route
from openrds.hosts.images import detach
from support.backups import now
from support.dialects import Dialect, Session
from support.service import PASSWORD, ServiceUnderTest, fresh, wait_for

Listed = dict[str, dict[str, Any]]
StoreConnection = psycopg.Connection[dict[str, Any]]

#: Seconds in which a task must have ended though its worker is killed, on a machine that is busy.
TASK_SECONDS = 120.0
#: Seconds in which what is not a task must have come about: a replica that catches up, a server that is replaced.
SETTLE_SECONDS = 60.0
#: Seconds after a `serve` in which everything must be as it must be, though all had died.
BACK_SECONDS = float(os.environ.get("OPENRDS_CHAOS_BACK_SECONDS", "60"))

_NODES = b"select *, host(address) as listens_on from node"


@dataclass(frozen=True)
class Kill:
    """So many seconds after an operation was asked for the worker dies, or everything there is."""

    after: float
    everything: bool = False

    def __str__(self) -> str:
        return f"{'everything' if self.everything else 'the worker'} is killed after {self.after:.2f} s"


@dataclass(eq=False)
class Expected:
    """One instance as it must be.

    `rows` is how many rows its table has; a replica has as many as its primary. `moments` says how many it had when, in
    milliseconds.
    """

    id: str
    name: str
    dialect: Dialect
    type: str
    nodes: int
    flavor: str
    port: int
    rows: int = 0
    status: str = "ACTIVE"
    size: int = 40
    deaths: int = 0
    public_ip: str | None = None
    name_of_dns: str | None = None
    #: None as long as nobody has switched it.
    ssl: bool | None = None
    primary: "Expected | None" = None
    moments: dict[int, int] = field(default_factory=dict)

    @property
    def is_replica(self) -> bool:
        return self.primary is not None

    def connect(self, address: str) -> Session:
        return self.dialect.connect(address, self.port, password=PASSWORD)


@dataclass(frozen=True)
class Backup:
    """`rows` and `size` are what its instance had then; it may be gone. `leads_on`: to later moments too."""

    id: str
    of: Expected
    rows: int
    size: int
    leads_on: bool = True

    @property
    def path(self) -> str:
        return f"{self.of.id}/{self.id}"


@dataclass
class Fleet:
    service: ServiceUnderTest
    instances: list[Expected] = field(default_factory=list)
    backups: list[Backup] = field(default_factory=list)
    deleted_backups: set[Backup] = field(default_factory=set)
    created: int = 0
    log: list[str] = field(default_factory=list)
    #: Since when it serves again after everything died, and how long it then took at most until all was well.
    back_since: float | None = None
    longest: float = 0.0

    def __post_init__(self) -> None:
        self.host = Host(self.service)

    @property
    def operations(self) -> int:
        return len(self.log)

    def new_name(self) -> str:
        self.created += 1
        return f"chaos-{self.created}"

    def call(self, method: str, path: str, body: Any = None, *, status: int) -> dict[str, Any]:
        """Ask, and again where a standby has just then begun to be brought back, which may be at any time."""
        answers = []

        def ask() -> bool:
            answers.append(self.service.call(method, path, body, headers=fresh()))
            return answers[-1].status_code != 409 or "Rebuild" not in answers[-1].text

        wait_for(ask, TASK_SECONDS, "the end of what is brought back by itself")
        answer = answers[-1]
        assert answer.status_code == status, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return dict(answer.json())

    def run(
        self, what: str, method: str, path: str, body: Any, *, status: int, kill: Kill | None
    ) -> dict[str, Any]:
        """Ask for an operation, let it happen what is to happen, and wait for its end, which must be good."""
        self.note(what, kill)
        answer = self.call(method, path, body, status=status)
        with self.disturbed(kill):
            (asked,) = answer.get("restore_result", [answer])
            job_id = asked.get("job_id") or asked["workflowId"]
            job = self.service.completed(job_id, TASK_SECONDS)
        assert job["process"] == "" and "fail_reason" not in job
        return answer

    def note(self, what: str, kill: Kill | None = None) -> None:
        """It is counted, and told when the run has ended."""
        self.log.append(what if kill is None else f"{what}, {kill}")

    @contextlib.contextmanager
    def disturbed(self, kill: Kill | None) -> Iterator[None]:
        """For as long as something takes, which goes on after everything has died."""
        if kill is None:
            yield
        elif kill.everything:
            time.sleep(kill.after)
            self.lose_everything()
            yield
        else:
            killer = threading.Timer(kill.after, self._kill_worker)
            killer.start()
            try:
                yield
            finally:
                killer.join()

    def lose_everything(self) -> None:
        """All processes die at once, and what a reboot takes away is gone: mounts, and rules of forwarding."""
        data_dir = self.service.data_dir
        self.service.kill_everything()
        detach(data_dir / "images", data_dir / "nodes")
        stop_forwarding(data_dir)
        self._start_again()
        self.back_since = time.monotonic()

    def _start_again(self) -> None:
        """As whoever watches over it would: on a machine that is very busy its own patience may end."""
        for _ in range(3):
            try:
                self.service.start()
            except AssertionError:
                continue
            return
        self.service.start()

    def _kill_worker(self) -> None:
        """One that is just being started again after the last time is spared."""
        with contextlib.suppress(ValueError, psutil.Error):
            self.service.child("worker").kill()

    # --- what must hold after each operation ---

    def check(self) -> None:
        """Every status is true, the data is there, each endpoint leads to it, and nothing is left over."""
        with psycopg.connect(self.service.store_dsn, row_factory=dict_row, autocommit=True) as store:
            listed = self._wait_until_settled(store)
            for one in self.instances:
                self._check_data(one, listed[one.id])
            if self.back_since is not None:
                # A standby comes back after its primary: all may look settled before the monitor has looked at it.
                self._wait_until_whole(store)
                self._note_back()
            differences = self._differences(self._wait_until_settled(store), store, lenient=True)
        assert not differences, "\n".join(differences)

    def check_in_the_end(self) -> None:
        """What openrds tidies up within seconds is gone too."""
        with psycopg.connect(self.service.store_dsn, row_factory=dict_row, autocommit=True) as store:
            listed = self._wait_until_settled(store)
            wait_for(
                lambda: not self._differences(listed, store, lenient=False),
                SETTLE_SECONDS,
                "the files of deleted backups and the routes to what is stopped to go",
            )

    def _differences(self, listed: Listed, store: StoreConnection, *, lenient: bool) -> list[str]:
        """What the host has and must not have, and what is missing.

        If lenient, it may still have the files of deleted backups, and pass on to servers that are stopped.
        """
        found = self.host.holdings(store)
        wanted = self._expected_holdings(listed, store)
        if lenient:
            deleted = {backup.id for backup in self.deleted_backups}
            late = {path for path in found.backups if any(id_ in path for id_ in deleted)}
            stopped = {one.id for one in self.instances if one.status == "SHUTDOWN"}
            idle = found.routes & frozenset(self._routes(listed, store, stopped))
            wanted = replace(wanted, backups=wanted.backups | late, routes=wanted.routes | idle)
        return found.differences(wanted)

    def _wait_until_whole(self, store: StoreConnection) -> None:
        differences: list[str] = []

        def look() -> bool:
            differences[:] = self._differences(self._wait_until_settled(store), store, lenient=True)
            return not differences

        try:
            wait_for(look, SETTLE_SECONDS, "all that is to be there")
        except AssertionError as error:
            raise AssertionError(f"{error}: {'; '.join(differences)}") from None

    def _note_back(self) -> None:
        assert self.back_since is not None
        took, self.back_since = time.monotonic() - self.back_since, None
        self.longest = max(self.longest, took)
        assert took < BACK_SECONDS, f"it took {took:.0f} s until all was well again"

    def _wait_until_settled(self, store: StoreConnection) -> Listed:
        """Nothing is being mended any more, as the standby that died with a primary is."""
        listed: Listed = {}
        unsettled: list[str] = []

        def look() -> bool:
            listed.clear()
            listed.update((found["id"], found) for found in self.service.get("instances")["instances"])
            unsettled[:] = self._unsettled(listed, store)
            return not unsettled

        try:
            wait_for(look, SETTLE_SECONDS, "all instances to be as they must be")
        except AssertionError as error:
            raise AssertionError(f"{error}: {'; '.join(unsettled)}") from None
        return listed

    def _unsettled(self, listed: Listed, store: StoreConnection) -> list[str]:
        if listed.keys() != {one.id for one in self.instances}:
            return [f"there are {sorted(found['name'] for found in listed.values())}"]
        wrong = [
            f"{one.name} is {listed[one.id]}"
            for one in self.instances
            if not _is_as_expected(one, listed[one.id])
        ]
        return wrong or [f"locked: {row}" for row in store.execute("select * from instance_lock")]

    def _check_data(self, one: Expected, listed: dict[str, Any]) -> None:
        addresses = [*listed["private_ips"], *listed["public_ips"]]
        if one.status == "SHUTDOWN":
            for address in addresses:
                answer = _answer(one, address)
                assert "refused" in answer, (
                    f"{one.name} is stopped, and {address}:{one.port} says {answer}; there are {_sockets_at(one.port)}"
                )
            return
        if self.back_since is not None:
            # Its status is what it was until the monitor has looked at its server, and that is being started again.
            wait_for(lambda: all(self._answers(one, each) for each in addresses), SETTLE_SECONDS, one.name)
        for address in addresses:
            if one.primary is not None:
                wanted = one.primary.rows
                wait_for(lambda a=address, w=wanted: self._count(one, a) == w, SETTLE_SECONDS, "a replica")
            else:
                self._write(one, address)
        if not one.is_replica:
            # The next row comes later than the millisecond that has begun, or the second where that is the measure.
            one.moments[now() + 1] = one.rows
            time.sleep(one.dialect.resolution)

    def _write(self, one: Expected, address: str) -> None:
        """All rows that were acknowledged are there; one more is written."""
        with one.connect(address) as connection:
            connection.execute("create table if not exists ledger (number integer primary key)")
            numbers = [row[0] for row in connection.execute("select number from ledger order by number")]
            assert numbers == list(range(one.rows)), f"{one.name} has {numbers[-3:]}, and not {one.rows} rows"
            connection.execute("insert into ledger values (%s)", [one.rows])
            one.rows += 1

    def _answers(self, one: Expected, address: str) -> bool:
        try:
            with one.connect(address):
                return True
        except one.dialect.Error:
            return False

    def _count(self, one: Expected, address: str) -> int:
        try:
            with one.connect(address) as connection:
                ((count,),) = connection.execute("select count(*) from ledger")
                return int(count)
        except one.dialect.Error:
            return -1

    def _expected_holdings(self, listed: Listed, store: StoreConnection) -> Holdings:
        """Which addresses its nodes have is openrds' own affair, so it is asked."""
        rows = store.execute(_NODES).fetchall()
        nodes = frozenset(node["id"] for found in listed.values() for node in found["nodes"])
        assert {row["id"] for row in rows} == nodes
        ids = store.execute(b"select id from instance").fetchall()
        assert {row["id"] for row in ids} == listed.keys()
        up = {one.id for one in self.instances if one.status != "SHUTDOWN"}
        endpoints = {address for found in listed.values() for address in found["private_ips"]}
        return Holdings(
            folders=nodes,
            sockets=nodes,
            processes=frozenset(row["id"] for row in rows if row["instance_id"] in up),
            mounts=nodes if self.host.has_images else frozenset(),
            images=nodes if self.host.has_images else frozenset(),
            limited=nodes if self.host.has_limits else frozenset(),
            routes=frozenset(self._routes(listed, store, up)),
            addresses=frozenset(endpoints | {row["listens_on"] for row in rows if row["listens_on"]}),
            public_addresses=frozenset(one.public_ip for one in self.instances if one.public_ip),
            backups=frozenset(backup.path for backup in self.backups),
            scratch=frozenset(),
        )

    def _routes(self, listed: Listed, store: StoreConnection, ids: set[str]) -> Iterator[Route]:
        """To the nodes that serve these instances, from wherever else their clients come."""
        serving = {
            node["instance_id"]: node["listens_on"]
            for node in store.execute(_NODES)
            if node["role"] != "slave"
        }
        for one in self.instances:
            if one.id in ids:
                (endpoint,) = listed[one.id]["private_ips"]
                for address in {endpoint, one.public_ip} - {None, serving[one.id]}:
                    yield Route(address, one.port, serving[one.id], one.port)


def _answer(one: Expected, address: str) -> str:
    """What is said to whoever connects."""
    try:
        with one.connect(address) as connection:
            return str(connection.execute(one.dialect.server_started))
    except one.dialect.Refused as error:
        return str(error)


def _sockets_at(port: int) -> list[str]:
    """Of whom, so that it can be found out who answered."""
    found = []
    for each in psutil.net_connections("tcp"):
        if each.laddr.port == port:
            with contextlib.suppress(psutil.Error):
                whose = " ".join(psutil.Process(each.pid).cmdline())
                found.append(f"{each.laddr.ip} {each.status} {each.pid} {whose}")
    return found


def _is_as_expected(one: Expected, listed: dict[str, Any]) -> bool:
    seen = (
        listed["status"],
        listed["type"],
        listed["port"],
        listed["flavor_ref"],
        listed["volume"]["size"],
        listed["public_ips"],
        listed["private_dns_names"],
        len(listed["nodes"]),
    )
    public_ips = [one.public_ip] if one.public_ip else []
    names = [one.name_of_dns] if one.name_of_dns else []
    if one.ssl not in {None, listed["enable_ssl"]}:
        return False
    return seen == (one.status, one.type, one.port, one.flavor, one.size, public_ips, names, one.nodes)
