"""A PostgreSQL server as a physical copy of another, which streams the write-ahead log from it."""

import secrets
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from openrds.engines.postgresql import configuration, postmaster, sessions
from openrds.engines.postgresql.archive import archive_remains, history_of
from openrds.engines.postgresql.control import ControlFile, format_position
from openrds.engines.postgresql.datadirs import is_data_directory
from openrds.engines.postgresql.programs import Programs
from openrds.engines.protocol import EngineError, Follower, NodeSpec, StandbyState
from openrds.hosts.errors import HostError
from openrds.hosts.folders import clear, make_durable
from openrds.hosts.processes import wait_until

if TYPE_CHECKING:
    from openrds.engines.postgresql.server import PostgreSQLServer

_STREAMING_SECONDS = 30.0
#: One that lets nobody in counts as started before it has recovered what it had received.
_RECOVERY_SECONDS = 600.0
_PROMOTION_SECONDS = 60.0
_CHECKPOINT_SECONDS = 600.0
_RELOADS_UPSTREAM = 13
_WITH_MANIFEST = 13
_ATTACHED, _REWOUND, _COPIED = "attached", "rewound", "copied"
_UNFINISHED = ".data.copying-"
#: Is there while pg_rewind works: what it left half-way can only be copied anew.
_REWINDING = "rewinding"

_STATE = """
SELECT pg_is_in_recovery(),
       coalesce((SELECT status = 'streaming' FROM pg_stat_wal_receiver), false),
       coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::bigint,
       CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()
            THEN coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) ELSE 0
       END::float
"""
#: What a primary knows of a standby that cannot be asked.
_STATE_FROM_OUTSIDE = """
SELECT true, state = 'streaming', greatest(coalesce(pg_wal_lsn_diff(flush_lsn, replay_lsn), 0), 0)::bigint,
       coalesce(extract(epoch FROM replay_lag), 0)::float
FROM pg_stat_replication WHERE application_name = %s
"""
_FOLLOWERS = """
SELECT application_name, state = 'streaming', sync_state IN ('sync', 'quorum'),
       greatest(coalesce(pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
           flush_lsn), 0), 0)::bigint
FROM pg_stat_replication WHERE application_name = ANY(SELECT substr(slot_name, %s) FROM pg_replication_slots)
ORDER BY application_name
"""
_DROP_LOST_SLOT = """
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = %s AND NOT active AND wal_status = 'lost'
"""
_DROP_LOST_SLOT_12 = """
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = %s AND NOT active AND restart_lsn IS NULL
"""
_HAS_FLUSHED = """
SELECT EXISTS (SELECT FROM pg_stat_replication
               WHERE application_name = ANY(%s) AND sync_state IN ('sync', 'quorum') AND flush_lsn >= %s::pg_lsn)
"""


