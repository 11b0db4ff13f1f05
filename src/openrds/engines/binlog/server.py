"""One server of MySQL or MariaDB."""

import itertools
import logging
import os
import signal
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from openrds.domain.deadline import ended_with_step
from openrds.engines import programs
from openrds.engines.binlog import accounts, configuration, daemon, sessions
from openrds.engines.binlog.datadirs import is_data_directory
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.replication import BinlogReplication, Diverged
from openrds.engines.binlog.roles import Role, forget_position, position_to_take, role_of, write_role
from openrds.engines.binlog.shipping import ship_remains
from openrds.engines.certificates import keep_identity
from openrds.engines.logs import LogTail, remove_older
from openrds.engines.pool import DataDirectories
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts import commands, processes
from openrds.hosts.addresses import port_is_free
from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home
from openrds.hosts.limits import Limit, Limits, NoLimits
from openrds.hosts.processes import Process, wait_until

logger = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGTERM,)
_STOP_SECONDS = 60.0
_LOG_DAYS = 7
_MOST_LOG_BYTES = 10 * 2**20
_SOCKET_PATH_BYTES = 107
#: Between looks at a server that starts, and how long each waits for its greeting.
_LOOK_SECONDS = 0.005
_GREETING_SECONDS = 1.0
#: Within which clients that hold up a change to read-only have ended.
_CLOSING_SECONDS = 20.0


@dataclass(frozen=True)
class Means:
    """What servers of a flavour have of their engine: `directories` where fresh data comes from, and limits."""

    flavour: Flavour
    directories: DataDirectories
    limits: Limits = NoLimits()  # noqa: RUF009 - has no state


