"""The engines that this host has, for the tests of all of them."""

import os
from functools import cache
from pathlib import Path

import pytest

from openrds.domain.engine import EngineName
from openrds.engines.protocol import Engine, Installation, NodeSpec
from openrds.engines.registry import engines_of_host, found_on_host
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers

#: Of this checkout, where `make setup` and `make test` put what they fetch.
_FETCHED = Path(__file__).resolve().parents[2] / ".engines"

#: Where servers are looked for beside the places where distributions put them.
ENGINE_DIRS = tuple(
    Path(place) for place in os.environ.get("OPENRDS_ENGINE_DIRS", str(_FETCHED)).split(",") if place
)


@cache
def found(name: EngineName) -> tuple[Installation, ...]:
    """The servers of an engine that there are for the tests, the newest last."""
    known = engines_of_host(Path("/nowhere"), ServerUsers(ServerUser.choose()))
    return found_on_host(name, None, ENGINE_DIRS) if name in known else ()


def why_missing(name: EngineName) -> str:
    """Why there is no server of it, as `make test` has seen; empty where there is one."""
    if found(name):
        return ""
    try:
        return (_FETCHED / f"{name.lower()}.missing").read_text().strip()
    except OSError:
        return f"this host has no {name}: make setup ENGINE={name.lower()}"


def needs_engine(name: EngineName) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not found(name), reason=why_missing(name))


def build(name: EngineName, data_dir: Path, users: ServerUsers, spares: int = 0) -> Engine | None:
    """None where openrds does not have the engine."""
    return engines_of_host(data_dir, users, ENGINE_DIRS, spares).get(name)


def initialise(name: EngineName, data_dir: Path, node: NodeSpec) -> None:
    """For a process of its own, which makes the engine anew."""
    engine = build(name, data_dir, ServerUsers.choose(data_dir))
    assert engine is not None
    engine.initialise(node)
