"""PostgreSQL by hand."""

import datetime as dt
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from bench.hands.folder import folder_of
from bench.hands.hand import ENVIRONMENT, Accident, BarePair, Bounds, Hand
from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.engines.protocol import Installation
from openrds.hosts import processes
from openrds.hosts.processes import wait_until
from openrds.hosts.user import ServerUser
from support.dialects import POSTGRESQL, Session
from support.service import wait_for

_ADDRESSES = ("127.126.1.1", "127.126.1.2")
_SETTINGS = "wal_retrieve_retry_interval = '100ms'\nmax_connections = 200\nshared_buffers = '512MB'\n"


class PostgreSQLPair(BarePair):
    """The standby by pg_basebackup. The primary is switched by a fast stop, pg_promote and a look each millisecond."""

    primary = 0

    def prepare(self) -> None:
        self._run("initdb", "-D", self.root / "0", "--username=postgres", "--data-checksums", "--auth=trust")
        with (self.root / "0" / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS)

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
        self._follow(old, new)
        return outage

    def _follow(self, old: int, new: int) -> None:
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

    def _start(self, number: int) -> None:
        data = self.root / str(number)
        processes.spawn(
            [self.installation.bin_dir / "postgres", "-D", data, "-h", _ADDRESSES[number], "-k", ""],
            self.record(number),
            self.root / "log",
            user=self.user,
            env=ENVIRONMENT,
            stop_signals=(signal.SIGINT,),
        )

    def _process(self, number: int) -> processes.Process:
        process = processes.find(self.record(number))
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
            env=ENVIRONMENT,
            **self.user.identity(),
        )


class PostgreSQLHand(Hand):
    dialect = POSTGRESQL
    bounds = Bounds(create={1: 0.2, 0: 1.3}, pair=1.5, switchover=3, outage=1, failover=3, restore=1.2)
    rows = 1_000_000
    make_orders = "create table orders (id serial primary key, customer int, note text)"
    pair = PostgreSQLPair
    options: ClassVar[dict[str, str]] = {}

    def serve(self, installation: Installation, root: Path, address: str) -> processes.Process:
        """initdb with the same options, start, first query over TCP."""
        user = ServerUser.owning(root)
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
            env=ENVIRONMENT,
        )
        assert initdb.wait(600)
        server = processes.spawn(
            [installation.bin_dir / "postgres", "-D", root / "data", "-h", address, "-k", root],
            root.parent / f"{root.name}.process",
            root / "log",
            user=user,
            env=ENVIRONMENT,
        )
        self.first_query(address, "postgres", "")
        return server

    def stop(self, server: processes.Process) -> None:
        server.stop((signal.SIGINT,))

    def insert_half(self, session: Session) -> None:
        session.execute(
            "insert into orders (customer, note) select i % 1000, 'note of the order ' || i "
            f"from generate_series(1, {self.rows // 2}) as i"
        )

    def moment(self, session: Session) -> int:
        time.sleep(0.01)
        moment = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        time.sleep(0.01)
        return moment

    def restore(self, accident: Accident) -> None:
        """Replayed in a server beside, without fsync; pg_dump into pg_restore."""
        bin_dir = accident.installation.bin_dir
        user = ServerUser.owning(accident.archive)
        with folder_of(user) as root:
            _archive(accident)
            subprocess.run(["cp", "-a", accident.backup / "data", root / "data"], check=True)
            user.write(root / "data" / "recovery.signal", "")
            server = processes.spawn(
                [bin_dir / "postgres", "-D", root / "data", *_options(accident, root)],
                root.parent / "process",
                root / "log",
                user=user,
                env=ENVIRONMENT,
            )
            _rename(root)
            _load(bin_dir, root, accident.sockets)
            server.stop((signal.SIGQUIT,))


def _archive(accident: Accident) -> None:
    with _superuser(accident.sockets) as connection:
        row = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        wait_for((accident.archive / row[0]).exists, 60, "the segment in the archive")


def _options(accident: Accident, root: Path) -> list[str]:
    moment = dt.datetime.fromtimestamp(accident.moment / 1000, tz=dt.UTC)
    settings = {
        "listen_addresses": "127.126.0.2",
        "unix_socket_directories": str(root),
        "logging_collector": "off",
        "archive_mode": "off",
        "fsync": "off",
        "restore_command": f"cp {accident.archive}/%f %p",
        "recovery_target_time": moment.isoformat(sep=" "),
        "recovery_target_action": "promote",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _rename(sockets: Path) -> None:
    def is_promoted() -> bool:
        try:
            with _superuser(sockets) as connection:
                return connection.execute("select pg_is_in_recovery()").fetchone() == (False,)
        except psycopg.OperationalError:
            return False

    wait_for(is_promoted, 300, "the end of the recovery")
    with _superuser(sockets) as connection:
        connection.execute("alter table orders rename to orders_before")
        connection.execute("alter index orders_pkey rename to orders_before_pkey")
        connection.execute("alter sequence orders_id_seq rename to orders_before_id_seq")


def _load(bin_dir: Path, source: Path, target: Path) -> None:
    names = ("-U", SUPERUSER)
    dump = [bin_dir / "pg_dump", "-h", source, *names, "-Fc", "-Z0", "-t", "orders_before", "postgres"]
    restore = [bin_dir / "pg_restore", "-h", target, *names, "--single-transaction", "-d", "postgres"]
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as reader:
        subprocess.run(restore, stdin=reader.stdout, check=True)
    assert reader.returncode == 0


def _superuser(sockets: Path) -> psycopg.Connection:
    return psycopg.connect(host=str(sockets), user=SUPERUSER, dbname="postgres", autocommit=True)