class BinlogServer:
    """`start_seconds` is how long a start may take; the recovery after a crash can be long."""

    #: Whether its configuration is to survive a power cut.
    _durable = True

    def __init__(self, node: NodeSpec, means: Means, start_seconds: float = 600.0) -> None:
        self.node = node
        self.means = means
        self._start_seconds = start_seconds
        self._record = node.folder / processes.RECORD

    @property
    def flavour(self) -> Flavour:
        return self.means.flavour

    @property
    def replication(self) -> BinlogReplication:
        return BinlogReplication(self)

    def configure(self) -> None:
        """
        Write the configuration files; a running server reads them when it is started again.

        Raises:
            EngineError: there is no data directory, or a path cannot be used.
        """
        self._require_data()
        self._make_folders()
        if self.node.upstream is not None:
            write_role(self.node, Role.FOLLOWER)
        self.write_configuration()

    def reload(self) -> None:
        """
        Write the configuration files, and have the running server take what can be changed while it runs.

        Raises:
            EngineError: it does not run.
        """
        self.configure()
        with sessions.session(self.node) as connection:
            sessions.set_globals(connection, configuration.semisync(self.node, self.flavour))

    def keep_certificate(self) -> str:
        return keep_identity(self.node)

    def load_certificate(self) -> None:
        """
        Raises:
            EngineError: it does not run.
        """
        with sessions.session(self.node) as connection:
            self.flavour.load_certificate(connection)

    def _settings(self) -> dict[str, str]:
        return configuration.settings(self.node, self.flavour)

    def write_configuration(self) -> None:
        """The files alone, whatever the node's role is to become."""
        node = self.node
        self.keep_certificate()
        for path, text in (
            (configuration.config_path(node), configuration.as_file(self._settings())),
            (configuration.init_path(node), accounts.init_sql(node, self.flavour)),
        ):
            node.user.write(path, text, durable=self._durable)
        self.replication.note_confirming()

    def start(self) -> None:
        """
        Start the server unless it runs, and return once it answers; one that follows goes on to.

        One that has what its upstream lacks follows nobody: to try again would not help, and it can be read meanwhile.

        Raises:
            EngineError: it did not come up. One that is still recovering when the time is up is left to go
                on, so that starting it again later is of use.
        """
        self.come_up()
        try:
            self.replication.go_on()
        except Diverged as error:
            logger.warning("%s; it follows nobody", error)

    def launch(self) -> None:
        """
        Begin to start the server unless it runs.

        Raises:
            EngineError: it cannot be started.
        """
        self._require_data()
        self._make_folders()
        self._found_or_spawned()

    def come_up(self) -> None:
        """
        The same as `start`, but that nobody is followed yet.

        Raises:
            EngineError: it did not come up.
        """
        self._require_data()
        self._make_folders()
        log = LogTail(configuration.log_folder(self.node), self.node.user)
        if not self._comes_up(self._found_or_spawned(), log) and not self._comes_up(
            self._found_or_spawned(), log
        ):
            raise self._error(f"it did not start.\n{log.last_lines()}")
        self._take_position()

    def stop(self) -> None:
        """
        Stop the server cleanly if it runs, and see that nothing of it is left.

        Raises:
            EngineError: it does not die.
        """
        process = self._process()
        try:
            if process is not None:
                process.stop(_STOP_SIGNALS, _STOP_SECONDS)
            else:
                programs.end(self.node.folder, self.flavour.writers)
        except HostError as error:
            raise self._error(str(error)) from error

    def is_running(self) -> bool:
        return self._process() is not None

    def answers(self) -> bool:
        try:
            with sessions.session(self.node) as connection:
                sessions.execute(connection, "SELECT 1")
        except EngineError:
            return False
        return sessions.accepts(self.node)

    def hangs(self) -> bool:
        try:
            return self.is_running() and not sessions.is_greeted(self.node)
        except OSError:
            return False

    def kill(self) -> None:
        """
        End the server's process as a crash would.

        Raises:
            EngineError: it does not die.
        """
        process = self._process()
        try:
            if process is not None:
                process.stop()
        except HostError as error:
            raise self._error(str(error)) from error

    def tidy(self, keep_days: int) -> None:
        """
        Remove logs that are older than so many days and a week; those that have grown large are closed first.

        Raises:
            EngineError: a file cannot be removed.
        """
        folder = configuration.log_folder(self.node)
        try:
            self._close_large_log(configuration.error_log(self.node), "FLUSH ERROR LOGS")
            self._close_large_log(configuration.slow_log(self.node), "FLUSH SLOW LOGS")
            with self.node.user.acting():
                remove_older(folder, max(keep_days, _LOG_DAYS))
        except OSError as error:
            raise self._error(str(error)) from error

    def set_read_only(self, read_only: bool) -> None:
        self.node = replace(self.node, read_only=read_only)
        self.configure()
        if not self.is_running():
            return
        if read_only:
            self.close_to_clients()
        else:
            self.open_to_clients()
            self.replication.take_up_rest()

    def close_to_clients(self, *, cut: bool = False) -> str:
        """
        Have clients change nothing from now on, and return the position of the last thing that was written.

        Who is at it is ended, as the server would wait for them. Where that is not enough all are ended: one that is
        idle may hold locks on tables. With `cut` all are ended in any case.

        Raises:
            EngineError: it does not come to that.
        """
        gently = () if cut else (sessions.end_writers,)
        ends = itertools.chain(gently, itertools.repeat(sessions.end_clients))
        position = ""

        def is_closed() -> bool:
            nonlocal position
            with sessions.session(self.node) as connection:
                next(ends)(connection)
                try:
                    sessions.set_globals(connection, self.flavour.read_only(True))
                except sessions.WAITED_TOO_LONG:
                    return False
                position = str(sessions.scalar(connection, self.flavour.position) or "")
                # Who was between two statements has been let by until now.
                (sessions.end_clients if cut else sessions.end_writers)(connection)
            return True

        if not wait_until(is_closed, _CLOSING_SECONDS):
            raise self._error("its clients do not end what they write.")
        return position

    def open_to_clients(self) -> None:
        """Let clients write, where the node's word and the role of its data allow it.

        Raises:
            EngineError: it does not run.
        """
        if not self.node.read_only and role_of(self.node) is Role.PRIMARY:
            with sessions.session(self.node) as connection:
                sessions.set_globals(connection, self.flavour.read_only(False))

    def set_administrator(self, name: str, sealed_password: str) -> None:
        """
        Create the administrator, or give it another password; it may do all that is a tenant's to do.

        Raises:
            EngineError: the server refused.
        """
        with sessions.session(self.node, logged=True) as connection:
            accounts.set_administrator(connection, self.node, self.flavour, name, sealed_password)

    def set_remote_access(self, name: str, allowed: bool) -> None:
        """
        Let the administrator log in from everywhere, or only from where the service itself is.

        Raises:
            EngineError: the server refused.
        """
        with sessions.session(self.node, logged=True) as connection:
            accounts.set_remote_access(connection, self.node, self.flavour, name, allowed)

    def copy_running(self, folder: Path) -> None:
        """
        Copy the running upstream's data into an empty folder of the node's user, with its position.

        Raises:
            EngineError: it cannot be copied.
        """
        raise NotImplementedError

    def archive_remains(self) -> None:
        """
        Put what this dead server did not archive of its log into the archive.

        Raises:
            EngineError: it cannot be put there.
        """
        ship_remains(self.node, self.flavour)

    def pid(self) -> int:
        """0 if it does not run."""
        process = self._process()
        return process.pid if process else 0

    def _process(self) -> Process | None:
        return daemon.find(self.node, self.flavour)

    def _found_or_spawned(self) -> Process:
        with daemon.one_start(self.node):
            return self._process() or self._spawn()

    def _spawn(self) -> Process:
        node = self.node
        try:
            if node.address and not port_is_free(node.address, node.port):
                raise self._error(f"{node.address}:{node.port} is in use by another server.")
            return processes.spawn(
                configuration.command(node, self.flavour),
                self._record,
                configuration.log_folder(node) / "startup.log",
                user=node.user,
                env=programs.ENVIRONMENT,
                stop_signals=_STOP_SIGNALS,
                admit=self._admit,
            )
        except (HostError, OSError) as error:
            raise self._error(str(error)) from error

    def _admit(self, pid: int) -> None:
        self.means.limits.admit(self.node.node_id, Limit(self.node.vcpus, self.node.memory_mb), pid)

    def _comes_up(self, process: Process, log: LogTail) -> bool:
        """Whether it does; False where it ends instead, as one does that is being stopped.

        Raises:
            EngineError: neither, for a long time.
        """

        def is_up() -> bool:
            try:
                return sessions.is_greeted(self.node, _GREETING_SECONDS)
            except OSError:
                return False

        def settled() -> bool:
            return is_up() or not process.is_alive()

        with ended_with_step(lambda: None, lambda: commands.bytes_moved(process.pid)):
            if not wait_until(settled, self._start_seconds, every=_LOOK_SECONDS):
                raise self._error(
                    f"it is still starting after {self._start_seconds:g} s.\n{log.last_lines()}"
                )
        return process.is_alive()

    def _take_position(self) -> None:
        """A copy of data goes on in the log where its source was."""
        if position := position_to_take(self.node):
            with sessions.session(self.node) as connection:
                self.flavour.take_position(connection, position)
            forget_position(self.node)

    def _close_large_log(self, path: Path, flush: str) -> None:
        with self.node.user.acting():
            if not path.is_file() or path.lstat().st_size < _MOST_LOG_BYTES:
                return
            path.rename(path.with_name(f"{path.stem}-{datetime.now(UTC):%Y-%m-%d_%H%M%S}.log"))
        if self.is_running():
            with sessions.session(self.node) as connection:
                sessions.execute(connection, flush)

    def _require_data(self) -> None:
        if not is_data_directory(self.node.data_dir):
            raise self._error(f"there is no data directory in {self.node.data_dir}.")

    def _make_folders(self) -> None:
        node = self.node
        path = sessions.socket_path(node)
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
            raise self._error(f"the path of its socket is longer than {_SOCKET_PATH_BYTES} bytes: {path}")
        try:
            make_home(node.archive.parent)
            make_home(configuration.exchange_folder(node))
            for folder in (
                node.socket_dir,
                node.archive,
                configuration.log_folder(node),
                configuration.temporary_folder(node),
            ):
                node.user.make_folder(folder)
        except HostError as error:
            raise self._error(str(error)) from error

    def _error(self, problem: str) -> EngineError:
        where = f"{self.node.node_id} on {self.node.address}:{self.node.port}"
        return EngineError(f"{self.flavour.engine} {where}: {problem}".rstrip())
