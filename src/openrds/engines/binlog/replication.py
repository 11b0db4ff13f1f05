"""A server as one that follows another by its binary log, and as one that others follow."""

import contextlib
import logging
import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from openrds.engines import programs
from openrds.engines.binlog import configuration, scheduled, sessions
from openrds.engines.binlog.daemon import ended_well
from openrds.engines.binlog.datadirs import identify, is_data_directory
from openrds.engines.binlog.flavour import Channel
from openrds.engines.binlog.roles import Role, position_to_take, role_of, write_role
from openrds.engines.family import password_of
from openrds.engines.protocol import EngineError, Follower, NodeSpec, StandbyState, Upstream
from openrds.hosts.errors import HostError
from openrds.hosts.folders import clear, make_durable
from openrds.hosts.processes import wait_until

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from openrds.engines.binlog.server import BinlogServer

_STREAMING_SECONDS = 30.0
_APPLYING_SECONDS = 3600.0
_ATTACHED, _COPIED = "attached", "copied"
UNFINISHED = ".data.copying-"
#: Which followers commits wait for, as it was last written down: the server itself knows only how many.
_CONFIRMING = "confirming"
#: Is in the log of followers, too, and does nothing: once it is confirmed, all before it is.
_MARK = "DROP TABLE IF EXISTS mysql.openrds_mark"


class Diverged(EngineError):  # noqa: N818 - says what happened
    """The upstream does not have what its follower would need, or not what that has."""


