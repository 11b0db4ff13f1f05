"""One PostgreSQL server."""

import logging
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from openrds.domain.deadline import ended_with_step
from openrds.domain.metrics import Figures
from openrds.engines.certificates import keep_identity
from openrds.engines.logs import LogTail, prune
from openrds.engines.postgresql import configuration, postmaster, sessions
from openrds.engines.postgresql.control import ControlFile
from openrds.engines.postgresql.datadirs import is_data_directory
from openrds.engines.postgresql.programs import Programs
from openrds.engines.postgresql.replication import PostgreSQLReplication
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts import commands, processes
from openrds.hosts.addresses import port_is_free
from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home, regular_files
from openrds.hosts.limits import Limit, Limits, NoLimits
from openrds.hosts.processes import Process, wait_until

logger = logging.getLogger(__name__)

#: A fast shutdown, then an immediate one, which leaves the next start to recover.
_STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT)
_STOP_SECONDS = 60.0
_ORPHAN_SECONDS = 10.0
#: It reads files that the server could have made into what is never read to its end.
_CHECK_SECONDS = 20.0
_CONNECT_SECONDS = 5.0
_SOCKET_PATH_BYTES = 107

#: From this version on the administrator cannot make itself a member of predefined roles.
_CREATEROLE_IS_BOUNDED = 16

#: The status of a standby that lets nobody in.
_CLOSED = "standby"

_OWN_NAMES = [configuration.SUPERUSER, configuration.LOADER, configuration.FOLLOWER]
#: By the functions that pg_stat_activity and pg_stat_database are made of: planning the views takes longest.
_FIGURES = """
SELECT active, idle, waiting, transactions, hits, reads FROM (
    SELECT count(*) FILTER (WHERE state IN ('active', 'fastpath function call')) AS active,
           count(*) FILTER (WHERE state = 'idle') AS idle,
           count(*) FILTER (WHERE starts_with(state, 'idle in ')) AS waiting
    FROM pg_stat_get_activity(NULL) WHERE backend_type = 'client backend'
      AND usesysid <> ALL(ARRAY(SELECT oid FROM pg_authid WHERE rolname = ANY(%s)))
) AS sessions, (
    SELECT sum(pg_stat_get_db_xact_commit(oid) + pg_stat_get_db_xact_rollback(oid)) AS transactions,
           sum(pg_stat_get_db_blocks_hit(oid)) AS hits,
           sum(pg_stat_get_db_blocks_fetched(oid) - pg_stat_get_db_blocks_hit(oid)) AS reads
    FROM (SELECT oid FROM pg_database UNION ALL SELECT 0) AS databases
) AS done
"""

_UNREADABLE_ACCESS = "SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL LIMIT 1"

#: Nothing of our own environment, which may hold secrets; the archive command needs a path.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}


