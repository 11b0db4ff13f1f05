"""MySQL and MariaDB by hand, as their manuals say, with the settings that they have unless told otherwise."""

import datetime as dt
import shutil
import signal
import subprocess
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pymysql

from bench.hands.folder import folder_of
from bench.hands.hand import ENVIRONMENT, Accident, BarePair, Bounds, Hand
from openrds.domain.engine import EngineName
from openrds.engines.binlog.installed import base_of, program, tree_settings
from openrds.engines.protocol import Installation
from openrds.hosts import processes
from openrds.hosts.processes import wait_until
from openrds.hosts.user import ServerUser
from support.dialects import DIALECTS, Session
from support.service import PASSWORD

_ADDRESSES = ("127.126.2.1", "127.126.2.2")
_BINLOG_OPTIONS = ("--log-bin=binlog", "--sync-binlog=1")
_ACCOUNTS = """SET sql_log_bin=0;
CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY '';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
"""
_BATCH = 500


class Tree:
    """The programs of a version, and what is said to them: `gtids` turns on what followers go by, `turn` makes a
    server follow another, `status` says how, in the columns `running`. `as_made` is what a copy of the service's data
    must be started with.
    """

    daemon: ClassVar[str]
    gtids: ClassVar[tuple[str, ...]] = ()
    unused: ClassVar[tuple[str, ...]] = ()
    as_made: ClassVar[tuple[str, ...]] = ()
    turn: ClassVar[str]
    start: ClassVar[str]
    status: ClassVar[str]
    running: ClassVar[tuple[str, str]]

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.places = [f"--{name}={value}" for name, value in tree_settings(installation).items()]

    @abstractmethod
    def initialise(self, folder: Path) -> Sequence[str | Path]: ...

    @abstractmethod
    def replayed(self, position: str) -> Sequence[str]:
        """The program that prints a log behind a position."""

    def make(self, folder: Path, user: ServerUser) -> None:
        subprocess.run(
            self.initialise(folder),
            check=True,
            capture_output=True,
            cwd=folder.parent,
            env=ENVIRONMENT,
            **user.identity(),
        )

    def start_server(self, data: Path, record: Path, user: ServerUser, *options: str) -> processes.Process:
        root = data.parent
        user.write(root / "accounts.sql", _ACCOUNTS)
        socket = root / f"{data.name}.sock"
        return processes.spawn(
            [
                self.installation.bin_dir / self.daemon,
                "--no-defaults",
                *self.places,
                f"--datadir={data}",
                f"--socket={socket}",
                f"--pid-file={data}/pid",
                f"--log-error={root}/{data.name}.log",
                "--secure-file-priv=",
                *self.unused,
                *options,
            ],
            record,
            root / "log",
            user=user,
            env=ENVIRONMENT,
        )


class MySQLTree(Tree):
    daemon = "mysqld"
    gtids = ("--gtid-mode=ON", "--enforce-gtid-consistency=ON")
    unused = ("--mysqlx=OFF",)
    as_made = ("--lower-case-table-names=1",)
    turn = (
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{address}', SOURCE_USER = 'root', SOURCE_AUTO_POSITION = 1, "
        "GET_SOURCE_PUBLIC_KEY = 1"
    )
    start = "START REPLICA"
    status = "SHOW REPLICA STATUS"
    running = ("Replica_IO_Running", "Replica_SQL_Running")

    def initialise(self, folder: Path) -> Sequence[str | Path]:
        daemon = self.installation.bin_dir / self.daemon
        return [
            daemon,
            "--no-defaults",
            *self.places,
            "--secure-file-priv=",
            "--initialize-insecure",
            f"--datadir={folder}",
        ]

    def replayed(self, position: str) -> Sequence[str]:
        return str(program(self.installation, "mysqlbinlog")), "--skip-gtids", f"--exclude-gtids={position}"


