"""The engines that this host has, for the tests of all of them."""

import importlib
import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any

from openrds.domain.engine import EngineName
from openrds.engines.protocol import Engine, NodeSpec
from openrds.hosts.users import ServerUsers

#: Where engines are looked for beside the places where distributions put them.
ENGINE_DIRS = tuple(
    Path(place) for place in os.environ.get("OPENRDS_TEST_ENGINE_DIRS", "").split(":") if place
)

_CLASSES = {
    EngineName.POSTGRESQL: ("openrds.engines.postgresql", "PostgreSQL"),
    EngineName.MARIADB: ("openrds.engines.mariadb", "MariaDB"),
    EngineName.MYSQL: ("openrds.engines.mysql", "MySQL"),
}


@cache
def engine_class(name: EngineName) -> Any:
    """None where openrds does not have it."""
    package, kind = _CLASSES[name]
    if importlib.util.find_spec(package) is None:
        return None
    return getattr(importlib.import_module(f"{package}.engine"), kind)


def build(name: EngineName, data_dir: Path, users: ServerUsers, spares: int = 0) -> Engine:
    engine: Engine = engine_class(name)(data_dir, users, ENGINE_DIRS, spares)
    return engine


def initialise(name: EngineName, data_dir: Path, node: NodeSpec) -> None:
    """For a process of its own, which makes the engine anew."""
    build(name, data_dir, ServerUsers.choose(data_dir)).initialise(node)
