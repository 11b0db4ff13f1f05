"""Base backups and archived binlogs, and data made of both.

What MySQL and MariaDB do in their own way is abstract here.
"""

import datetime as dt
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from openrds.engines import programs
from openrds.engines.binlog import history, replaying, roles, sessions, shipping
from openrds.engines.binlog.archive import Archive, LocalLog, goes_on_from
from openrds.engines.binlog.gtids import GtidSet, parse, writers
from openrds.engines.binlog.history import Chain, Replay
from openrds.engines.binlog.imports import Imports, bring_in
from openrds.engines.binlog.loading import remove_remains
from openrds.engines.binlog.replaying import ReplayingServer
from openrds.engines.binlog.server import Means
from openrds.engines.binlog.tablespaces import check_whole
from openrds.engines.protocol import BaseBackup, EngineError, NodeSpec, RestorePoint
from openrds.hosts.folders import clear, make_home, used_bytes
from openrds.hosts.folders import read as read_file
from openrds.hosts.user import ServerUser

_DATA, _BASE = "data", "base"
#: In a backup's folder, beside the data: where its log begins.
_POSITION = "position"
_COPYING = "copying-"
_RESTORE_SECONDS = 7 * 86400.0
_MOST_POSITION_BYTES = 2**26
_NOW = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class BinlogBackups(ABC):
    """A base backup is `data/base` in its folder, with its position beside; the archive is as `Archive` says."""

    ships_log = True
    #: What a server that replays needs beyond the settings of any.
    replay_settings: ClassVar[Mapping[str, str]]

    def __init__(self, means: Means) -> None:
        self._means = means
        self._flavour = means.flavour

    @abstractmethod
    def _copy(self, node: NodeSpec, folder: Path, base: Path) -> str:
        """Copy all data of a running server to `base`, which is not there yet; returns the position of its log."""

    @abstractmethod
    def _begin_replay(self, connection: sessions.Connection, position: str) -> None:
        """Have the server apply its relay logs, on data that is at a position."""

    @abstractmethod
    def _settle(self, connection: sessions.Connection) -> None:
        """Events that do not run on followers run again, and nothing is known of a log any more."""

    @abstractmethod
    def _fresh_position(self) -> str:
        """One that no other server has ever had: a log that begins there goes on from no other."""

    @abstractmethod
    def _position_of(self, replay: Replay) -> str:
        """As the server says it, at the end of a replay of something."""

    def back_up(self, node: NodeSpec, folder: Path) -> BaseBackup:
        """
        Copy all data of a running server into an empty folder, and look whether the copy is whole.

        Raises:
            EngineError: there is no program for it, or the copy failed.
        """
        data = folder / _DATA
        node.user.make_folder(data)
        begin = _moment(node)
        position = self._copy(node, folder, data / _BASE)
        end = _moment(node)
        check_whole(data / _BASE, node.user)
        (folder / _POSITION).write_text(position)
        return BaseBackup(begin, end, position, used_bytes(data))

    def break_off(self, folder: Path) -> None:
        """
        Have `back_up` into this folder fail, where it still copies.

        Raises:
            EngineError: the program that copies does not die.
        """
        programs.end(folder, self._flavour.writers)

    def ship_log(self, node: NodeSpec) -> None:
        """
        Put the files that the server has finished into the archive.

        Raises:
            EngineError: they cannot be put there, or the server does not answer.
        """
        shipping.ship(node, self._flavour)

    def clear_log(self, node: NodeSpec, keep_hours: int, *, archived: bool) -> None:
        """
        Remove what the server has finished of its log so many hours ago. What a follower reads the server keeps itself.

        Raises:
            EngineError: it cannot be removed.
        """
        before = time.time() - 3600 * keep_hours
        kept = shipping.first_to_keep(node, self._flavour, before, archived=archived)
        if kept is not None:
            with sessions.session(node) as connection:
                sessions.execute(connection, "PURGE BINARY LOGS TO %s", kept)

    def archive_log(self, node: NodeSpec) -> None:
        """
        Return once everything that is committed by now is in the archive, which is noted there.

        Raises:
            EngineError: it cannot be put there, or the server does not answer.
        """
        with sessions.session(node) as connection:
            now = int(sessions.scalar(connection, _NOW))
            sessions.execute(connection, shipping.ROTATE)
        self.ship_log(node)
        Archive(node.archive, node.user).note_reached(now)

    def is_archived_since(self, archive: Path, log_position: str, primary: NodeSpec | None = None) -> bool:
        """
        Whether the archive has all from a position on.

        Raises:
            EngineError: the log of the primary cannot be read.
        """
        latest = shipping.present_chain(primary, self._flavour) if primary else None
        return goes_on_from(archive, log_position, latest)

    def prune_archive(self, archive: Path, log_position: str | None) -> None:
        """Remove the files that have nothing of what came after a position."""
        if found := Archive.at(archive):
            found.prune(log_position)
            if log_position is not None:
                Imports(archive, found.user).prune(parse(log_position))

    def restore(self, node: NodeSpec, point: RestorePoint) -> ReplayingServer:
        """
        Make the node's data directory from a restore point, whatever was in it, and return its running server.

        Raises:
            EngineError: it cannot be restored, or the archive ends before the moment.
        """
        server = self._server(node)
        server.kill()
        make_home(node.folder)
        clear(node.data_dir)
        source = point.backup / _DATA / _BASE
        if not source.is_dir():
            raise EngineError(f"there is no base backup in {point.backup}")
        position = read_file(point.backup / _POSITION, _MOST_POSITION_BYTES).decode()
        replay = self._plan(point, position) if point.moment else None
        self._copy_base(source, node)
        if replay and replay.pieces:
            replaying.place(replay.pieces, ServerUser.owning(point.archive), node)
        server.configure()
        server.start()
        with sessions.session(node) as connection:
            if replay and replay.pieces:
                self._bring_in_tables(node, connection, point.archive, parse(position), replay.reached)
                self._begin_replay(connection, position)
                server.await_replayed(self._position_of(replay))
            self._settle(connection)
            remove_remains(connection)
        roles.write_position(node, self._fresh_position())
        return server

    def drop(self, node: NodeSpec) -> None:
        """Stop the server that `restore` left, at once, and remove its folders and its limits."""
        programs.end(node.folder, ("cp",))
        self._server(node).kill()
        self._means.limits.remove(node.node_id)
        for folder in (node.folder, node.socket_dir):
            clear(folder)

    def _bring_in_tables(
        self, node: NodeSpec, connection: sessions.Connection, folder: Path, start: GtidSet, end: GtidSet
    ) -> None:
        if found := Archive.at(folder):
            for tables in Imports(folder, found.user).between(start, end):
                bring_in(node, connection, self._flavour, tables, found.user)

    def _server(self, node: NodeSpec) -> ReplayingServer:
        return ReplayingServer(node, self._means, self.replay_settings, _RESTORE_SECONDS)

    def _plan(self, point: RestorePoint, position: str) -> Replay:
        """
        Raises:
            EngineError: log is missing, or it ends before the moment.
        """
        assert point.moment is not None
        until = _microseconds(point.moment)
        found = Archive.at(point.archive) or Archive(point.archive, ServerUser.owning(point.backup / _DATA))
        latest = self._remains(found, point.remains) if point.remains else None
        replay = history.replay(found.history(latest), parse(position), until, found.user, writers(position))
        may_end = point.to_the_end or point.remains is not None
        if not replay.is_bounded and not may_end and found.reached() < until:
            raise EngineError(f"the archived log ends before {point.moment}")
        return replay

    def _remains(self, found: Archive, data_dir: Path) -> Chain | None:
        user = ServerUser.owning(data_dir)
        local = LocalLog.of(data_dir, user, self._flavour.log_identity(data_dir, user))
        return local.chain(user, found.before(local.identity) or GtidSet())

    def _copy_base(self, source: Path, node: NodeSpec) -> None:
        """Under a name of this attempt's first: a `cp` that a dead worker left at work does not write into ours."""
        for remains in node.folder.glob(f"{_COPYING}*"):
            clear(remains)
        copying = node.folder / f"{_COPYING}{secrets.token_hex(4)}"
        node.user.make_folder(copying)
        command = ("cp", "--archive", "--reflink=auto", "--no-target-directory", source, copying)
        programs.run(command, node.user, folder=node.folder)
        copying.rename(node.data_dir)


def _moment(node: NodeSpec) -> dt.datetime:
    """By the server's own clock, which also stamps its commits."""
    with sessions.session(node) as connection:
        microseconds = int(sessions.scalar(connection, _NOW))
    return _EPOCH + dt.timedelta(microseconds=microseconds)


def _microseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)
