"""Data directories of PostgreSQL, made by initdb."""

from collections.abc import Mapping
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.engines.postgresql.identity import identify
from openrds.engines.protocol import Installation
from openrds.engines.recipe import Recipe


def is_data_directory(path: Path) -> bool:
    return (path / "PG_VERSION").is_file()


def _initdb_command(
    installation: Installation, data_dir: Path, _options: Mapping[str, str]
) -> tuple[str, ...]:
    """Nobody can log in by initdb's own pg_hba.conf, should it ever be used."""
    return (
        str(installation.bin_dir / "initdb"),
        f"--pgdata={data_dir}",
        f"--username={SUPERUSER}",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--auth-local=peer",
        "--auth-host=reject",
    )


def _sync_command(installation: Installation, data_dir: Path) -> tuple[str, ...]:
    return (str(installation.bin_dir / "initdb"), "--sync-only", f"--pgdata={data_dir}")


RECIPE = Recipe(
    EngineName.POSTGRESQL, "initdb", _initdb_command, is_data_directory, identify, sync_command=_sync_command
)
