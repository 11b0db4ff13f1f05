"""A kind of database on this host."""

from typing import Protocol

from openrds.domain.engine import EngineName
from openrds.engines.protocol.accounts import Accounts
from openrds.engines.protocol.backups import Backups
from openrds.engines.protocol.copies import Copying
from openrds.engines.protocol.logs import ServerLogs
from openrds.engines.protocol.node import Installation, NodeSpec, Size
from openrds.engines.protocol.parameters import Parameters
from openrds.engines.protocol.server import Server
from openrds.engines.protocol.upgrades import Upgrades


class Engine(Protocol):
    """A kind of database on this host."""

    name: EngineName

    @property
    def backups(self) -> Backups: ...

    @property
    def copying(self) -> Copying: ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def logs(self) -> ServerLogs: ...

    @property
    def parameters(self) -> Parameters: ...

    @property
    def upgrades(self) -> Upgrades: ...

    def installations(self) -> tuple[Installation, ...]:
        """What this host has, newest version last: of each version that a request may name, the newest."""

    def installation(self, version: str, complete_version: str) -> Installation | None:
        """The very one, or where this host has not got it any more, the newest of the version."""

    def initialise(self, node: NodeSpec) -> None:
        """Make a fresh data directory of the node's user, never a copy of another.

        It appears whole or not at all, and takes a spare one from the pool where there is one.
        """

    def spare_owners(self, installation: Installation) -> list[int]:
        """The ids of the operating system's users that the spare data directories in the pool were made for."""

    @staticmethod
    def seal_password(password: str) -> str:
        """What the servers keep instead of the password of an account. Pure: no server is asked."""

    def must_restart_followers(self, old: Size, new: Size) -> bool:
        """Whether followers must be restarted with settings that fit, when their upstream changes its size."""

    def server(self, node: NodeSpec) -> Server: ...

    def out_of_reach(self, node: NodeSpec) -> NodeSpec:
        """The same node where its followers find it and clients do not, and could not write."""

    def fill_pool(self) -> None:
        """Bring the pool of spare data directories to its size; returns once it is full."""
