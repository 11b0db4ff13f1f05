"""What each engine has its own way for: see `openrds.engines.protocol.Upgrades`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from openrds.engines.binlog.server import Means
from openrds.engines.protocol import NodeSpec


@dataclass(frozen=True)
class BinlogUpgrades(ABC):
    means: Means

    @abstractmethod
    def check(self, old: NodeSpec, new: NodeSpec) -> str: ...

    @abstractmethod
    def check_at_rest(self, old: NodeSpec) -> str: ...

    @abstractmethod
    def upgrade(self, old: NodeSpec, new: NodeSpec) -> None: ...

    @abstractmethod
    def discard(self, new: NodeSpec) -> None: ...

    @abstractmethod
    def complete(self, node: NodeSpec, before: str) -> None: ...
