"""`openrds serve` and `openrds down`. The service is imported only when it is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from openrds.cli.credentials import DATA_DIR_VARIABLE
from openrds.cli.errors import UsageError

if TYPE_CHECKING:
    from openrds.domain.settings import Settings

DataDir: TypeAlias = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help=f"Data directory [env: {DATA_DIR_VARIABLE}].")
]


StoreDsn: TypeAlias = Annotated[
    str | None, typer.Option("--store", metavar="DSN", help="A PostgreSQL database. Default: one of its own.")
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file. Default: openrds.toml in the data directory."),
]


def serve(
    *,
    data_dir: DataDir = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Default: 127.0.0.1:8082.")] = None,
    store: StoreDsn = None,
    config: ConfigFile = None,
    region: str | None = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="Default: INFO.")] = None,
) -> None:
    """Run the service until SIGTERM; instances go on serving.

    Each setting may also be given as OPENRDS_<NAME> or in the TOML file.
    """
    from openrds.service.serve import serve as run  # noqa: PLC0415

    flags = {"data_dir": data_dir, "listen": listen, "store": store, "region": region, "log_level": log_level}
    raise typer.Exit(run(load_settings(flags, config)))


def load_settings(flags: Mapping[str, Any], config: Path | None) -> "Settings":
    """The settings of the service that is meant."""
    from openrds.service import configuration  # noqa: PLC0415

    try:
        return configuration.load(flags, config)
    except configuration.ConfigurationError as error:
        raise UsageError(str(error)) from None


def down(
    data_dir: Annotated[Path, typer.Option(metavar="DIR", envvar=DATA_DIR_VARIABLE, help="Data directory.")],
) -> None:
    """Stop a service with its instances and its store; the data stays."""
    from openrds.service.down import down as run  # noqa: PLC0415

    raise typer.Exit(run(data_dir))
