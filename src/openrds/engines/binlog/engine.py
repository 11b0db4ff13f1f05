"""MySQL or MariaDB on this host."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from openrds.engines.binlog.account_changes import BinlogAccounts
from openrds.engines.binlog.backups import BinlogBackups
from openrds.engines.binlog.copying import BinlogCopying
from openrds.engines.binlog.datadirs import recipe_of
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.parameters import BinlogParameters
from openrds.engines.binlog.server import BinlogServer, Means
from openrds.engines.binlog.server_logs import BinlogServerLogs
from openrds.engines.binlog.upgrades import BinlogUpgrades
from openrds.engines.discovery import Installations, Kind
from openrds.engines.pool import DataDirectories
from openrds.engines.protocol import Installation, NodeSpec, Size
from openrds.hosts.addresses import free_port
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.users import ServerUsers


class BinlogEngine:
    """`data_dir` is openrds' own; `spare_data_dirs` is how many are kept ready of each version; servers are held to
    their flavors by `limits`.

    What is one engine's own are `kind` and `flavour`, and the classes of its servers and backups.
    """

    kind: ClassVar[Kind]
    flavour: ClassVar[type[Flavour]]
    servers: ClassVar[type[BinlogServer]]
    backups_of: ClassVar[type[BinlogBackups]]
    upgrades_of: ClassVar[type[BinlogUpgrades]]

    def __init__(
        self,
        data_dir: Path,
        users: ServerUsers,
        engine_dirs: Iterable[Path] = (),
        spare_data_dirs: int = 1,
        limits: Limits | None = None,
    ) -> None:
        flavour = self.flavour()
        self._installations = Installations(self.kind, data_dir, engine_dirs, users)
        self._directories = DataDirectories(recipe_of(flavour), data_dir / "pool", users, spare_data_dirs)
        self._means = Means(flavour, self._directories, limits or NoLimits())
        self.backups = self.backups_of(self._means)
        self.copying = BinlogCopying(flavour)
        self.accounts = BinlogAccounts(flavour)
        self.logs = BinlogServerLogs()
        self.parameters = BinlogParameters(self)
        self.upgrades = self.upgrades_of(self._means)

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

    def must_restart_followers(self, old: Size, new: Size) -> bool:
        """A follower may be smaller than its upstream."""
        return False

    def initialise(self, node: NodeSpec) -> None:
        self._directories.make(node)

    def spare_owners(self, installation: Installation) -> list[int]:
        return self._directories.owners(installation)

    def server(self, node: NodeSpec) -> BinlogServer:
        return self.servers(node, self._means)

    def out_of_reach(self, node: NodeSpec) -> NodeSpec:
        """Its followers come over TCP, as clients do, who do not know this port."""
        return replace(node, port=free_port(node.address), read_only=True)

    def fill_pool(self) -> None:
        self._directories.fill(self.installations())
