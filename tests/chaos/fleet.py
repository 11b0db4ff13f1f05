"""A running service and a simple model of what it must have: what each instance is, and how many rows it holds."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from openrds.hosts import processes
from support.service import PASSWORD, ServiceUnderTest, fresh, wait_for

FLAVOR = "rds.pg.n1.medium.2"
#: Seconds in which a task must have ended though its worker is killed, on a machine that is busy.
TASK_SECONDS = 120.0
#: Seconds in which what is not a task must have come about: a replica that catches up, a server that is replaced.
SETTLE_SECONDS = 60.0


@dataclass
class Expected:
    """One instance as it must be. `rows` is how many rows its table has, None for a replica: as many as its primary."""

    id: str
    name: str
    type: str
    nodes: int
    rows: int = 0
    status: str = "ACTIVE"
    flavor: str = FLAVOR
    size: int = 40
    port: int = 5432
    public_ip: str | None = None
    primary: "Expected | None" = None

    @property
    def is_replica(self) -> bool:
        return self.primary is not None


@dataclass
class Fleet:
    service: ServiceUnderTest
    instances: list[Expected] = field(default_factory=list)
    created: int = 0
    operations: int = 0
    log: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, *, status: int) -> dict[str, Any]:
        answer = self.service.call(method, path, body, headers=fresh())
        assert answer.status_code == status, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return dict(answer.json())

    def run(
        self, what: str, method: str, path: str, body: Any, *, status: int, kill: float | None
    ) -> dict[str, Any]:
        """Ask for an operation, kill the worker so many seconds later, and wait for its end, which must be good."""
        self.operations += 1
        self.log.append(what if kill is None else f"{what}, the worker is killed after {kill:.2f} s")
        answer = self.call(method, path, body, status=status)
        with self.killed_worker(kill):
            job_id = answer.get("job_id") or answer["workflowId"]
            job = self.service.completed(job_id, TASK_SECONDS)
        assert job["process"] == "" and "fail_reason" not in job
        return answer

    @contextlib.contextmanager
    def killed_worker(self, after: float | None) -> Iterator[None]:
        if after is None:
            yield
            return
        killer = threading.Timer(after, self._kill_worker)
        killer.start()
        try:
            yield
        finally:
            killer.join()

    def _kill_worker(self) -> None:
        """One that is just being started again after the last time is spared."""
        with contextlib.suppress(ValueError, psutil.Error):
            self.service.child("worker_process").kill()

    # --- what must hold after each operation ---

    def check(self) -> None:
        """Every status is true, the data is there, each endpoint leads to it, and nothing is left over."""
        wait_for(self._all_settled, SETTLE_SECONDS, "all instances to be as they must be")
        for one in self.instances:
            self._check_data(one)
        self._check_host()

    def _all_settled(self) -> bool:
        """Nothing is being mended any more, as the standby that died with a primary is."""
        listed = {found["id"]: found for found in self.service.get("instances")["instances"]}
        if listed.keys() != {one.id for one in self.instances}:
            return False
        return all(_is_as_expected(one, listed[one.id]) for one in self.instances) and self._locks() == []

    def _check_data(self, one: Expected) -> None:
        listed = self.service.instance(one.id)
        (private,) = listed["private_ips"]
        addresses = [private, *listed["public_ips"]]
        if one.status == "SHUTDOWN":
            for address in addresses:
                assert not _answers(address, one.port), f"{one.name} is stopped, and {address} answers"
            return
        for address in addresses:
            if one.is_replica:
                wait_for(
                    lambda a=address: self._count(one, a) == one.primary.rows, SETTLE_SECONDS, "a replica"
                )
            else:
                self._write(one, address)

    def _write(self, one: Expected, address: str) -> None:
        """All rows that were acknowledged are there; one more is written."""
        with connect(address, one.port) as connection:
            connection.execute("create table if not exists ledger (number integer primary key)")
            numbers = [row[0] for row in connection.execute("select number from ledger order by number")]
            assert numbers == list(range(one.rows)), f"{one.name} has {numbers[-3:]}, and not {one.rows} rows"
            connection.execute("insert into ledger values (%s)", [one.rows])
            one.rows += 1

    def _count(self, one: Expected, address: str) -> int:
        try:
            with connect(address, one.port) as connection:
                return int(connection.execute("select count(*) from ledger").fetchone()[0])
        except psycopg.Error:
            return -1

    def _check_host(self) -> None:
        """Processes, folders and addresses are those of the instances, and no others."""
        nodes = {node["id"] for one in self.instances for node in self.service.instance(one.id)["nodes"]}
        root = self.service.data_dir / "nodes"
        assert {path.name for path in root.iterdir()} == nodes if root.exists() else not nodes
        stopped = {
            node["id"]
            for one in self.instances
            if one.status == "SHUTDOWN"
            for node in self.service.instance(one.id)["nodes"]
        }
        running = {record.parent.name for record in processes.records_below(root) if processes.find(record)}
        assert running == nodes - stopped
        ids = {one.id for one in self.instances}
        assert {row["instance_id"] for row in self._rows("select instance_id from address")} <= ids
        assert {row["id"] for row in self._rows("select id from instance")} == ids

    def _locks(self) -> list[dict[str, Any]]:
        return self._rows("select * from instance_lock")

    def _rows(self, statement: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.service.store_dsn, row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()


def connect(address: str, port: int) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=address,
        port=port,
        user="root",
        password=PASSWORD,
        dbname="postgres",
        connect_timeout=10,
        autocommit=True,
    )


def _answers(address: str, port: int) -> bool:
    try:
        connect(address, port).close()
    except psycopg.OperationalError as error:
        return "refused" not in str(error)
    return True


def _is_as_expected(one: Expected, listed: dict[str, Any]) -> bool:
    seen = (
        listed["status"],
        listed["type"],
        listed["port"],
        listed["flavor_ref"],
        listed["volume"]["size"],
        listed["public_ips"],
        len(listed["nodes"]),
    )
    public_ips = [one.public_ip] if one.public_ip else []
    return seen == (one.status, one.type, one.port, one.flavor, one.size, public_ips, one.nodes)
