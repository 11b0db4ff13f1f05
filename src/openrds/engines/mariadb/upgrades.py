"""To a newer version: a copy of the files is brought up to date by the newer server and its mariadb-upgrade.

The server is nobody's but ours, and runs no event of a tenant. What mariadb-upgrade looks into it does not execute.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from openrds.engines import programs
from openrds.engines.binlog import roles, sessions
from openrds.engines.binlog.installed import find_program, program
from openrds.engines.binlog.replaying import ReplayingServer
from openrds.engines.binlog.sessions import SUPERUSER, socket_path
from openrds.engines.binlog.upgrades import BinlogUpgrades
from openrds.engines.family import password_of
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts.errors import HostError
from openrds.hosts.folders import clear, make_durable, make_home

_UPGRADE = ("mariadb-upgrade", "mysql_upgrade")
_PROGRAMS = (*_UPGRADE, "cp", "mariadb", "mysql", "mariadb-check", "mysqlcheck", "sh")
#: Of the log that was, which the new does not go on from; and what is said of the node's role.
_OF_BEFORE = ("binlog.*", "relay*", "openrds.*", "master.info", "mysql_upgrade_info", "mariadb_upgrade_info")
_START_SECONDS = 7 * 86400.0
_LOG_IN = "upgrading.cnf"


class MariaDBUpgrades(BinlogUpgrades):
    #: As while log is replayed: nothing of it is to be kept if it fails.
    _settings: ClassVar = {"slave_parallel_threads": "0"}

    def check(self, old: NodeSpec, new: NodeSpec) -> str:
        """What the new server would refuse: it takes no data with transactions that are half done."""
        if find_program(new.installation, *_UPGRADE) is None:
            return (
                f"this host has no {_UPGRADE[0]} of MariaDB {new.installation.version}: install its programs"
            )
        return self.check_at_rest(old)

    def check_at_rest(self, old: NodeSpec) -> str:
        with sessions.session(old) as connection:
            prepared = len(sessions.rows(connection, "XA RECOVER"))
        return f"{prepared} XA transactions are prepared: commit them or roll them back" if prepared else ""

    def upgrade(self, old: NodeSpec, new: NodeSpec) -> None:
        """
        Raises:
            EngineError: it cannot be copied, or the new server does not take it.
        """
        self.discard(new)
        make_home(new.folder)
        new.user.make_folder(new.data_dir)
        copy = ("cp", "--archive", "--reflink=auto", "--no-target-directory", old.data_dir, new.data_dir)
        programs.run(copy, new.user, folder=new.data_dir)
        with new.user.acting():
            for pattern in _OF_BEFORE:
                for path in new.data_dir.glob(pattern):
                    path.unlink()
        server = self._server(new)
        server.configure()
        server.start()
        with _log_in(new) as defaults:
            command = (
                program(new.installation, *_UPGRADE),
                f"--defaults-file={defaults}",
                "--skip-version-check",
            )
            programs.run(command, new.user, folder=new.data_dir)
        server.stop()
        # Numbers go on from a time: no log of before had so many.
        roles.write_position(new, f"0-1-{time.time_ns() // 1_000_000}")
        make_durable(new.data_dir)

    def discard(self, new: NodeSpec) -> None:
        """
        Raises:
            EngineError: something does not die.
        """
        programs.end(new.data_dir, _PROGRAMS)
        try:
            self._server(new).kill()
            self.means.limits.remove(new.node_id)
        except HostError as error:
            raise EngineError(str(error)) from error
        clear(new.folder)
        clear(new.socket_dir)

    def complete(self, node: NodeSpec, before: str) -> None:
        """InnoDB gathers its statistics by itself."""

    def _server(self, node: NodeSpec) -> ReplayingServer:
        return ReplayingServer(node, self.means, self._settings, _START_SECONDS)


@contextlib.contextmanager
def _log_in(node: NodeSpec) -> Iterator[Path]:
    """A password on a command line is everybody's to see."""
    path = node.folder / _LOG_IN
    words = {"socket": socket_path(node), "user": SUPERUSER, "password": password_of(node.secret, SUPERUSER)}
    text = "".join(f'{name} = "{value}"\n' for name, value in words.items())
    node.user.write(path, f"[client]\nskip-ssl\n{text}", durable=False)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
