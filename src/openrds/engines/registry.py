"""The engines that there are: nobody else knows their packages. To add one is an import and a line of `_KINDS`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.domain.engine import EngineName
from openrds.engines import discovery, fetching
from openrds.engines.mariadb import discovery as mariadb
from openrds.engines.mariadb.engine import MariaDB
from openrds.engines.mysql import discovery as mysql
from openrds.engines.mysql.engine import MySQL
from openrds.engines.postgresql import discovery as postgresql
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.protocol import Engine, Installation
from openrds.hosts.limits import Limits
from openrds.hosts.users import ServerUsers


class _Build(Protocol):
    def __call__(
        self,
        data_dir: Path,
        users: ServerUsers,
        engine_dirs: Iterable[Path] = (),
        spare_data_dirs: int = 1,
        limits: Limits | None = None,
    ) -> Engine: ...


@dataclass(frozen=True)
class _Kind:
    build: _Build
    seal: Callable[[str], str]


_KINDS: Mapping[EngineName, _Kind] = {
    EngineName.MARIADB: _Kind(MariaDB, MariaDB.seal_password),
    EngineName.MYSQL: _Kind(MySQL, MySQL.seal_password),
    EngineName.POSTGRESQL: _Kind(PostgreSQL, PostgreSQL.seal_password),
}

_RECIPES = {recipe.kind.engine: recipe for recipe in (mysql.RECIPE, postgresql.RECIPE, mariadb.RECIPE)}
#: Those whose servers can be had by `fetch`.
FETCHED = tuple(_RECIPES)


def engines_of_host(
    data_dir: Path,
    users: ServerUsers,
    engine_dirs: Iterable[Path] = (),
    spare_data_dirs: int = 0,
    limits: Limits | None = None,
) -> dict[EngineName, Engine]:
    """All engines, also those of which this host has no binaries: `Engine.installations` tells.

    `data_dir` is openrds' own; `spare_data_dirs` is how many are kept ready of each version; servers are held to their
    flavors by `limits`.
    """
    dirs = tuple(engine_dirs)
    return {name: kind.build(data_dir, users, dirs, spare_data_dirs, limits) for name, kind in _KINDS.items()}


def seal_password(engine: EngineName, password: str) -> str:
    """What the engine stores instead of the password: the clear text goes no further than the call that brought it.

    An empty password stays empty: the account has none.
    """
    return _KINDS[engine].seal(password) if password else ""


def fetched_dir(data_dir: Path) -> Path:
    """Where what is fetched for a service is put."""
    return discovery.fetched_dir(data_dir)


def found_on_host(
    engine: EngineName, data_dir: Path | None, engine_dirs: Iterable[Path] = ()
) -> tuple[Installation, ...]:
    """The servers of an engine on this machine, one for each version, oldest first; nothing is copied or kept."""
    folders = (*engine_dirs, fetched_dir(data_dir)) if data_dir else tuple(engine_dirs)
    return discovery.find(_RECIPES[engine].kind, folders) if engine in _RECIPES else ()


def fetch(engine: EngineName, version: str | None, folder: Path, say: fetching.Say) -> Installation:
    """Have a server of the engine in a folder of its own below `folder`, from the machine's package archives.

    Raises:
        HostError: it is not to be had; the message says why, and what there is.
    """
    return fetching.fetch(_RECIPES[engine], version, folder, say)
