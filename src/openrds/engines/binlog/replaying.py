"""Replaying archived binlogs on restored data.

The server takes them for what it received of an upstream (relay logs), and applies them as a follower does, with nobody
to follow. So nothing is made into SQL and read again: what mysqlbinlog prints is text that tenants have a hand in, and
who reads it has all rights. It is also exact, since a file ends where we cut it, and done by several threads.
"""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from openrds.domain.deadline import check_deadline
from openrds.engines.binlog import logs, sessions
from openrds.engines.binlog.history import Piece
from openrds.engines.binlog.server import BinlogServer, Means
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts.user import ServerUser

_RELAY = "relay"
_COPIED_AT_ONCE = 2**24
_LOOK_SECONDS = 1.0

#: To wait for the disk would be to wait for the whole copy: what is restored is synchronised when it is whole.
_SETTINGS = {
    "relay_log_recovery": "OFF",
    "innodb_flush_log_at_trx_commit": "0",
    "sync_binlog": "0",
    "innodb_doublewrite": "OFF",
    "innodb_flush_method": "nosync",
    "event_scheduler": "OFF",
    "slow_query_log": "OFF",
}


class ReplayingServer(BinlogServer):
    """A server for nobody but us: on its socket alone, without a log of its own, and without regard for a power cut."""

    _durable = False

    def __init__(
        self, node: NodeSpec, means: Means, settings: Mapping[str, str], start_seconds: float
    ) -> None:
        super().__init__(node, means, start_seconds)
        self._replay_settings = settings

    def _settings(self) -> dict[str, str]:
        """Its number is none that is in the logs: a server applies nothing that it takes for its own."""
        settings = {**super()._settings(), **_SETTINGS, **self._replay_settings}
        settings["server_id"] = str(2**31 + secrets.randbelow(2**31))
        del settings["log_bin"]
        return settings

    def await_replayed(self, position: str) -> None:
        """
        Raises:
            EngineError: it cannot apply one of the transactions; the message says what it reports.
        """
        with sessions.session(self.node, statement_seconds=sessions.STATEMENT_SECONDS) as connection:
            while not self._is_at(connection, position):
                check_deadline()
                channel = self.flavour.channel(connection)
                if channel is None or not channel.applies:
                    problem = channel.error if channel else "it does not replay."
                    raise EngineError(f"the log could not be replayed: {problem}")

    def _is_at(self, connection: sessions.Connection, position: str) -> bool:
        found = sessions.scalar(connection, self.flavour.await_position, position, _LOOK_SECONDS)
        return bool(found == self.flavour.reached)


def relay_name(number: int = 1) -> str:
    return f"{_RELAY}.{number:06}"


def place(pieces: Sequence[Piece], reader: ServerUser, node: NodeSpec) -> None:
    """Write the pieces as relay logs into the data directory of a server that does not run.

    Raises:
        OSError: they cannot be read as the `reader`, whose they are, or written as the node's user.
    """
    names = []
    for number, piece in enumerate(pieces, 1):
        names.append(relay_name(number))
        _place(piece, reader, node.data_dir / names[-1], node.user)
    index = "".join(f"./{name}\n" for name in names)
    logs.write(node.data_dir / f"{_RELAY}.index", index.encode(), node.user)


def _place(piece: Piece, reader: ServerUser, to: Path, user: ServerUser) -> None:
    with logs.open_log(piece.path, reader) as source:
        with user.acting():
            target = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            for begin, end in ((0, piece.head), *piece.parts):
                _copy_part(source.fileno(), target, begin, end)
        finally:
            os.close(target)


def _copy_part(source: int, target: int, begin: int, end: int) -> None:
    while begin < end:
        check_deadline()
        sent = os.sendfile(target, source, begin, min(end - begin, _COPIED_AT_ONCE))
        if not sent:
            raise EngineError("an archived log has become shorter while it was read")
        begin += sent
