"""PostgreSQL on this host."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.discovery import Installations
from openrds.engines.pool import DataDirectories
from openrds.engines.postgresql import configuration
from openrds.engines.postgresql.accounts import PostgreSQLAccounts
from openrds.engines.postgresql.backups import PostgreSQLBackups
from openrds.engines.postgresql.copying import PostgreSQLCopying
from openrds.engines.postgresql.datadirs import RECIPE
from openrds.engines.postgresql.discovery import KIND
from openrds.engines.postgresql.parameters import PostgreSQLParameters
from openrds.engines.postgresql.passwords import scram_verifier
from openrds.engines.postgresql.programs import Programs
from openrds.engines.postgresql.server import PostgreSQLServer
from openrds.engines.postgresql.server_logs import PostgreSQLServerLogs
from openrds.engines.postgresql.upgrades import PostgreSQLUpgrades
from openrds.engines.protocol import Installation, NodeSpec, Size
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.users import ServerUsers


class PostgreSQL:
    """`data_dir` is openrds' own; `spare_data_dirs` is how many are kept ready of each version; servers are held to
    their flavors by `limits`.
    """

    name = EngineName.POSTGRESQL

    def __init__(
        self,
        data_dir: Path,
        users: ServerUsers,
        engine_dirs: Iterable[Path] = (),
        spare_data_dirs: int = 1,
        limits: Limits | None = None,
    ) -> None:
        self._installations = Installations(KIND, data_dir, engine_dirs, users)
        self._limits = limits or NoLimits()
        self._programs = Programs(self.installations)
        self._data_directories = DataDirectories(RECIPE, data_dir / "pool", users, spare_data_dirs)
        self.backups = PostgreSQLBackups(self._programs)
        self.copying = PostgreSQLCopying(self._programs)
        self.accounts = PostgreSQLAccounts()
        self.logs = PostgreSQLServerLogs()
        self.parameters = PostgreSQLParameters(self)
        self.upgrades = PostgreSQLUpgrades(self._data_directories, self._programs, users.service)

    def installations(self) -> tuple[Installation, ...]:
        """
        What this host has, newest version last.

        Raises:
            HostError: the server user can reach neither the binaries nor a copy of them.
        """
        return self._installations()

    def installation(self, version: str, complete_version: str) -> Installation | None:
        """
        Raises:
            HostError: as above.
        """
        return self._installations.find(version, complete_version)

    @staticmethod
    def seal_password(password: str) -> str:
        return scram_verifier(password)

    def must_restart_followers(self, old: Size, new: Size) -> bool:
        """A standby that lets anybody in must have room for as much as its upstream."""
        return configuration.room_of((old, {})) != configuration.room_of((new, {}))

    def initialise(self, node: NodeSpec) -> None:
        self._data_directories.make(node)

    def spare_owners(self, installation: Installation) -> list[int]:
        return self._data_directories.owners(installation)

    def server(self, node: NodeSpec) -> PostgreSQLServer:
        return PostgreSQLServer(node, self._programs, self._limits)

    def out_of_reach(self, node: NodeSpec) -> NodeSpec:
        """It listens on its Unix socket alone, where its followers come."""
        return replace(node, address="")

    def fill_pool(self) -> None:
        self._data_directories.fill(self.installations())