class MariaDBTree(Tree):
    daemon = "mariadbd"
    turn = "CHANGE MASTER TO MASTER_HOST = '{address}', MASTER_USER = 'root', MASTER_USE_GTID = slave_pos"
    start = "START SLAVE"
    status = "SHOW SLAVE STATUS"
    running = ("Slave_IO_Running", "Slave_SQL_Running")

    def initialise(self, folder: Path) -> Sequence[str | Path]:
        return [
            program(self.installation, "mariadb-install-db"),
            "--no-defaults",
            f"--basedir={base_of(self.installation)}",
            f"--datadir={folder}",
            "--auth-root-authentication-method=normal",
        ]

    def replayed(self, position: str) -> Sequence[str]:
        return str(program(self.installation, "mariadb-binlog")), f"--start-position={position}"


class BinlogPair(BarePair):
    """The standby is a copy of a directory that no server has run in, and fetches all of the log."""

    tree_class: ClassVar[type[Tree]]

    def __init__(self, installation: Installation, root: Path, user: ServerUser) -> None:
        super().__init__(installation, root, user)
        self._tree = self.tree_class(installation)

    def prepare(self) -> None:
        for name in ("0", "template"):
            self._tree.make(self.root / name, self.user)

    def build(self) -> None:
        self._start(0)
        with self._session(0):
            pass
        copy = ["cp", "-a", self.root / "template", self.root / "1"]
        subprocess.run(copy, check=True)
        (self.root / "1" / "auto.cnf").unlink(missing_ok=True)
        self._start(1)
        with self._session(1) as standby, standby.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(self._tree.turn.format(address=_ADDRESSES[0]))
            cursor.execute(self._tree.start)
            self._await_streaming(cursor)

    def _await_streaming(self, cursor: Any) -> None:
        def streams() -> bool:
            cursor.execute(self._tree.status)
            (row,) = cursor.fetchall()
            return all(row[column] == "Yes" for column in self._tree.running)

        assert wait_until(streams, 60), "the standby does not stream"

    def _start(self, number: int) -> None:
        self._tree.start_server(
            self.root / str(number),
            self.record(number),
            self.user,
            f"--bind-address={_ADDRESSES[number]}",
            f"--server-id={number + 1}",
            f"--init-file={self.root}/accounts.sql",
            *_BINLOG_OPTIONS,
            *self._tree.gtids,
        )

    @contextmanager
    def _session(self, number: int) -> Iterator[Any]:
        with _patient(host=_ADDRESSES[number]) as connection:
            yield connection


class MySQLPair(BinlogPair):
    tree_class = MySQLTree


class MariaDBPair(BinlogPair):
    tree_class = MariaDBTree


