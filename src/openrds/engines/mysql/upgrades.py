"""Not between versions: see `EngineRules.upgrades`."""

from openrds.engines.binlog.upgrades import BinlogUpgrades
from openrds.engines.protocol import EngineError, NodeSpec


class MySQLUpgrades(BinlogUpgrades):
    def check(self, old: NodeSpec, new: NodeSpec) -> str:
        return f"{old.engine} is not upgraded to another version"

    def check_at_rest(self, old: NodeSpec) -> str:
        return ""

    def upgrade(self, old: NodeSpec, new: NodeSpec) -> None:
        """
        Raises:
            EngineError: always.
        """
        raise EngineError(self.check(old, new))

    def discard(self, new: NodeSpec) -> None:
        """There is nothing."""

    def complete(self, node: NodeSpec, before: str) -> None:
        """There is nothing."""
