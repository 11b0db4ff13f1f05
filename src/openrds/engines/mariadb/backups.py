"""Backups of MariaDB by mariadb-backup, and replaying its log."""

import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from openrds.engines.binlog import sessions
from openrds.engines.binlog.backups import BinlogBackups
from openrds.engines.binlog.history import Replay
from openrds.engines.binlog.replaying import relay_name
from openrds.engines.mariadb import hot_copies
from openrds.engines.protocol import NodeSpec


class MariaDBBackups(BinlogBackups):
    replay_settings: ClassVar = {"slave_parallel_threads": "0"}

    def _copy(self, node: NodeSpec, folder: Path, base: Path) -> str:
        """The program works in the backup's own folder, where it is found to be broken off."""
        return hot_copies.copy_data(node, replace(node, folder=folder), base)

    def _begin_replay(self, connection: sessions.Connection, position: str) -> None:
        sessions.execute(connection, f"SET GLOBAL gtid_slave_pos = {sessions.escaped(connection, position)}")
        sessions.execute(
            connection,
            "CHANGE MASTER TO MASTER_HOST = 'nobody', MASTER_USE_GTID = no, RELAY_LOG_FILE = %s, RELAY_LOG_POS = 4",
            relay_name(),
        )
        sessions.execute(connection, "START SLAVE SQL_THREAD")

    def _settle(self, connection: sessions.Connection) -> None:
        sessions.execute(connection, "STOP SLAVE")
        sessions.execute(connection, "RESET SLAVE ALL")
        sessions.execute(
            connection, "UPDATE mysql.event SET status = 'ENABLED' WHERE status = 'SLAVESIDE_DISABLED'"
        )

    def _fresh_position(self) -> str:
        """Numbers go on from a time: no log of before had so many."""
        return f"0-1-{time.time_ns() // 1_000_000}"

    def _position_of(self, replay: Replay) -> str:
        return ",".join(f"{one.stream}-{one.writer}-{one.number}" for one in replay.last.values())