class BinlogHand(Hand):
    rows = 500_000
    make_orders = "create table orders (id int primary key auto_increment, customer int, note varchar(100))"
    tree_class: ClassVar[type[Tree]]

    def serve(self, installation: Installation, root: Path, address: str) -> processes.Process:
        """Its own program that makes data, start, first query over TCP."""
        user, tree = ServerUser.owning(root), self.tree_class(installation)
        tree.make(root / "data", user)
        record = root.parent / f"{root.name}.process"
        options = (f"--bind-address={address}", f"--init-file={root}/accounts.sql", *_BINLOG_OPTIONS)
        server = tree.start_server(root / "data", record, user, "--server-id=1", *options, *tree.gtids)
        with _patient(host=address) as connection, connection.cursor() as cursor:
            cursor.execute("select 1")
        return server

    def stop(self, server: processes.Process) -> None:
        server.stop((signal.SIGTERM,))

    def insert_half(self, session: Session) -> None:
        numbers = f"with recursive n as (select 1 as x union all select x + 1 from n where x < {_BATCH})"
        session.execute(
            f"insert into orders (customer, note) {numbers} select a.x, concat('note of the order ', a.x, '-', b.x)"
            f" from n a cross join n b where b.x <= {self.rows // 2 // _BATCH}"
        )

    def moment(self, session: Session) -> int:
        """A whole second: mysqlbinlog knows no others."""
        time.sleep(2)
        moment = int(time.time())
        time.sleep(2)
        return moment * 1000

    def restore(self, accident: Accident) -> None:
        """
        The log replayed in a server beside by mysqlbinlog, without regard for a power cut; the rows by transportable
        tablespace, which takes a tenth of the time of mysqldump.
        """
        tree, user = self.tree_class(accident.installation), ServerUser.owning(accident.node / "data")
        with folder_of(user) as root:
            copy = ["cp", "-a", accident.backup / "data" / "base", root / "data"]
            subprocess.run(copy, check=True)
            (root / "data" / "auto.cnf").unlink(missing_ok=True)
            server = tree.start_server(
                root / "data",
                root.parent / "process",
                user,
                *tree.as_made,
                "--skip-networking",
                "--skip-grant-tables",
                "--skip-log-bin",
                "--server-id=4711",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=OFF",
            )
            socket = root / "data.sock"
            with _patient(unix_socket=str(socket), database=self.dialect.database) as beside:
                self._replay(tree, accident, socket)
                self._transport(accident, beside, root / "data")
            server.stop((signal.SIGKILL,))

    def _replay(self, tree: Tree, accident: Accident, socket: Path) -> None:
        position = (accident.backup / "position").read_text()
        until = dt.datetime.fromtimestamp(accident.moment / 1000, tz=dt.UTC)
        words = [*tree.replayed(position), f"--stop-datetime={until:%Y-%m-%d %H:%M:%S}", *_logs(accident)]
        client = [program(tree.installation, "mysql"), "--no-defaults", f"--socket={socket}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, env=ENVIRONMENT) as printer:
            subprocess.run([*client, "--binary-mode"], stdin=printer.stdout, check=True, env=ENVIRONMENT)
        assert printer.returncode == 0

    def _transport(self, accident: Accident, beside: Any, data: Path) -> None:
        database = self.dialect.database
        where = accident.instance["private_ips"][0]
        target = accident.node / "data" / database
        owner = ServerUser.owning(target)
        with (
            self.dialect.connect(where, accident.instance["port"], password=PASSWORD) as session,
            beside.cursor() as cursor,
        ):
            session.execute("create table orders_before like orders")
            session.execute("alter table orders_before discard tablespace")
            cursor.execute("flush tables orders for export")
            for path in (data / database).glob("orders.[ci][fb][gd]"):
                copy = target / f"orders_before{path.suffix}"
                shutil.copyfile(path, copy)
                shutil.chown(copy, owner.uid, owner.gid)
            cursor.execute("unlock tables")
            session.execute("alter table orders_before import tablespace")


class MySQLHand(BinlogHand):
    dialect = DIALECTS[EngineName.MYSQL]
    bounds = Bounds(
        create={1: 0.5}, pair=1.3, switchover=None, outage=0.4, failover=3, restore=1.2, server_memory=350
    )
    pair = MySQLPair
    tree_class = MySQLTree


class MariaDBHand(BinlogHand):
    dialect = DIALECTS[EngineName.MARIADB]
    bounds = Bounds(
        create={1: 0.5}, pair=1.3, switchover=None, outage=0.4, failover=2, restore=1.2, server_memory=100
    )
    pair = MariaDBPair
    tree_class = MariaDBTree


def _logs(accident: Accident) -> list[Path]:
    """As they were before the first restore: those of the service may have the server drop the oldest."""
    kept = accident.service.data_dir.parent / "logs"
    if not kept.exists():
        kept.mkdir()
        for log in (accident.node / "data").glob("binlog.[0-9]*"):
            shutil.copy(log, kept)
    return sorted(kept.iterdir())


@contextmanager
def _patient(**where: Any) -> Iterator[Any]:
    """A session of `root`, once the server lets it in."""
    found: list[Any] = []

    def is_let_in() -> bool:
        with suppress(pymysql.MySQLError, OSError):
            found.append(pymysql.connect(user="root", autocommit=True, ssl_disabled=True, **where))
        return bool(found)

    assert wait_until(is_let_in, 120, every=0.002), f"nobody answers at {where}"
    with found[0]:
        yield found[0]
