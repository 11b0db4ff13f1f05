"""Backups of MySQL by its clone plugin, and replaying its log."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from openrds.domain.deadline import ended_with_step
from openrds.engines.binlog import daemon, sessions
from openrds.engines.binlog.backups import BinlogBackups
from openrds.engines.binlog.history import Replay
from openrds.engines.binlog.replaying import relay_name
from openrds.engines.mysql.flavour import reset_log
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts import commands
from openrds.hosts.processes import wait_until

#: In the folder of a backup that is not wanted any more.
_BROKEN_OFF = "broken-off"
_LOOK_SECONDS = 0.1
_COPY_SECONDS = 86400.0
_END_SECONDS = 30.0
_CLONES = "SELECT id FROM information_schema.processlist WHERE info LIKE 'CLONE LOCAL%%' AND user = %s"
_ASLEEP = (
    "SELECT event_schema, event_name, definer FROM information_schema.events "
    "WHERE status IN ('SLAVESIDE_DISABLED', 'REPLICA_SIDE_DISABLED')"
)


class MySQLBackups(BinlogBackups):
    #: What is restored gets keys of its own when it serves.
    replay_settings: ClassVar = {
        "skip_log_bin": "ON",
        "auto_generate_certs": "OFF",
        "caching_sha2_password_auto_generate_rsa_keys": "OFF",
        "replica_parallel_workers": "2",
    }

    def break_off(self, folder: Path) -> None:
        """It is the server that copies: whoever waits for it looks here."""
        (folder / _BROKEN_OFF).touch()

    def _copy(self, node: NodeSpec, folder: Path, base: Path) -> str:
        """The position is one of before, so that the copy may have more: what it has is not applied again."""
        with sessions.session(node, statement_seconds=_COPY_SECONDS) as connection:
            _end_others(connection)
            position = str(sessions.scalar(connection, self._flavour.position))
            with self._watched(node, connection, folder / _BROKEN_OFF):
                sessions.execute(connection, "CLONE LOCAL DATA DIRECTORY = %s", str(base))
        return position

    @contextmanager
    def _watched(self, node: NodeSpec, connection: sessions.Connection, sign: Path) -> Iterator[None]:
        """What the block waits for is ended when the sign appears, or the step has had its time."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK_SECONDS):
                if sign.exists():
                    sessions.end_session(node, connection)
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with ended_with_step(lambda: None, lambda: self._bytes_moved(node)):
                yield
        finally:
            done.set()
            watcher.join()

    def _bytes_moved(self, node: NodeSpec) -> int:
        process = daemon.find(node, self._flavour)
        return commands.bytes_moved(process.pid) if process else 0

    def _begin_replay(self, connection: sessions.Connection, position: str) -> None:
        sessions.execute(
            connection,
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'nobody', RELAY_LOG_FILE = %s, RELAY_LOG_POS = 4",
            relay_name(),
        )
        sessions.execute(connection, "START REPLICA SQL_THREAD")

    def _settle(self, connection: sessions.Connection) -> None:
        sessions.execute(connection, "STOP REPLICA")
        sessions.execute(connection, "RESET REPLICA ALL")
        for event in sessions.rows(connection, _ASLEEP):
            words = {name.lower(): str(value) for name, value in event.items()}
            user, _, host = words["definer"].rpartition("@")
            definer = "@".join((sessions.named(user), sessions.named(host)))
            # Whoever alters an event becomes its definer, if nobody else is named.
            name = sessions.named(words["event_schema"], words["event_name"])
            sessions.execute(connection, f"ALTER DEFINER = {definer} EVENT {name} ENABLE")
        sessions.execute(connection, reset_log(connection))

    def _fresh_position(self) -> str:
        return f"{uuid.uuid4()}:1"

    def _position_of(self, replay: Replay) -> str:
        return str(replay.reached)


def _end_others(connection: sessions.Connection) -> None:
    """Those of a worker that died.

    Raises:
        EngineError: one does not end.
    """

    def at_work() -> list[int]:
        return [next(iter(row.values())) for row in sessions.rows(connection, _CLONES, sessions.SUPERUSER)]

    for number in at_work():
        sessions.execute(connection, f"KILL {int(number)}")
    if not wait_until(lambda: not at_work(), _END_SECONDS):
        raise EngineError("a backup that is not wanted any more does not end.")