class PostgreSQLServer:
    """`start_seconds` is how long a start may take; the recovery after a crash can be long."""

    #: Which of the statuses that it writes mean that it is up.
    _up: tuple[str, ...] = ("ready", _CLOSED)
    #: Whether its configuration is to survive a power cut.
    _durable = True

    def __init__(
        self,
        node: NodeSpec,
        programs: Programs | None = None,
        limits: Limits | None = None,
        start_seconds: float = 600.0,
    ) -> None:
        self.node = node
        self._programs = programs or Programs()
        self._limits = limits or NoLimits()
        self._start_seconds = start_seconds
        self._record = node.folder / processes.RECORD

    def configure(self) -> None:
        """
        Write the configuration files; a running server reads them when it is started again.

        Raises:
            EngineError: there is no data directory, or a path cannot be used.
        """
        self._require_data()
        self._make_folders()
        self.keep_certificate()
        for name, text in (
            ("postgresql.conf", self._settings()),
            ("pg_hba.conf", configuration.pg_hba_conf(self.node)),
        ):
            self._write(self.node.data_dir / name, text, durable=self._durable)
        if self.node.upstream is None:
            configuration.passfile(self.node).unlink(missing_ok=True)
        else:
            self._write(configuration.passfile(self.node), configuration.passfile_text(self.node.upstream))
            self._write(configuration.standby_signal(self.node), "")

    def reload(self) -> None:
        """
        Write the configuration files, and have the running server read them.

        Raises:
            EngineError: it does not run.
        """
        self.configure()
        with sessions.superuser_session(self.node) as connection:
            connection.execute("SELECT pg_reload_conf()")

    def keep_certificate(self) -> str:
        return keep_identity(self.node)

    def load_certificate(self) -> None:
        """By a signal, as one that lets nobody in takes no session. It does so in its own time, a few milliseconds."""
        if process := self._process():
            process.send(signal.SIGHUP)

    def load_access(self) -> None:
        """
        Write who may connect, and have the server go by it, if it runs.

        Raises:
            EngineError: it cannot read what was written; it goes on by what it has read before.
        """
        self.configure()
        if not self.is_running():
            return
        if self.is_closed():
            self.load_certificate()  # the same signal
            return
        with sessions.superuser_session(self.node) as connection:
            wrong = connection.execute(_UNREADABLE_ACCESS).fetchall()
            if wrong:
                raise self._error(f"it does not take who may connect: {wrong[0][0]}")
            sessions.reload_configuration(connection)

    def let_followers_in(self, connection: sessions.Connection) -> None:
        """
        Have the role that followers come as, and a server that an older openrds configured know that it may.

        Raises:
            EngineError: it does not read its configuration again.
        """
        hba = self.node.data_dir / "pg_hba.conf"
        self._write(hba, configuration.pg_hba_conf(self.node), durable=self._durable)
        sessions.keep_follower(connection, self.node.secret)
        sessions.reload_configuration(connection)

    @property
    def replication(self) -> PostgreSQLReplication:
        return PostgreSQLReplication(self, self._programs)

    def _settings(self) -> str:
        return configuration.postgresql_conf(self.node, self._room_of_upstream())

    def _room_of_upstream(self) -> Mapping[str, int]:
        """What a standby has heard last of its upstream: until it hears of less, it must allow as much."""
        if self.node.upstream is None:
            return {}
        try:
            return ControlFile.read(self.node).room
        except OSError:
            return {}

    def start(self) -> None:
        """
        Start the server unless it runs, and return once it answers.

        Raises:
            EngineError: it did not come up. One that is still recovering when the time is up is left to go
                on, so that starting it again later is of use.
        """
        self._require_data()
        self._make_folders()
        process = self._process()
        if process is not None and postmaster.status_of(self.node, process) == "stopping":
            self.stop()
            process = None
        log = postmaster.log_tail(self.node)
        self._await_up(process or self._spawn(), log)
        self._bound_administrator()

    def _bound_administrator(self) -> None:
        """What an older openrds, or the one that made a backup, left within reach; a standby has it of its primary."""
        if self.node.upstream is not None or configuration.major_version(self.node) >= _CREATEROLE_IS_BOUNDED:
            return
        try:
            with sessions.superuser_session(self.node) as connection:
                sessions.remove_predefined_roles(connection)
        except EngineError as error:
            logger.warning("predefined roles may be in reach of the administrator: %s", error)

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
                self._programs.end(self.node.folder)
        except HostError as error:
            raise self._error(str(error)) from error
        self._end_orphans()
        self._free_shared_memory()

    def is_running(self) -> bool:
        return self._process() is not None

    def is_closed(self) -> bool:
        """Whether it runs as a standby that lets nobody in, not even us."""
        process = self._process()
        return process is not None and postmaster.status_of(self.node, process) == _CLOSED

    def ask_for_promotion(self) -> None:
        """
        As `pg_ctl promote` does, which needs no session.

        Raises:
            EngineError: it does not run.
        """
        process = self._process()
        if process is None:
            raise self._error("it does not run, and cannot be promoted.")
        self._write(self.node.data_dir / "promote", "")
        process.send(signal.SIGUSR1)

    def answers(self) -> bool:
        try:
            with sessions.superuser_session(self.node) as connection:
                connection.execute("SELECT 1")
            with socket.create_connection((self.node.address, self.node.port), _CONNECT_SECONDS):
                return True
        except (EngineError, OSError):
            return False

    def figures(self) -> Figures:
        """
        Raises:
            EngineError: it does not answer, or lets nobody in.
        """
        with sessions.superuser_session(self.node) as connection:
            row = connection.execute(_FIGURES, [_OWN_NAMES]).fetchone()
        assert row is not None
        active, idle, waiting, transactions, hits, reads = map(int, row)
        return Figures(
            connections_active=active,
            connections_idle=idle,
            connections_idle_in_transaction=waiting,
            transactions=transactions,
            cache_hits=hits,
            cache_reads=reads,
        )

    def hangs(self) -> bool:
        try:
            return self.is_running() and not sessions.is_greeted(self.node)
        except OSError:
            return False

    def kill(self) -> None:
        """
        End the postmaster; its sessions see that and end too, and what does not is ended before the next start.

        Raises:
            EngineError: it does not die.
        """
        process = self._process()
        try:
            if process is not None:
                process.stop()
        except HostError as error:
            raise self._error(str(error)) from error

    def tidy(self) -> None:
        """
        See to its logs, and take from the administrator what it shall not reach.

        Raises:
            EngineError: a file cannot be removed.
        """
        if self.is_running():
            self._bound_administrator()
        self.bound_logs()

    def bound_logs(self) -> None:
        """
        It closes them itself.

        Raises:
            EngineError: a file cannot be removed.
        """
        try:
            with self.node.user.acting():
                files = regular_files(configuration.log_folder(self.node))
                for suffix in configuration.LOG_SUFFIXES:
                    prune(path for path in files if path.suffix == suffix)
        except OSError as error:
            raise self._error(str(error)) from error

    def set_read_only(self, read_only: bool) -> None:
        self.node = replace(self.node, read_only=read_only)
        self.configure()
        if self.is_running():
            with sessions.superuser_session(self.node) as connection:
                sessions.reload_configuration(connection)
                if read_only:
                    sessions.end_transactions(connection)

    def set_administrator(self, name: str, sealed_password: str) -> None:
        """
        Create the administrator, or give it another password; it may do all but be a superuser.

        Raises:
            EngineError: the server refused.
        """
        with sessions.superuser_session(self.node) as connection:
            sessions.set_administrator(connection, name, sealed_password)

    def set_remote_access(self, name: str, allowed: bool) -> None:
        """
        Raises:
            EngineError: roles have no hosts.
        """
        raise self._error(f"{name} may log in from everywhere: its roles have no hosts.")

    def _process(self) -> Process | None:
        """The server as recorded, or found by its lock file where a start that failed spoilt the record."""
        process = processes.find(self._record)
        if process is None:
            process = postmaster.running_on(self.node)
            if process is not None:
                processes.write_record(self._record, process, _STOP_SIGNALS)
        return process

    def _spawn(self) -> Process:
        self._end_orphans()
        postmaster.forget_dead(self.node)
        command = (self.node.installation.bin_dir / postmaster.PROGRAM, "-D", self.node.data_dir)
        log = configuration.log_folder(self.node) / "startup.log"
        try:
            if self.node.address and not port_is_free(self.node.address, self.node.port):
                raise self._error(f"{self.node.address}:{self.node.port} is in use by another server.")
            return processes.spawn(
                command,
                self._record,
                log,
                user=self.node.user,
                env=_ENVIRONMENT,
                stop_signals=_STOP_SIGNALS,
                admit=self._admit,
            )
        except (HostError, OSError) as error:
            raise self._error(str(error)) from error

    def _admit(self, pid: int) -> None:
        self._limits.admit(self.node.node_id, Limit(self.node.vcpus, self.node.memory_mb), pid)

    def _await_up(self, process: Process, log: LogTail) -> None:
        def settled() -> bool:
            return postmaster.status_of(self.node, process) in self._up or not process.is_alive()

        with ended_with_step(lambda: None, lambda: commands.bytes_moved(process.pid)):
            is_settled = wait_until(settled, self._start_seconds)
        if not is_settled:
            raise self._error(f"it is still starting after {self._start_seconds:g} s.\n{log.last_lines()}")
        if process.is_alive():
            return
        winner = self._process()
        if winner is None:
            self._end_orphans()
            raise self._error(f"it did not start.\n{log.last_lines()}")
        self._await_up(winner, log)  # another start was faster than ours

    def _end_orphans(self) -> None:
        """End what a killed server left: its sessions hold the shared memory, and no new one could start."""
        if not self._was_killed():
            return
        for orphan in processes.working_in(self.node.data_dir, postmaster.PROGRAM):
            orphan.send(signal.SIGKILL)
        if not wait_until(self._is_deserted, _ORPHAN_SECONDS):
            raise self._error("processes of the killed server do not die.")

    def _free_shared_memory(self) -> None:
        """
        Give back what a killed server held of the machine's shared memory: the next start would, but it may not come.

        PostgreSQL's own check of a configuration takes shared memory as a start does, and frees what is in its way.
        """
        if not self._was_killed():
            return
        postmaster.forget_dead(self.node)
        program = self.node.installation.bin_dir / postmaster.PROGRAM
        command = (program, "--check", "-D", self.node.data_dir, "-c", "shared_buffers=128kB")
        try:
            self._programs.run(command, self.node.user, seconds=_CHECK_SECONDS)
        except EngineError as error:
            logger.warning("shared memory of the killed server on %s is left: %s", self.node.data_dir, error)

    def _was_killed(self) -> bool:
        """A server that ended by itself has removed its lock file, and has left nothing."""
        return postmaster.lock_path(self.node).exists() and self._process() is None

    def _is_deserted(self) -> bool:
        return not processes.working_in(self.node.data_dir, postmaster.PROGRAM)

    def _write(self, path: Path, text: str, *, durable: bool = True) -> None:
        """
        A file of the data directory, in which a copy or a backup finds nothing that the server may not read.

        Only who has the instance's lock writes, so what else was drafted is of a worker that died.
        """
        for remains in self.node.folder.glob(f".{path.name}.*"):
            remains.unlink(missing_ok=True)
        self.node.user.write(path, text, durable=durable, drafts=self.node.folder)

    def _require_data(self) -> None:
        if not is_data_directory(self.node.data_dir):
            raise self._error(f"there is no data directory in {self.node.data_dir}.")

    def _make_folders(self) -> None:
        path = configuration.socket_path(self.node)
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
            raise self._error(f"the path of its socket is longer than {_SOCKET_PATH_BYTES} bytes: {path}")
        try:
            make_home(self.node.archive.parent)
            for folder in (self.node.socket_dir, self.node.archive, configuration.log_folder(self.node)):
                self.node.user.make_folder(folder)
        except HostError as error:
            raise self._error(str(error)) from error

    def _error(self, problem: str) -> EngineError:
        where = f"{self.node.node_id} on {self.node.address}:{self.node.port}"
        return EngineError(f"PostgreSQL {where}: {problem}".rstrip())