class BinlogReplication:
    """A follower reaches its upstream over TCP, and names its own node in `report_host`. Nothing is kept back for one:
    logs are removed by their age.
    """

    def __init__(self, server: "BinlogServer") -> None:
        self._server = server
        self._node = server.node
        self._flavour = server.flavour

    @property
    def _upstream(self) -> Upstream:
        assert self._node.upstream is not None, "only a node with an upstream follows"
        return self._node.upstream

    @property
    def _upstream_place(self) -> tuple[str, int]:
        return self._upstream.address, self._upstream.port

    def copy_upstream(self) -> None:
        """
        Make the data directory a copy of the upstream's, which runs, or has never run.

        Where the upstream's log has all that it ever did, a fresh directory is enough for a new node: the log does the
        rest. One that was a primary before would pass over what it wrote then.

        Raises:
            EngineError: it cannot be copied.
        """
        node = self._node
        programs.end(node.folder, (*self._flavour.writers, "cp"))
        for remains in node.folder.glob(f"{UNFINISHED}*"):
            clear(remains)
        if is_data_directory(node.data_dir):
            return
        if position_to_take(node.upstream_here):
            self._copy_aside(self._copy_restored)
        elif self._has_upstream_begun() and not (self._is_new() and self._has_upstream_whole_log()):
            self._copy_aside(self._server.copy_running)
        else:
            self._server.means.directories.make(node)
        write_role(node, Role.FOLLOWER)
        make_durable(node.folder, tree=False)

    def _has_upstream_begun(self) -> bool:
        return _has_begun(self._node.upstream_here)

    def _is_new(self) -> bool:
        """Whether it was never configured, and so cannot have written anything."""
        return not configuration.config_path(self._node).exists()

    def _has_upstream_whole_log(self) -> bool:
        with sessions.follower_session(self._upstream) as connection:
            return self._flavour.has_whole_log(connection)

    def _copy_restored(self, unfinished: Path) -> None:
        """Of an upstream that was restored and has not served since: both begin at the same position."""
        upstream = self._node.upstream_here
        if type(self._server)(upstream, self._server.means).is_running():
            raise EngineError(f"{upstream.node_id} is just being started.")
        command = (
            "cp",
            "--archive",
            "--reflink=auto",
            "--no-target-directory",
            upstream.data_dir,
            unfinished,
        )
        programs.run(command, self._node.user, folder=self._node.folder)
        with self._node.user.acting():
            identify(unfinished)
        make_durable(unfinished, tree=True)

    def _copy_aside(self, copy: Callable[[Path], None]) -> None:
        node = self._node
        unfinished = node.folder / (UNFINISHED + secrets.token_hex(4))
        try:
            node.user.make_folder(unfinished)
            copy(unfinished)
            unfinished.rename(node.data_dir)
        except (HostError, OSError) as error:
            raise EngineError(f"{node.data_dir} could not be made: {error}") from error
        finally:
            clear(unfinished)

    def go_on(self) -> None:
        """Have one that runs follow, if it is to and does not; whether the upstream is there will show.

        It may just have been started, or its promotion was cut off.
        """
        if role_of(self._node) is not Role.FOLLOWER or self._node.upstream is None:
            return
        with sessions.session(self._node) as connection:
            channel = self._flavour.channel(connection)
            if channel is None or not channel.is_well or channel.upstream != self._upstream_place:
                self._turn(connection)

    def _drain(self, connection: sessions.Connection) -> Channel | None:
        """
        Receive nothing more, and apply what was received, by a server that runs or before it was started anew.

        It may be all that is left of what was acknowledged. Returns what stands where not all can be applied.
        """
        flavour = self._flavour
        channel = flavour.channel(connection)
        if channel is None:
            return None
        if channel.applies:
            sessions.execute(connection, flavour.stop_receiving)
        else:
            sessions.execute(connection, flavour.stop_following)
            if not flavour.begin_draining(connection, self._node):
                return None
        return self._applies_rest(connection)

    def _turn(self, connection: sessions.Connection) -> None:
        """
        To the upstream, from where it is, which is all that its own log has: first it applies what it has received.

        Raises:
            Diverged: it has what the upstream lacks.
            EngineError: it does not leave the one before.
        """
        flavour, upstream = self._flavour, self._upstream
        # To turn drops the rest, to be fetched again; what cannot be applied, as it is not whole, is left to that.
        if self._drain(connection):
            logger.warning("%s could not apply all that it had received", self._node.node_id)
        sessions.execute(connection, flavour.stop_following)
        self._require_kin(connection)
        flavour.adopt_own_position(connection)
        password = password_of(upstream.secret, sessions.FOLLOWER)
        for statement, parameters in flavour.turn_to(upstream, sessions.FOLLOWER, password):
            sessions.execute(connection, statement, *parameters)

    def _require_kin(self, connection: sessions.Connection) -> None:
        """
        Raises:
            Diverged: it has what the upstream lacks.
        """
        if lacking := self._flavour.lacking(connection, self._upstream):
            raise Diverged(f"{self._upstream.node_id} lacks what {self._node.node_id} has: {lacking}")

    def follow(self) -> None:
        """
        Start as a standby of the upstream, or turn to it from another, and return once it streams.

        Raises:
            Diverged: it can only be copied anew.
            EngineError: it runs as a primary, or does not come to stream.
        """
        try:
            self._follow()
        except Diverged:
            if not self._is_blank():
                raise
            # It was to get all from the upstream's log, of which the beginning was cleared away meanwhile.
            self._copy_anew()
            self._follow()

    def _is_blank(self) -> bool:
        with sessions.session(self._node) as connection:
            return not sessions.scalar(connection, self._flavour.position)

    def launch(self) -> None:
        """
        Begin to start the server; nobody is followed yet.

        Raises:
            EngineError: it cannot be started.
        """
        self._server.configure()
        self._server.launch()

    def _follow(self) -> None:
        server = self._server
        running = server.is_running()
        if running and role_of(self._node) is Role.PRIMARY:
            raise EngineError(f"{self._node.node_id} runs as a primary, and cannot follow another server.")
        server.configure()
        server.come_up()
        is_blank = self._is_blank()
        if running:
            server.reload()
        self.go_on()
        self._await_streaming()
        with sessions.session(self._node) as connection:
            self._require_kin(connection)  # the upstream may not have answered before
        if is_blank:
            # It is no copy before it has what the upstream had when it was made, the accounts of clients too.
            self.catch_up(_APPLYING_SECONDS)

    def _await_streaming(self) -> None:
        channel: Channel | None = None

        def has_settled() -> bool:
            nonlocal channel
            channel = self._channel()
            return channel is None or channel.has_given_up or channel.is_well

        wait_until(has_settled, _STREAMING_SECONDS, every=0.005)
        if channel is not None and channel.is_well:
            return
        problem = channel.error if channel else "it follows nobody"
        kind = Diverged if channel and channel.io_error in self._flavour.gone_for_good else EngineError
        raise kind(f"{self._node.node_id} does not stream from {self._upstream.node_id}: {problem}")

    def _channel(self) -> Channel | None:
        with sessions.session(self._node) as connection:
            return self._flavour.channel(connection)

    def rejoin(self) -> str:
        """
        Follow the upstream after having been its equal, or after having lost touch.

        One that has what the upstream lacks is copied anew: nothing is ever merged.

        Raises:
            EngineError: not even as a new copy does it come to stream, or the upstream does not answer.
        """
        if self._is_well():
            return _ATTACHED
        self.archive_remains()
        try:
            self._attach()
            return _ATTACHED
        except EngineError:
            self._copy_anew()
        self.follow()
        return _COPIED

    def _is_well(self) -> bool:
        """One that follows as it should, and listens where it should."""
        server = self._server
        if not server.is_running() or role_of(self._node) is not Role.FOLLOWER or not server.answers():
            return False
        with sessions.session(self._node) as connection:
            channel = self._flavour.channel(connection)
            return (
                channel is not None
                and channel.is_well
                and channel.upstream == self._upstream_place
                and not self._flavour.lacking(connection, self._upstream)
            )

    def _attach(self) -> None:
        """
        Raises:
            EngineError: it does not follow with the data that it has.
        """
        server = self._server
        if not is_data_directory(self._node.data_dir):
            raise EngineError(f"{self._node.node_id} has no data.")
        if server.is_running() and not server.answers():
            server.stop()  # where it listens is settled when it starts
        if server.is_running():
            server.close_to_clients()
        server.configure()
        self.follow()

    def _copy_anew(self) -> None:
        """What is there is given up only while there is something to copy."""
        with sessions.follower_session(self._upstream):
            pass
        self._server.stop()
        clear(self._node.data_dir)
        self.copy_upstream()

    def archive_remains(self) -> None:
        """
        A primary that was killed may be the only one that has the log it did not archive.

        Raises:
            EngineError: it cannot be put into the archive.
        """
        if is_data_directory(self._node.data_dir) and self.is_primary() and not self._server.is_running():
            self._server.archive_remains()

    def prepare_successor(self) -> None:
        """
        Note which scheduled events rest; where they still do since it was promoted, have them run first.

        Raises:
            EngineError: it does not answer, or takes no writes.
        """
        if not self.take_up_rest():
            scheduled.note(self._node)

    def demote(self) -> str:
        """
        End the service of a primary: nothing more is written, and clients are cut. It lives on, and can be read.

        One that was stopped is started for it: it is the one to say what it has. Of one that crashed the last position
        is not known before it has recovered, and nobody is to wait for that.

        Raises:
            EngineError: it does not come to that.
        """
        server = self._server
        if not server.is_running() and not ended_well(self._node):
            raise EngineError(f"{self._node.node_id} was not shut down cleanly.")
        if role_of(self._node) is Role.PRIMARY:
            write_role(self._node, Role.DEMOTED)
        if not server.is_running():
            server.configure()
            server.start()
        return server.close_to_clients(cut=True)

    def resume(self) -> None:
        """
        Have a primary serve, and take writes as far as its volume allows.

        Raises:
            EngineError: it follows another, or does not come up.
        """
        if role_of(self._node) is Role.FOLLOWER:
            raise EngineError(f"{self._node.node_id} follows another server, and cannot serve as a primary.")
        write_role(self._node, Role.PRIMARY)
        if not self._server.is_running():
            self._server.configure()
            self._server.start()
        self._server.open_to_clients()

    def await_position(self, position: str, seconds: float) -> None:
        """
        Wait until a standby has applied all up to a position of its upstream.

        Raises:
            EngineError: it was not within this time.
        """
        if not position:
            return
        with sessions.session(self._node, statement_seconds=seconds + 5) as connection:
            found = sessions.scalar(connection, self._flavour.await_position, position, seconds)
        if found != self._flavour.reached:
            raise EngineError(f"{self._node.node_id} has not all that its primary wrote, up to {position}.")

    def catch_up(self, seconds: float) -> None:
        """
        Wait until all that the upstream has committed by now has been applied.

        Raises:
            EngineError: it was not within this time, or the upstream does not answer.
        """
        with sessions.follower_session(self._upstream) as connection:
            position = str(sessions.scalar(connection, self._flavour.position) or "")
        self.await_position(position, seconds)

    def promote(self) -> None:
        """
        Make a standby a primary, once it has applied all that it has received.

        Raises:
            EngineError: it does not become one; the message says what it cannot apply.
        """
        with sessions.session(self._node) as connection:
            follows = self._flavour.channel(connection) is not None
            if not self.is_primary():
                if follows:
                    self._apply_rest(connection)
                    sessions.execute(connection, self._flavour.stop_following)
                write_role(self._node, Role.PRIMARY)
            if not self._node.read_only:
                sessions.set_globals(connection, self._flavour.read_only(False))
            # Clients need not wait for this.
            if follows:
                sessions.execute(connection, self._flavour.forget_upstream)

    def take_up(self) -> None:
        """Scheduled events run, but those that rested on the primary before; with a full volume once there is room."""
        try:
            scheduled.put_off(self._node)
            if not self._node.read_only:
                scheduled.wake(self._node)
        except (EngineError, HostError, OSError):
            logger.warning("not all events of %s run", self._node.node_id, exc_info=True)

    def take_up_rest(self) -> bool:
        """Whether there was something that had been put off when it was promoted; it is tried again."""
        if not self.is_primary() or not scheduled.is_put_off(self._node):
            return False
        self.take_up()
        return True

    def _apply_rest(self, connection: sessions.Connection) -> None:
        if channel := self._drain(connection):
            raise EngineError(
                f"{self._node.node_id} has not applied all that it has received: {channel.error}"
            )

    def _applies_rest(self, connection: sessions.Connection) -> Channel | None:
        """Wait until all that was received is applied; returns what stands where that does not come about."""
        channel: Channel | None = None

        def has_settled() -> bool:
            nonlocal channel
            channel = self._flavour.channel(connection)
            return channel is None or channel.is_drained or not channel.applies

        wait_until(has_settled, _APPLYING_SECONDS, every=0.001)
        return channel if channel is not None and not channel.is_drained else None

    def is_primary(self) -> bool:
        return role_of(self._node) is not Role.FOLLOWER

    def state(self) -> StandbyState:
        channel = self._channel()
        if role_of(self._node) is not Role.FOLLOWER:
            return StandbyState(is_standby=False, streaming=False, lag_bytes=0, lag_seconds=0.0)
        if channel is None:
            return StandbyState(is_standby=True, streaming=False, lag_bytes=0, lag_seconds=0.0)
        lag = channel.lag_bytes
        return StandbyState(True, channel.receives, lag, channel.lag_seconds if lag else 0.0)

    def followers(self) -> tuple[Follower, ...]:
        """`lag_bytes` is 0 where all was sent to each, else as much as has been written to the log that is not full."""
        server_id, host = self._flavour.follower_columns
        with sessions.session(self._node) as connection:
            seen = sessions.rows(connection, self._flavour.followers)
            confirming = self._confirming() if self._waits(connection) else frozenset()
            lag = 0 if self._has_sent_all(connection) else self._log_bytes(connection)
        names = sorted(
            str(row[host]) for row in seen if row[server_id] == configuration.server_id(str(row[host]))
        )
        return tuple(Follower(name, True, name in confirming, lag) for name in names)

    def _waits(self, connection: sessions.Connection) -> bool:
        """Whether commits wait; a server may have given up, which it then says here."""
        return sessions.status(connection, self._flavour.semisync.status) == "ON"

    def _has_sent_all(self, connection: sessions.Connection) -> bool:
        states = [
            str(row["State"] or "")
            for row in sessions.rows(connection, "SHOW PROCESSLIST")
            if row["Command"] in self._flavour.dump_commands
        ]
        return all(state.startswith(self._flavour.all_sent) for state in states)

    def _log_bytes(self, connection: sessions.Connection) -> int:
        logs = sessions.rows(connection, "SHOW BINARY LOGS")
        return int(logs[-1]["File_size"]) if logs else 0

    def note_confirming(self) -> None:
        """Write down for whom commits of the server wait."""
        path = self._node.folder / _CONFIRMING
        self._node.user.write(path, "\n".join(self._node.confirmed_by), drafts=self._node.folder)

    def _confirming(self) -> frozenset[str]:
        with contextlib.suppress(OSError):
            return frozenset(self._node.user.read(self._node.folder / _CONFIRMING).decode().split("\n"))
        return frozenset()

    def await_confirmation(self, seconds: float) -> None:
        """
        Wait until each commit is confirmed, and whoever confirms it has all that was acknowledged before.

        Raises:
            EngineError: not within this time, for none of those who shall confirm is there.
        """
        if not self._node.confirmed_by:
            return
        self._server.reload()
        clients = self._flavour.semisync.clients
        with sessions.session(self._node) as connection:

            def is_somebody_there() -> bool:
                return int(sessions.status(connection, clients) or 0) > 0

            if not wait_until(is_somebody_there, seconds):
                raise EngineError(f"No standby of {self._node.node_id} confirms its commits.")
        self._confirm_mark(seconds)

    def _confirm_mark(self, seconds: float) -> None:
        """A commit of ours, which is acknowledged once it and all before it are confirmed."""
        nobody = EngineError(f"No standby of {self._node.node_id} confirms its commits.")
        try:
            with sessions.ended_after(self._node, seconds) as connection:
                sessions.execute(connection, _MARK)
                if not self._waits(connection):
                    raise nobody
        except EngineError as error:
            raise nobody from error

    def forget(self, node_id: str) -> None:
        """Nothing is kept back for followers."""

    def forget_others(self, node_ids: Collection[str]) -> None:
        """Nothing is kept back for followers."""


def _has_begun(node: NodeSpec) -> bool:
    """Data on which no server has run has no log yet."""
    with node.user.acting():
        return any(node.data_dir.glob("binlog.*"))
