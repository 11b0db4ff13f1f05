"""Data directories of MySQL and MariaDB, each made by its own program."""

from pathlib import Path

from openrds.engines.binlog.flavour import Flavour
from openrds.engines.pool import Recipe


def is_data_directory(path: Path) -> bool:
    return (path / "ibdata1").is_file()


def recipe_of(flavour: Flavour) -> Recipe:
    return Recipe(
        flavour.engine,
        flavour.recipe_program,
        flavour.make_command,
        is_data_directory,
        flavour.fixed_options,
    )
