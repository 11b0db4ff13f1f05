"""Parameters of MySQL and MariaDB: the servers say what there is, and one file has what is set."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pymysql

from openrds.domain.parameters import Parameter, changed
from openrds.engines.binlog import configuration, sessions
from openrds.engines.protocol import EngineError, NodeSpec, Size

if TYPE_CHECKING:
    from openrds.engines.binlog.engine import BinlogEngine

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)([KMG]?)", re.ASCII)
_MULTIPLES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
#: It is read-only while the server runs, or there is no such variable but an option.
_NOT_NOW = frozenset({1193, 1238})


class BinlogParameters:
    def __init__(self, engine: "BinlogEngine") -> None:
        self._engine = engine

    def catalogue(self, node: NodeSpec) -> tuple[Parameter, ...]:
        """
        Raises:
            EngineError: the server cannot be made, or asked.
        """
        server = self._engine.server(node)
        try:
            self._engine.initialise(node)
            server.configure()
            server.start()
            with sessions.session(node) as connection:
                found = server.flavour.catalogue(connection, node)
                return tuple(sorted(found, key=lambda parameter: parameter.name))
        finally:
            server.kill()

    def derived(self, size: Size, options: Mapping[str, str]) -> Mapping[str, str]:
        return configuration.derived(size, {}) | configuration.words(options, {})

    def room(self) -> Collection[str]:
        return ()

    def apply(self, node: NodeSpec, before: Mapping[str, str]) -> None:
        """
        Raises:
            EngineError: a value is none that the server takes.
        """
        server = self._engine.server(node)
        flavour = server.flavour
        old = configuration.settings(replace(node, parameters=before), flavour)
        new = configuration.settings(node, flavour)
        server.configure()
        if not server.is_running():
            return
        with sessions.session(node) as connection:
            # In the order of the new ones: a character set brings a collation of its own.
            names = dict.fromkeys((*new, *old))
            for name in names.keys() & set(changed(old, new)):
                _set(connection, node, name, new.get(name))

    def in_force(self, node: NodeSpec, names: Collection[str]) -> Mapping[str, str]:
        with sessions.session(node) as connection:
            found = sessions.rows(connection, "SHOW GLOBAL VARIABLES")
        values = {row["Variable_name"]: row["Value"] for row in found}
        return {name: values[name] for name in names if name in values}

    def lacks_room(self, node: NodeSpec) -> bool:
        """A follower may be smaller than its upstream."""
        return False

    def has_spare_room(self, node: NodeSpec) -> bool:
        return False


def _set(connection: sessions.Connection, node: NodeSpec, name: str, value: str | None) -> None:
    """What cannot be changed now waits for the next start."""
    try:
        sessions.execute(connection, f"SET GLOBAL {name} = {_literal(connection, value)}")
    except pymysql.Error as error:
        if error.args[0] not in _NOT_NOW:
            raise EngineError(
                f"{node.engine} {node.node_id} does not take {name} = {value}: {error.args[-1]}"
            ) from None


def _literal(connection: sessions.Connection, value: str | None) -> str:
    """As SQL has it: a number is none in quotes, and nothing is what the server has by itself."""
    if value is None:
        return "DEFAULT"
    if found := _NUMBER.fullmatch(value):
        return str(int(found[1]) * _MULTIPLES[found[2]]) if found[2] else found[1]
    return sessions.escaped(connection, value)
