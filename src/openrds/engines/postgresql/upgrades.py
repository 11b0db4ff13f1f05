"""To a newer major version by pg_upgrade: schemas are dumped and loaded, files of tables are copied.

No code of a tenant runs: tables are empty while their definitions are loaded, what is copied is not looked into, and
where a definition would call something all the same, or the check of a domain does more than compute, there is no
upgrade.
"""

import pwd
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from openrds.domain.engine import RULES, EngineName
from openrds.engines import programs
from openrds.engines.pool import DataDirectories
from openrds.engines.postgresql import configuration, pinned, sessions
from openrds.engines.postgresql.accounts import roles
from openrds.engines.postgresql.configuration import SUPERUSER, major_version
from openrds.engines.postgresql.loaded_code import broken_names, what_would_run
from openrds.engines.postgresql.postmaster import PROGRAM
from openrds.engines.postgresql.programs import Programs
from openrds.engines.programs import ENVIRONMENT
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts import commands, processes
from openrds.hosts.folders import clear, make_home
from openrds.hosts.processes import wait_until
from openrds.hosts.user import ServerUser

_ADMINISTRATOR = RULES[EngineName.POSTGRESQL].administrator
#: pg_upgrade, and what it runs in its folder. The servers that it starts work in their data.
_PROGRAMS = ("pg_upgrade", "unshare", "pg_ctl", "pg_dump", "pg_dumpall", "pg_restore", "psql", "pg_resetwal")
_NEEDED = (
    "pg_upgrade",
    "pg_ctl",
    "pg_dump",
    "pg_dumpall",
    "pg_restore",
    "psql",
    "pg_resetwal",
    "pg_controldata",
)
_CHECK_SECONDS = 300.0
_END_SECONDS = 10.0
#: Of what is told of a problem.
_MOST_LETTERS = 2000
#: A schema of many tables is loaded in one transaction.
_SETTINGS = "max_locks_per_transaction = 4096\nlogging_collector = off\n"