class PostgreSQLReplication:
    """Each follower has a slot on its upstream, so that the upstream keeps the log that it still needs."""

    def __init__(self, server: "PostgreSQLServer", programs: Programs) -> None:
        self._server = server
        self._node = server.node
        self._programs = programs

    @property
    def _upstream(self) -> NodeSpec:
        """All of it, for what is done as our superuser on its host: a slot, a copy, pg_rewind."""
        return self._node.upstream_here

    @property
    def _reloads_upstream(self) -> bool:
        return configuration.major_version(self._node) >= _RELOADS_UPSTREAM

    def copy_upstream(self) -> None:
        """
        Make the data directory a copy of the upstream's, which runs, or has never run.

        Raises:
            EngineError: it cannot be copied.
        """
        self._programs.end(self._node.folder)
        for remains in self._node.folder.glob(f"{_UNFINISHED}*"):
            clear(remains)
        if is_data_directory(self._node.data_dir):
            return
        unfinished = self._node.folder / (_UNFINISHED + secrets.token_hex(4))
        try:
            self._node.user.make_folder(unfinished)
            if self._upstream_runs():
                self._copy_running(unfinished)
            else:
                self._copy_stopped(unfinished)
            unfinished.rename(self._node.data_dir)
        except (HostError, OSError) as error:
            raise EngineError(f"{self._node.data_dir} could not be made: {error}") from error
        finally:
            clear(unfinished)
        make_durable(self._node.folder, tree=False)

    def _copy_running(self, unfinished: Path) -> None:
        program = self._programs.path("pg_basebackup", self._node.installation)
        self._make_slot()
        options = ["--checkpoint=fast", "--wal-method=stream", "--no-password"]
        if configuration.major_version(self._node) >= _WITH_MANIFEST:
            options.append("--no-manifest")
        slot = configuration.slot_name(self._node.node_id)
        source = configuration.conninfo(self._upstream)
        self._programs.run(
            (program, f"--pgdata={unfinished}", f"--dbname={source}", f"--slot={slot}", *options),
            self._node.user,
            self._upstream,
            self._node.folder,
        )

    def _copy_stopped(self, unfinished: Path) -> None:
        """Faster than the copy of a running server, and for one that has no clients yet."""
        source = self._upstream.data_dir
        if not ControlFile.read(self._upstream).is_shut_down:
            raise EngineError(f"{self._upstream.node_id} does not run, and was not shut down cleanly.")
        node, run = self._node, self._programs.run
        copy = ("cp", "--archive", "--reflink=auto", "--no-target-directory", source, unfinished)
        run(copy, node.user, folder=node.folder)
        initdb = node.installation.bin_dir / "initdb"
        run((initdb, "--sync-only", f"--pgdata={unfinished}"), node.user, folder=node.folder)

    def launch(self) -> None:
        """Not before its upstream serves: it would look for it again only seconds later."""

    def follow(self) -> None:
        """
        Start as a standby of the upstream, or turn to it from another, and return once it streams.

        Raises:
            EngineError: it runs as a primary, or does not come to stream.
        """
        running = self._server.is_running()
        if running and not self.state().is_standby:
            raise EngineError(f"{self._node.node_id} runs as a primary, and cannot follow another server.")
        self._make_slot()
        log = postmaster.log_tail(self._node)
        if running and self._reloads_upstream:
            self._server.reload()
        else:
            if running:
                self._server.stop()
            self._server.configure()
            self._server.start()
        if not self._comes_to_stream():
            raise EngineError(
                f"{self._node.node_id} does not stream from {self._upstream.node_id}.\n{log.last_lines()}"
            )
        if not self._server.is_closed():
            self.forget_others(())

    def _comes_to_stream(self) -> bool:
        """Seen once is enough: it streams for a moment on a timeline that has ended, before it goes to the next."""
        seconds = _RECOVERY_SECONDS if self._server.is_closed() else _STREAMING_SECONDS
        streams = False

        def has_settled() -> bool:
            nonlocal streams
            streams = self._is_streaming()
            return streams or not (self._server.is_running() and self._upstream_runs())

        wait_until(has_settled, seconds)
        return streams

    def _upstream_runs(self) -> bool:
        return postmaster.running_on(self._upstream) is not None

    def go_on(self) -> None:
        """It does so by itself, and nothing cuts off a promotion."""

    def rejoin(self) -> str:
        """
        Follow the upstream after having been its equal: what it does not have is dropped.

        Raises:
            EngineError: not even as a new copy does it come to stream, or the upstream does not answer.
        """
        if self._is_well():
            return _ATTACHED
        self._server.stop()
        self.archive_remains()
        means = self._make_fit()
        try:
            self.follow()
        except EngineError:
            if means == _COPIED:
                raise
            self._server.stop()
            means = self._copy_anew()
            self.follow()
        return means

    def archive_remains(self) -> None:
        """
        A primary that was killed may be the only one that has the log it did not archive.

        Raises:
            EngineError: it cannot be put into the archive, or the upstream does not answer.
        """
        if self._is_whole() and self.is_primary() and not self._server.is_running():
            _, forks = history_of(self._upstream)
            archive_remains(self._node, forks, self._programs)

    def _is_whole(self) -> bool:
        return is_data_directory(self._node.data_dir) and not (self._node.folder / _REWINDING).exists()

    def _is_well(self) -> bool:
        server = self._server
        if not server.is_running() or server.is_closed():
            return False
        return self.state().is_standby and self._is_streaming()

    def _make_fit(self) -> str:
        if self._is_whole():
            # What was a standby has nothing of its own; whether the upstream still has what comes next will show.
            if configuration.standby_signal(self._node).exists() or self._is_behind():
                return _ATTACHED
            if self._rewind():
                return _REWOUND
        return self._copy_anew()

    def _copy_anew(self) -> str:
        """What is there is given up only while there is something to copy."""
        with sessions.superuser_session(self._upstream):
            pass
        clear(self._node.data_dir)
        self.copy_upstream()
        (self._node.folder / _REWINDING).unlink(missing_ok=True)
        return _COPIED

    def _is_behind(self) -> bool:
        """Whether all that the stopped server has is in the upstream's history: then it has only to go on."""
        here = ControlFile.read(self._node)
        timeline, forks = history_of(self._upstream)
        if not here.is_shut_down or here.timeline == timeline:
            return here.is_shut_down
        return here.timeline in forks and here.checkpoint < forks[here.timeline]

    def _rewind(self) -> bool:
        # It works for its own version only.
        program = self._node.installation.bin_dir / "pg_rewind"
        if not program.is_file():
            return False
        mark = self._node.folder / _REWINDING
        with sessions.superuser_session(self._upstream, statement_seconds=_CHECKPOINT_SECONDS) as connection:
            # pg_rewind reads from the upstream's control file which timeline it is on.
            connection.execute("CHECKPOINT")
        # Not `postgres`, which is the administrator's: it can keep everybody out of it.
        source = configuration.conninfo(self._upstream, dbname="template1")
        try:
            mark.touch()
            self._programs.run(
                (program, f"--target-pgdata={self._node.data_dir}", f"--source-server={source}"),
                self._node.user,
                self._upstream,
                self._node.folder,
            )
        except EngineError:
            return False
        mark.unlink()
        return True

    def prepare_successor(self) -> None:
        """A copy has everything."""

    def take_up(self) -> None:
        """Nothing rests on a standby."""

    def demote(self) -> str:
        """
        Stop a primary, which hands all that it wrote to the standbys that are connected.

        Raises:
            EngineError: it did not shut down cleanly, so that its last position is not known.
        """
        self._server.stop()
        control = ControlFile.read(self._node)
        if not control.is_shut_down:
            raise EngineError(f"{self._node.node_id} was not shut down cleanly.")
        return format_position(control.checkpoint)

    def resume(self) -> None:
        """
        Start a primary that was stopped; nothing else keeps one from serving.

        Raises:
            EngineError: it did not come up.
        """
        self._server.start()

    def await_position(self, position: str, seconds: float) -> None:
        """
        Wait until the record at a position, the last of a primary that was shut down, has been applied.

        A standby that lets nobody in is not waited for.

        Raises:
            EngineError: it was not within this time.
        """
        if not self._server.is_closed():
            self._await_applied("SELECT pg_last_wal_replay_lsn() > %s::pg_lsn", position, seconds)

    def catch_up(self, seconds: float) -> None:
        """
        Wait until all that the upstream has on disk by now has been applied.

        Raises:
            EngineError: it was not within this time.
        """
        with sessions.superuser_session(self._upstream) as connection:
            (position,) = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchone() or (None,)
        self._await_applied("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position, seconds)

    def _await_applied(self, question: LiteralString, position: Any, seconds: float) -> None:
        with sessions.superuser_session(self._node) as connection:

            def has_applied() -> bool:
                return connection.execute(question, [position]).fetchone() == (True,)

            if not wait_until(has_applied, seconds, every=0.001):
                raise EngineError(
                    f"{self._node.node_id} has not all that its primary wrote, up to {position}."
                )

    def promote(self) -> None:
        """
        Make a standby a primary.

        Raises:
            EngineError: it does not become one.
        """
        if not self.state().is_standby:
            return
        self._server.ask_for_promotion()
        wait_until(lambda: not self._server.is_closed(), _PROMOTION_SECONDS, every=0.001)
        with sessions.superuser_session(self._node) as connection:

            def has_ended_recovery() -> bool:
                return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)

            if not wait_until(has_ended_recovery, _PROMOTION_SECONDS, every=0.001):
                raise EngineError(f"{self._node.node_id} does not become a primary.")

    def is_primary(self) -> bool:
        return not configuration.standby_signal(self._node).exists()

    def state(self) -> StandbyState:
        if self._server.is_closed():
            return self._state_from_outside()
        with sessions.superuser_session(self._node) as connection:
            row = connection.execute(_STATE).fetchone()
        assert row is not None
        return StandbyState(*row)

    def _state_from_outside(self) -> StandbyState:
        """Of a standby that lets nobody in."""
        try:
            with sessions.superuser_session(self._upstream) as connection:
                row = connection.execute(_STATE_FROM_OUTSIDE, [self._node.node_id]).fetchone()
        except EngineError:
            row = None
        return StandbyState(*(row or (True, False, 0, 0.0)))

    def followers(self) -> tuple[Follower, ...]:
        with sessions.superuser_session(self._node) as connection:
            rows = connection.execute(_FOLLOWERS, [len(configuration.SLOT_PREFIX) + 1]).fetchall()
        return tuple(Follower(*row) for row in rows)

    def await_confirmation(self, seconds: float) -> None:
        """
        Wait until each commit is confirmed, and whoever confirms it has all that was acknowledged before.

        Raises:
            EngineError: not within this time, for none of those who shall confirm is there.
        """
        if not self._node.confirmed_by:
            return
        self._server.reload()
        names = list(self._node.confirmed_by)
        wanted = configuration.synchronous_standby_names(names)
        with sessions.superuser_session(self._node, statement_seconds=_CHECKPOINT_SECONDS) as connection:

            def counts() -> bool:
                row = connection.execute("SELECT current_setting('synchronous_standby_names')").fetchone()
                return row == (wanted,)

            if not wait_until(counts, seconds):
                raise EngineError(f"{self._node.node_id} does not take its new settings.")
            # Commits wait from when the checkpointer has heard of the setting. It takes each checkpoint anew.
            connection.execute("CHECKPOINT")
            (position,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone() or (None,)

            def has_all() -> bool:
                return connection.execute(_HAS_FLUSHED, [names, position]).fetchone() == (True,)

            if not wait_until(has_all, seconds):
                raise EngineError(f"No standby of {self._node.node_id} confirms its commits.")

    def forget(self, node_id: str) -> None:
        """
        Drop the slot of a follower that does not come again.

        Raises:
            EngineError: it still follows.
        """
        with sessions.superuser_session(self._node) as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                [configuration.slot_name(node_id)],
            )

    def forget_others(self, node_ids: Collection[str]) -> None:
        """
        Drop the slots of all but some: they would keep back its log for ever.

        Raises:
            EngineError: it does not let us in.
        """
        with sessions.superuser_session(self._node) as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE starts_with(slot_name, %s) AND NOT active AND slot_name <> ALL(%s)",
                [configuration.SLOT_PREFIX, [configuration.slot_name(node_id) for node_id in node_ids]],
            )

    def _make_slot(self) -> None:
        """One whose log the upstream has thrown away since is of no use, and is made anew."""
        name = configuration.slot_name(self._node.node_id)
        drop = _DROP_LOST_SLOT if self._reloads_upstream else _DROP_LOST_SLOT_12
        with sessions.superuser_session(self._upstream) as connection:
            type(self._server)(self._upstream).let_followers_in(connection)
            connection.execute(drop, [name])
            connection.execute(
                "SELECT pg_create_physical_replication_slot(%(name)s, true)"
                " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %(name)s)",
                {"name": name},
            )

    def _is_streaming(self) -> bool:
        try:
            with sessions.superuser_session(self._upstream) as connection:
                row = connection.execute(
                    "SELECT FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'",
                    [self._node.node_id],
                ).fetchone()
        except EngineError:
            return False
        return row is not None
