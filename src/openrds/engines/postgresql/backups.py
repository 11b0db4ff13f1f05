"""Base backups by pg_basebackup, the WAL archive, and restoring from both."""

import datetime as dt
import json
import os
import re
import secrets
import shlex
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openrds.engines.postgresql import configuration, sessions
from openrds.engines.postgresql.archive import SEGMENT, TIMELINE_DIGITS, goes_on_from, history_of
from openrds.engines.postgresql.programs import Programs
from openrds.engines.postgresql.server import PostgreSQLServer
from openrds.engines.protocol import BaseBackup, EngineError, NodeSpec, RestorePoint
from openrds.hosts.folders import clear, make_home, used_bytes
from openrds.hosts.processes import wait_until

_DATA = "data"
_COPYING = "copying-"
_ARCHIVE_SECONDS = 300.0
_RESTORE_SECONDS = 7 * 86400.0
#: Some two million files.
_MOST_MANIFEST_BYTES = 2**28
#: Where nothing has to be reached again, only what was just archived is spared: its server may be looking at it.
_SPARED_SECONDS = 3600.0

_LABEL = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)$", re.ASCII | re.MULTILINE)
_ENDED_EARLY = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True)
class PostgreSQLBackups:
    programs: Programs
    #: The server does, by its archive command.
    ships_log = False

    def back_up(self, node: NodeSpec, folder: Path) -> BaseBackup:
        """
        Copy all data of a running server into an empty folder, with the WAL that it needs to be consistent.

        Raises:
            EngineError: there is no pg_basebackup, it failed, or pg_verifybackup found the copy damaged.
        """
        program = self.programs.path("pg_basebackup", node.installation)
        self._prepare(node)
        data = folder / _DATA
        node.user.make_folder(data)
        begin = _now(node)
        self.programs.run(
            [program, "-D", data, "--wal-method=stream", "--checkpoint=fast", "--no-password", "--no-sync"],
            node.user,
            node,
            folder,
        )
        end = _now(node)
        self._verify(node, data)
        return BaseBackup(begin, end, _first_segment(node, data), used_bytes(data))

    def break_off(self, folder: Path) -> None:
        """
        Have `back_up` into this folder fail, where it still copies.

        Raises:
            EngineError: the program that copies does not die.
        """
        self.programs.end(folder)

    def ship_log(self, node: NodeSpec) -> None:
        """Nothing: see `ships_log`."""

    def clear_log(self, node: NodeSpec, keep_hours: int, *, archived: bool) -> None:
        """Nothing: a checkpoint removes what is archived and no follower needs."""

    def archive_log(self, node: NodeSpec) -> None:
        """
        Return once everything that is committed by now is in the archive.

        A commit of our own comes behind it: recovery to a moment ends at the first commit that is later.

        Raises:
            EngineError: the server does not archive within 300 s.
        """
        self._prepare(node)
        with sessions.superuser_session(node) as connection:
            connection.execute("SELECT txid_current()")
            (segment,) = _row(connection, "SELECT pg_walfile_name(pg_switch_wal())")
            if wait_until((node.archive / segment).exists, _ARCHIVE_SECONDS, every=0.005):
                return
            (failed,) = _row(connection, "SELECT last_failed_wal FROM pg_stat_archiver")
        raise EngineError(
            f"PostgreSQL {node.node_id} does not archive its WAL to {node.archive} (last failure: {failed or 'none'}); "
            "see its log and whether the disk is full"
        )

    def is_archived_since(self, archive: Path, log_position: str, primary: NodeSpec | None = None) -> bool:
        """
        Whether the archive has all segments from one on.

        Raises:
            EngineError: the primary does not answer.
        """
        return goes_on_from(archive, log_position, history_of(primary) if primary else None)

    def prune_archive(self, archive: Path, log_position: str | None) -> None:
        """Remove the segments before the named one, whatever their timeline; histories of timelines stay."""
        for path in archive.glob("*"):
            if not SEGMENT.match(path.name):
                continue
            if log_position is None:
                passed = time.time() - path.lstat().st_mtime > _SPARED_SECONDS
            else:
                passed = path.name[TIMELINE_DIGITS:24] < log_position[TIMELINE_DIGITS:]
            if passed:
                path.unlink(missing_ok=True)

    def restore(self, node: NodeSpec, point: RestorePoint) -> PostgreSQLServer:
        """
        Make the node's data directory from a restore point, whatever was in it, and return its running server.

        Raises:
            EngineError: recovery failed, or the archive ends before the moment.
        """
        server = RecoveringServer(node, start_seconds=_RESTORE_SECONDS)
        server.stop_at_once()
        make_home(node.folder)
        clear(node.data_dir)
        source = point.backup / _DATA
        if not source.is_dir():
            raise EngineError(f"there is no base backup in {point.backup}")
        self._copy(source, node)
        server.recover(point)
        with sessions.superuser_session(node) as connection:
            connection.execute("SELECT 1")
        return server

    def drop(self, node: NodeSpec) -> None:
        """Stop the server that `restore` left, at once, and remove its folders."""
        server = RecoveringServer(node)
        server.stop_at_once()
        for folder in (node.folder, node.socket_dir):
            clear(folder)

    def _copy(self, source: Path, node: NodeSpec) -> None:
        """Under a name of this attempt's first: a `cp` that a dead worker left at work does not write into ours."""
        for remains in node.folder.glob(f"{_COPYING}*"):
            clear(remains)
        copying = node.folder / f"{_COPYING}{secrets.token_hex(4)}"
        node.user.make_folder(copying)
        self.programs.run(
            ("cp", "--archive", "--reflink=auto", "--no-target-directory", source, copying), node.user
        )
        copying.rename(node.data_dir)

    def _prepare(self, node: NodeSpec) -> None:
        """Bring a server that was configured by an older openrds to archive where it should, and let us back up."""
        with sessions.superuser_session(node) as connection:
            (command,) = _row(connection, "SELECT current_setting('archive_command')")
            hba = node.user.read(node.data_dir / "pg_hba.conf").decode(errors="replace")
            if command == configuration.archive_command(node.archive) and hba == configuration.pg_hba_conf(
                node
            ):
                return
            PostgreSQLServer(node).configure()
            sessions.reload_configuration(connection)
        if not wait_until(lambda: _archives_to(node), 10, every=0.02):
            raise EngineError(f"PostgreSQL {node.node_id} does not take up its new configuration")

    def _verify(self, node: NodeSpec, data: Path) -> None:
        """Compare the copy with its manifest, which PostgreSQL writes from version 13 on."""
        if not (data / "backup_manifest").exists():
            return
        _compare_sizes(node, data)
        program = self.programs.path("pg_verifybackup", node.installation)
        if not self.programs.works(program, node.user):  # that of the wheel's version 18 crashes
            return
        # It reads the WAL by the pg_waldump beside it, which must be of the server's own version.
        same = program.parent == node.installation.bin_dir
        self.programs.run([program, *(() if same else ("--no-parse-wal",)), data], node.user)


