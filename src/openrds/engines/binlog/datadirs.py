"""Data directories of MySQL and MariaDB, each made by its own program."""

from pathlib import Path

from openrds.engines.binlog.flavour import Flavour
from openrds.engines.recipe import Recipe


def is_data_directory(path: Path) -> bool:
    return (path / "ibdata1").is_file()


def identify(data_dir: Path) -> None:
    """A server writes another identity, and keys, when it is started without."""
    for path in (data_dir / "auto.cnf", *data_dir.glob("*.pem")):
        path.unlink(missing_ok=True)


def recipe_of(flavour: Flavour) -> Recipe:
    return Recipe(
        flavour.engine,
        flavour.recipe_program,
        flavour.make_command,
        is_data_directory,
        identify,
        fixed=flavour.fixed_options,
        is_mostly_zeros=True,
    )
