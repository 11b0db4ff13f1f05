"""The engines that this host has, for the tests of all of them."""

import os
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.protocol import Engine, NodeSpec
from openrds.engines.registry import engines_of_host
from openrds.hosts.users import ServerUsers

#: Where engines are looked for beside the places where distributions put them.
ENGINE_DIRS = tuple(
    Path(place) for place in os.environ.get("OPENRDS_TEST_ENGINE_DIRS", "").split(":") if place
)


def build(name: EngineName, data_dir: Path, users: ServerUsers, spares: int = 0) -> Engine | None:
    """None where openrds does not have the engine."""
    return engines_of_host(data_dir, users, ENGINE_DIRS, spares).get(name)


def initialise(name: EngineName, data_dir: Path, node: NodeSpec) -> None:
    """For a process of its own, which makes the engine anew."""
    engine = build(name, data_dir, ServerUsers.choose(data_dir))
    assert engine is not None
    engine.initialise(node)
