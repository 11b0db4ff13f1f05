"""What the tests of engines share beside their fixtures."""

from pathlib import Path

from openrds.engines.protocol import Engine, NodeSpec
from openrds.hosts.users import ServerUsers

#: Of the administrators.
PASSWORD = "Secret#Word_1"


def initialise(kind: type[Engine], data_dir: Path, node: NodeSpec) -> None:
    """For a process of its own, which makes the engine anew."""
    kind(data_dir, ServerUsers.choose(data_dir), spare_data_dirs=0).initialise(node)  # type: ignore[call-arg]
