"""A server of MySQL or MariaDB that is nobody's but the test's: made and started by hand, beside openrds."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql

from openrds.domain.engine import EngineName
from openrds.engines.binlog.installed import program, tree_settings
from openrds.engines.protocol import Installation
from support.service import wait_for

_SETTINGS = {
    "skip_networking": "ON",
    "server_id": "4711",
    "log_bin": "binlog",
    # What is for the accounts of the instance is not for this server.
    "replicate_wild_ignore_table": "mysql.%",
    "innodb_use_native_aio": "OFF",
    "performance_schema": "OFF",
    "innodb_buffer_pool_size": "32M",
}
_OF_MYSQL = {"gtid_mode": "ON", "enforce_gtid_consistency": "ON", "mysqlx": "OFF", "secure_file_priv": "NULL"}


class Outsider:
    """Its administrator comes in by the socket, without a password."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "s"

    def execute(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        with (
            pymysql.connect(
                unix_socket=str(self.socket),
                user="root",
                autocommit=True,
                cursorclass=pymysql.cursors.DictCursor,
                ssl_disabled=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall()) if cursor.description else []

    def answers(self) -> bool:
        """The driver leaves its socket open where nobody listens, so that is tried first."""
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.socket)):
                return False
        with suppress(pymysql.MySQLError):
            return bool(self.execute("SELECT 1"))
        return False


@contextmanager
def outsider(installation: Installation, folder: Path) -> Iterator[Outsider]:
    """Fresh, and running; it is killed in the end."""
    is_mysql = installation.engine is EngineName.MYSQL
    settings = {**tree_settings(installation), **_SETTINGS, **(_OF_MYSQL if is_mysql else {})}
    data = folder / "data"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    options += [f"--datadir={data}"] + (["--user=root"] if os.geteuid() == 0 else [])
    daemon = program(installation, "mysqld" if is_mysql else "mariadbd")
    _initialise(installation, data, [str(daemon), "--no-defaults", *options])
    server = Outsider(folder)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [daemon, "--no-defaults", *options, f"--socket={server.socket}", f"--pid-file={folder / 'pid'}"],
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: server.answers() or process.poll() is not None, 120, "the outside server")
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        process.kill()
        process.wait(30)


def _initialise(installation: Installation, data: Path, command: list[str]) -> None:
    if installation.engine is EngineName.MARIADB:
        script = program(installation, "mariadb-install-db", "mysql_install_db")
        base = tree_settings(installation)["basedir"]
        user = ["--user=root"] if os.geteuid() == 0 else []
        command = [str(script), "--no-defaults", f"--basedir={base}", f"--datadir={data}", *user]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    else:
        command = [*command, "--initialize-insecure", "--skip-log-bin"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
