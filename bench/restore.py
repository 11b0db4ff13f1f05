"""A table of a million rows as it was before an accident, under a new name, beside the same done by hand.

By hand: close the log segment and wait until it is archived, copy the base backup, replay up to the moment in a server
beside, rename the table with its index and sequence, pg_dump into pg_restore, stop and remove. Both restore the same
table of the same instance from the same backup and log, in turn; a ratio is the median of the ratios of neighbours.
"""

import datetime as dt
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.figures import Figure, spread
from bench.hand import folder_of
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.hosts import processes
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service, wait_for

ROUNDS = 5
ROWS = 1_000_000
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Accident:
    """An instance whose table `orders` has lost its rows, and the moment before."""

    service: ServiceUnderTest
    instance: dict[str, Any]
    backup: Path
    moment: int

    @property
    def archive(self) -> Path:
        return self.backup.parent / "wal"

    @property
    def sockets(self) -> Path:
        return self.service.data_dir / "run" / self.instance["nodes"][0]["id"]


def measure() -> Iterator[Figure]:
    by_hand, by_service = [], []
    with running_service(spare_data_dirs="0") as service:
        accident = _prepare(service)
        for round_ in range(ROUNDS + 1):
            times = [_timed(accident, run) for run in (_by_hand, _by_service)]
            if round_ > 0:  # the first round warms the page cache
                by_hand.append(times[0])
                by_service.append(times[1])
    ratio = statistics.median(ours / theirs for ours, theirs in zip(by_service, by_hand, strict=True))
    detail = f"{spread(by_service)}; by hand {spread(by_hand)}"
    yield Figure("restore a table of 1 M rows / by hand", ratio, 1.2, detail=detail)


def _prepare(service: ServiceUnderTest) -> Accident:
    """Half of the rows are in the backup, the others in the log."""
    instance = service.create(name="accident", flavor_ref="rds.pg.n1.large.2")
    with _connect(instance) as connection:
        connection.execute("create table orders (id serial primary key, customer int, note text)")
        _insert(connection, ROWS // 2)
        backup = _back_up(service, instance["id"])
        _insert(connection, ROWS // 2)
        time.sleep(0.01)
        moment = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        time.sleep(0.01)
        connection.execute("delete from orders where id > 10")
    return Accident(service, instance, service.data_dir / "backups" / instance["id"] / backup, moment)


def _insert(connection: psycopg.Connection, count: int) -> None:
    connection.execute(
        "insert into orders (customer, note) select i % 1000, 'note of the order ' || i "
        f"from generate_series(1, {count}) as i"
    )


def _back_up(service: ServiceUnderTest, instance_id: str) -> str:
    body = {"instance_id": instance_id, "name": "half-of-it"}
    backup_id = service.call("POST", "backups", body, headers=fresh()).json()["backup"]["id"]
    query = f"backups?instance_id={instance_id}&backup_id={backup_id}"
    wait_for(lambda: service.get(query)["backups"][0]["status"] == "COMPLETED", 120, "the backup")
    return str(backup_id)


def _timed(accident: Accident, run: Callable[[Accident], None]) -> float:
    begun = time.perf_counter()
    run(accident)
    took = time.perf_counter() - begun
    with _connect(accident.instance) as connection:
        assert connection.execute("select count(*) from orders_before").fetchone() == (ROWS,)
        connection.execute("drop table orders_before")
    return took


def _by_service(accident: Accident) -> None:
    service, instance_id = accident.service, accident.instance["id"]
    tables = [{"old_name": "orders", "new_name": "orders_before"}]
    databases = [{"database": "postgres", "schemas": [{"schema": "public", "tables": tables}]}]
    wanted = {"instance_id": instance_id, "restore_time": accident.moment, "databases": databases}
    path = "instances/batch/restore/tables"
    answer = service.call("POST", path, {"instances": [wanted]}, headers=fresh()).json()
    service.completed(answer["restore_result"][0]["job_id"], 300)


def _by_hand(accident: Accident) -> None:
    user = ServerUser.owning(accident.archive)
    users = ServerUsers.choose(accident.service.data_dir)
    bin_dir = PostgreSQL(accident.service.data_dir, users).installations()[-1].bin_dir
    with folder_of(user) as root:
        _archive(accident)
        subprocess.run(["cp", "-a", accident.backup / "data", root / "data"], check=True)
        user.write(root / "data" / "recovery.signal", "")
        server = processes.spawn(
            [bin_dir / "postgres", "-D", root / "data", *_options(accident, root)],
            root.parent / "process",
            root / "log",
            user=user,
            env=_ENVIRONMENT,
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
    names = ("-U", "rdsAdmin")
    dump = [bin_dir / "pg_dump", "-h", source, *names, "-Fc", "-Z0", "-t", "orders_before", "postgres"]
    restore = [bin_dir / "pg_restore", "-h", target, *names, "--single-transaction", "-d", "postgres"]
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as reader:
        subprocess.run(restore, stdin=reader.stdout, check=True)
    assert reader.returncode == 0


def _connect(instance: dict[str, Any]) -> psycopg.Connection:
    return psycopg.connect(
        host=instance["private_ips"][0],
        port=instance["port"],
        user="root",
        password=PASSWORD,
        dbname="postgres",
        autocommit=True,
    )


def _superuser(sockets: Path) -> psycopg.Connection:
    return psycopg.connect(host=str(sockets), user="rdsAdmin", dbname="postgres", autocommit=True)
