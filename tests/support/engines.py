"""The engines that this host has, for the tests of all of them."""

import os
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.protocol import Engine, NodeSpec
from openrds.engines.registry import engines_of_host
from openrds.hosts.users import ServerUsers

#: Of this checkout, where `make setup` and `make test` put what they fetch.
_FETCHED = Path(__file__).resolve().parents[2] / ".engines"

#: Where engines are looked for beside the places where distributions put them.
ENGINE_DIRS = tuple(
    Path(place) for place in os.environ.get("OPENRDS_ENGINE_DIRS", str(_FETCHED)).split(",") if place
)


def why_missing(name: EngineName) -> str:
    """Why it was not to be had, as `make test` has seen."""
    try:
        return (_FETCHED / f"{name.lower()}.missing").read_text().strip()
    except OSError:
        return f"this host has no {name}: make setup ENGINE={name.lower()}"


def build(name: EngineName, data_dir: Path, users: ServerUsers, spares: int = 0) -> Engine | None:
    """None where openrds does not have the engine."""
    return engines_of_host(data_dir, users, ENGINE_DIRS, spares).get(name)


def initialise(name: EngineName, data_dir: Path, node: NodeSpec) -> None:
    """For a process of its own, which makes the engine anew."""
    engine = build(name, data_dir, ServerUsers.choose(data_dir))
    assert engine is not None
    engine.initialise(node)
