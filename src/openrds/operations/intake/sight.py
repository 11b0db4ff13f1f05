"""What whoever accepts a call may see of the servers of its own host: it asks them, and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import Engine, NodeSpec
from openrds.operations.steps.owners import Owners, family_of


@dataclass(frozen=True)
class Sight:
    """`socket_root` is a short folder for the sockets of servers."""

    host: str
    nodes_dir: Path
    socket_root: Path
    engines: Mapping[EngineName, Engine]
    owners: Owners

    def find(self, instance: Instance, node: Node) -> NodeSpec | None:
        """A server to be asked over its socket; None for one that is elsewhere."""
        engine = self.engines.get(instance.engine)
        if engine is None or node.host != self.host:
            return None
        found = [one for one in engine.installations() if one.version == instance.version]
        if not found:
            return None
        return NodeSpec(
            node_id=node.id,
            installation=found[0],
            user=self.owners.of(family_of(instance), tuple),
            folder=self.nodes_dir / node.id,
            socket_dir=self.socket_root / node.id,
            archive=self.nodes_dir / node.id / "archive",
            address=node.address or "",
            port=instance.port,
            memory_mb=0,
            vcpus=0,
            secret=instance.secret,
            options=instance.options,
        )
