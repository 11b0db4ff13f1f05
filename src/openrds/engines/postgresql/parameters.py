"""Parameters of PostgreSQL: the servers say what there is, and one file has what is set."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg

from openrds.domain.parameters import Parameter, changed
from openrds.engines.postgresql import configuration, sessions
from openrds.engines.postgresql.control import ROOM
from openrds.engines.postgresql.offered import CHOICES, LEAST, OFFERED, PRELOADED, SHOWN
from openrds.engines.protocol import EngineError, NodeSpec, Size

if TYPE_CHECKING:
    from openrds.engines.postgresql.engine import PostgreSQL

_LIBRARIES = "shared_preload_libraries"
_TYPES = {"bool": "boolean", "integer": "integer", "real": "float", "enum": "string", "string": "string"}
#: Contexts in which a value is fixed for good, and in which until the next start.
_BUILT_IN, _AT_START = "internal", "postmaster"
_SETTINGS = """
SELECT name, setting, coalesce(unit, ''), context, vartype, coalesce(min_val, ''), coalesce(max_val, ''),
       coalesce(enumvals, '{}'), short_desc
FROM pg_settings WHERE lower(name) = ANY(%s) ORDER BY name
"""
_REFUSED = """
SELECT file.name, coalesce(file.error, '')
FROM pg_file_settings AS file JOIN pg_settings ON lower(pg_settings.name) = lower(file.name)
WHERE NOT file.applied AND pg_settings.context NOT IN ('postmaster', 'internal') AND lower(file.name) = ANY(%s)
"""
_IN_FORCE = "SELECT lower(name), setting FROM pg_settings WHERE lower(name) = ANY(%s)"


class PostgreSQLParameters:
    def __init__(self, engine: "PostgreSQL") -> None:
        self._engine = engine

    def catalogue(self, node: NodeSpec) -> tuple[Parameter, ...]:
        """Started twice: a library's parameters are known once it is loaded.

        Raises:
            EngineError: the server cannot be made, or asked.
        """
        with self._running(node) as alone:
            libraries = _present(alone)
        with self._running(replace(node, parameters={_LIBRARIES: ",".join(libraries)})) as loaded:
            return tuple(sorted(_parameters(loaded, libraries), key=lambda parameter: parameter.name))

    @contextlib.contextmanager
    def _running(self, node: NodeSpec) -> Iterator[NodeSpec]:
        self._engine.initialise(node)
        server = self._engine.server(node)
        server.configure()
        try:
            server.start()
            yield node
        finally:
            server.stop()

    def derived(self, size: Size, options: Mapping[str, str]) -> Mapping[str, str]:
        return configuration.derived(size)

    def room(self) -> Collection[str]:
        return ROOM

    def apply(self, node: NodeSpec, before: Mapping[str, str]) -> None:
        """
        Raises:
            EngineError: a value is none that it takes.
        """
        server = self._engine.server(node)
        server.configure()
        if not server.is_running() or server.is_closed():
            return
        with sessions.superuser_session(node) as connection:
            refused = connection.execute(_REFUSED, [changed(before, node.parameters)]).fetchall()
            if refused:
                problems = "; ".join(f"{name}: {error}" for name, error in refused)
                raise EngineError(f"PostgreSQL {node.node_id} does not take {problems}")
            sessions.reload_configuration(connection)

    def in_force(self, node: NodeSpec, names: Collection[str]) -> Mapping[str, str]:
        with sessions.superuser_session(node) as connection:
            rows = connection.execute(_IN_FORCE, [[name.lower() for name in names]]).fetchall()
        return dict(rows)

    def lacks_room(self, node: NodeSpec) -> bool:
        has, room = self._room(node)
        return any(has[name] < value for name, value in room.items())

    def has_spare_room(self, node: NodeSpec) -> bool:
        has, room = self._room(node)
        return any(has[name] > value for name, value in room.items())

    def _room(self, node: NodeSpec) -> tuple[dict[str, int], dict[str, int]]:
        """What it has, and what it should."""
        room = configuration.room_for(node, {})
        return {name: int(value) for name, value in self.in_force(node, room).items()}, room


def _present(node: NodeSpec) -> list[str]:
    """Those of the libraries that the installation has: one may be packaged apart."""
    found = []
    with sessions.superuser_session(node) as connection:
        for library in PRELOADED:
            with contextlib.suppress(psycopg.errors.UndefinedFile):
                connection.execute(f"LOAD '{library}'".encode())
                found.append(library)
    return found


def _parameters(node: NodeSpec, libraries: list[str]) -> Iterator[Parameter]:
    names = [name.lower() for name in OFFERED | SHOWN]
    with sessions.superuser_session(node) as connection:
        # What the session brings with it is not what the server would have.
        connection.execute("RESET ALL")
        rows = connection.execute(_SETTINGS, [names]).fetchall()
        own = dict(connection.execute("SELECT name, reset_val FROM pg_settings").fetchall())
        boot = dict(
            connection.execute("SELECT name, boot_val FROM pg_settings WHERE boot_val IS NOT NULL").fetchall()
        )
        from_file = {
            name
            for (name,) in connection.execute("SELECT name FROM pg_file_settings WHERE applied").fetchall()
        }
    for row in rows:
        name = row[0]
        usual = own if name in from_file else boot
        yield _parameter(row, usual.get(name) or "", libraries)


def _parameter(row: tuple[Any, ...], value: str, libraries: list[str]) -> Parameter:
    name, setting, unit, context, vartype, low, high, words, description = row
    name = name.lower()
    is_libraries = name == _LIBRARIES
    choices = tuple(libraries) if is_libraries else CHOICES.get(name, tuple(words))
    if vartype == "bool":
        choices = ("on", "off")
    return Parameter(
        name=name,
        type="list" if is_libraries else _TYPES[vartype],
        value="" if is_libraries else (setting if context == _BUILT_IN else value),
        description=f"{description} Unit: {unit}." if unit else description,
        minimum=str(max(int(low), LEAST[name])) if name in LEAST else low,
        maximum=high,
        choices=choices,
        unit=unit,
        restart=context == _AT_START,
        readonly=name not in OFFERED,
    )