class RecoveringServer(PostgreSQLServer):
    """A server that replays WAL, for nobody but us: on its socket alone, and without regard for a power cut."""

    #: It calls itself a standby from the beginning on, because it takes no connections while it replays.
    _up = ("ready",)
    #: To wait for the disk here would be to wait for the whole copy.
    _durable = False
    _point: RestorePoint | None = None
    _bounded = True

    def recover(self, point: RestorePoint) -> None:
        """
        Replay, and return when the server takes statements.

        Raises:
            EngineError: it cannot be done.
        """
        self._point = point
        self._bounded = not point.to_the_end
        self.configure()
        self._write(self.node.data_dir / "recovery.signal", "", durable=False)
        try:
            self.start()
        except EngineError as error:
            # What the source committed last may be earlier than the moment. Then all there is has been replayed.
            if _ENDED_EARLY not in str(error):
                raise
            if point.remains is None:
                raise EngineError(f"the archived log ends before {point.moment}: {error}") from None
            self._bounded = False
            self.configure()
            self.start()

    def stop_at_once(self) -> None:
        """Stop without writing anything down: what it has is not wanted any more."""
        process = self._process()
        if process is not None:
            process.stop((signal.SIGQUIT,))
        self.stop()

    def _settings(self) -> str:
        return super()._settings() + _recovery_settings(self._point, bounded=self._bounded)


def _recovery_settings(point: RestorePoint | None, *, bounded: bool) -> str:
    settings = {
        "archive_mode": "off",
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "autovacuum": "off",
        "hot_standby": "off",
        "checkpoint_timeout": "1h",
        "max_wal_size": "4GB",
    }
    if point is not None:
        settings["recovery_target_action"] = "promote"
        settings["restore_command"] = _restore_command(point)
        if point.moment is None:
            settings["recovery_target"] = "immediate"
        elif bounded:
            settings["recovery_target_time"] = point.moment.astimezone(dt.UTC).isoformat(sep=" ")
    return "".join(f"{name} = {configuration.quoted(value)}\n" for name, value in settings.items())


def _restore_command(point: RestorePoint) -> str:
    """A backup alone has its WAL with it. What was not archived any more is looked for in the source's remains."""
    if point.moment is None:
        return "false"
    places = [point.archive, *([point.remains / "pg_wal"] if point.remains else [])]
    return " || ".join(f"cp {shlex.quote(str(place).replace('%', '%%'))}/%f %p" for place in places)


def _archives_to(node: NodeSpec) -> bool:
    with sessions.superuser_session(node) as connection:
        (command,) = _row(connection, "SELECT current_setting('archive_command')")
        return bool(command == configuration.archive_command(node.archive))


def _now(node: NodeSpec) -> dt.datetime:
    """By the server's own clock, which also stamps its commits."""
    with sessions.superuser_session(node) as connection:
        (now,) = _row(connection, "SELECT clock_timestamp()")
        assert isinstance(now, dt.datetime)
        return now


def _row(connection: sessions.Connection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row


def _first_segment(node: NodeSpec, data: Path) -> str:
    label = node.user.read(data / "backup_label").decode()
    match = _LABEL.search(label)
    if match is None:
        raise EngineError(f"{data / 'backup_label'} does not say where its WAL begins")
    return match[1]


def _compare_sizes(node: NodeSpec, data: Path) -> None:
    """
    Raises:
        EngineError: a file of the manifest is not there, or has not its size.
    """
    manifest = json.loads(node.user.read(data / "backup_manifest", _MOST_MANIFEST_BYTES))
    with node.user.acting():
        for file in manifest["Files"]:
            path = data / (
                file["Path"] if "Path" in file else os.fsdecode(bytes.fromhex(file["Encoded-Path"]))
            )
            if not path.is_file() or path.stat().st_size != file["Size"]:
                raise EngineError(f"the base backup is damaged: {path.name} is not as the server sent it")
