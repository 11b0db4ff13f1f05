"""MySQL on this host."""

from collections.abc import Iterable
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.binlog.copying import BinlogCopying
from openrds.engines.binlog.datadirs import recipe_of
from openrds.engines.binlog.server import Means
from openrds.engines.discovery import Installations
from openrds.engines.mysql.backups import MySQLBackups
from openrds.engines.mysql.discovery import KIND
from openrds.engines.mysql.flavour import MySQLFlavour
from openrds.engines.mysql.passwords import sha2_hash
from openrds.engines.mysql.server import MySQLServer
from openrds.engines.pool import DataDirectories
from openrds.engines.protocol import Installation, NodeSpec, Size
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.users import ServerUsers


class MySQL:
    """`data_dir` is openrds' own; `spare_data_dirs` is how many are kept ready of each version; servers are held to
    their flavors by `limits`.
    """

    name = EngineName.MYSQL

    def __init__(
        self,
        data_dir: Path,
        users: ServerUsers,
        engine_dirs: Iterable[Path] = (),
        spare_data_dirs: int = 1,
        limits: Limits | None = None,
    ) -> None:
        flavour = MySQLFlavour()
        self._installations = Installations(KIND, data_dir, engine_dirs, users)
        self._directories = DataDirectories(recipe_of(flavour), data_dir / "pool", users, spare_data_dirs)
        self._means = Means(flavour, self._directories, limits or NoLimits())
        self.backups = MySQLBackups(self._means)
        self.copying = BinlogCopying(flavour)

    def installations(self) -> tuple[Installation, ...]:
        """
        What this host has, newest version last.

        Raises:
            HostError: the server user can reach neither the binaries nor a copy of them.
        """
        return self._installations()

    @staticmethod
    def seal_password(password: str) -> str:
        return sha2_hash(password)

    def must_restart_followers(self, old: Size, new: Size) -> bool:
        """A follower may be smaller than its upstream."""
        return False

    def initialise(self, node: NodeSpec) -> None:
        self._directories.make(node)

    def spare_owners(self, installation: Installation) -> list[int]:
        return self._directories.owners(installation)

    def server(self, node: NodeSpec) -> MySQLServer:
        return MySQLServer(node, self._means)

    def fill_pool(self) -> None:
        self._directories.fill(self.installations())