@dataclass(frozen=True)
class PostgreSQLUpgrades:
    """`service` is a user with a name."""

    directories: DataDirectories
    programs: Programs
    service: ServerUser

    def check(self, old: NodeSpec, new: NodeSpec) -> str:
        """pg_upgrade's own checks, which a server that serves stands."""
        missing = [name for name in _NEEDED if not (new.installation.bin_dir / name).is_file()]
        if missing:
            return f"this host has no {missing[0]} of PostgreSQL {new.installation.version}: install its programs"
        if problem := self.check_at_rest(old):
            return problem
        try:
            self._prepare(new)
            return self._run(old, new, "--check", seconds=_CHECK_SECONDS)
        finally:
            self.discard(new)

    def check_at_rest(self, old: NodeSpec) -> str:
        """Whether definitions call what a tenant wrote, as they are loaded by a superuser; or a name says something."""
        if names := broken_names(old):
            return f"roles have line breaks in their names: {', '.join(map(repr, names))}; rename them first"
        if not (calls := what_would_run(old)):
            return ""
        told = "; ".join(calls)[:_MOST_LETTERS]
        return (
            f"definitions would call functions while they are loaded by a superuser: {told}. Drop these definitions, "
            "and make them again after the upgrade"
        )

    def upgrade(self, old: NodeSpec, new: NodeSpec) -> None:
        """
        Raises:
            EngineError: pg_upgrade failed.
        """
        self.discard(new)
        self._prepare(new)
        if problem := self._run(old, new):
            raise EngineError(f"pg_upgrade failed: {problem}")

    def discard(self, new: NodeSpec) -> None:
        """
        Raises:
            EngineError: a program does not die.
        """
        programs.end(_work(new), _PROGRAMS)
        for server in processes.working_in(new.data_dir, PROGRAM):
            server.send(signal.SIGKILL)
        if not wait_until(lambda: not processes.working_in(new.data_dir, PROGRAM), _END_SECONDS):
            raise EngineError(f"A server at work in {new.data_dir} does not die.")
        clear(new.folder)
        clear(new.socket_dir)

    def complete(self, node: NodeSpec, before: str) -> None:
        """From version 16 on an administrator has only the roles that it was given, and before that it had all.

        Raises:
            EngineError: the server does not answer, or vacuumdb failed.
        """
        if int(before) < sessions.CREATEROLE_IS_BOUNDED // 10000 <= major_version(node):
            roles.let_administrator_manage_all(node)
        vacuumdb = self.programs.path("vacuumdb", node.installation)
        self.programs.run([vacuumdb, "--all", "--analyze-in-stages", "--quiet"], node.user, node)

    def _prepare(self, new: NodeSpec) -> None:
        make_home(new.folder)
        new.user.make_folder(_work(new))
        new.user.make_folder(new.socket_dir)
        self.directories.make(new)
        new.user.write(new.data_dir / "postgresql.conf", _SETTINGS, drafts=new.folder)
        new.user.write(new.data_dir / "pg_hba.conf", configuration.pg_hba_conf(new), drafts=new.folder)

    def _run(self, old: NodeSpec, new: NodeSpec, *options: str, seconds: float | None = None) -> str:
        """What hinders it, by its own words; empty where it went well."""
        command: tuple[str | Path, ...] = (
            *self._with_name(new.user),
            new.installation.bin_dir / "pg_upgrade",
            f"--username={SUPERUSER}",
            f"--old-bindir={old.installation.bin_dir}",
            f"--new-bindir={new.installation.bin_dir}",
            f"--old-datadir={old.data_dir}",
            f"--new-datadir={new.data_dir}",
            f"--socketdir={new.socket_dir}",
            *options,
        )
        # What owners of databases have set for sessions does not get in the way.
        sessions_bring = pinned.options(major_version(old), lock_seconds=0, statement_seconds=0)
        environment = {**ENVIRONMENT, "PGOPTIONS": sessions_bring}
        try:
            code, output = commands.run(
                command, cwd=_work(new), env=environment, timeout=seconds, **new.user.identity()
            )
        except subprocess.TimeoutExpired:
            return f"pg_upgrade was ended, as it took longer than {seconds:.0f} s"
        except OSError as error:
            raise EngineError(f"pg_upgrade could not be run: {error}") from error
        return "" if code == 0 else self._told(output.decode(errors="replace"), new)

    def _with_name(self, user: ServerUser) -> tuple[str, ...]:
        """pg_upgrade asks what its user is called, and that of an instance has but an id.

        In a user namespace it has the name of another, and its own rights.
        """
        try:
            pwd.getpwuid(user.uid)
        except KeyError:
            names = (f"--map-user={self.service.uid}", f"--map-group={self.service.gid}")
            return ("unshare", "--user", *names, "--")
        return ()

    def _told(self, output: str, new: NodeSpec) -> str:
        """From the check that failed on, without paths, and what the files that it names list."""
        if output.startswith("unshare:"):
            return f"this machine lets servers' users have no user namespace, which pg_upgrade needs: {output.strip()}"
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        first = next((at for at, line in enumerate(lines) if line.endswith(("fatal", "*failure*"))), None)
        told = lines[-5:] if first is None else lines[first:]
        said = [line for line in told if not line.startswith(("/", "Failure, exiting", "*failure*"))]
        return "\n".join((*said, *self._lists(new)))[:_MOST_LETTERS]

    def _lists(self, new: NodeSpec) -> list[str]:
        found = []
        with new.user.acting():
            reports = sorted(new.data_dir.glob("pg_upgrade_output.d/*/*.txt"))
        for report in reports:
            found.append(new.user.read(report).decode(errors="replace").strip())
        return found


def _work(new: NodeSpec) -> Path:
    """Where pg_upgrade works, and leaves a script to remove the old data."""
    return new.folder / "work"
