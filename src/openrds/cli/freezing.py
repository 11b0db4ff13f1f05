"""`openrds instance freeze|unfreeze`: for the operator, on the data directory of the service."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from openrds.cli.errors import CommandError
from openrds.cli.instances import IdOrName
from openrds.cli.serve import ConfigFile, DataDir, StoreDsn, load_settings

if TYPE_CHECKING:
    from openrds.domain.settings import Settings

app = typer.Typer()


@app.command("freeze")
def freeze(
    instance: IdOrName, *, data_dir: DataDir = None, store: StoreDsn = None, config: ConfigFile = None
) -> None:
    """Cut off the clients of an instance of any project, and refuse all but its deletion; the data is kept.

    For the operator, on the host of the service: callers of the API can neither do this nor undo it.
    """
    from openrds.service.freezing import freeze as run  # noqa: PLC0415

    _run(run, instance, data_dir, store, config)


@app.command("unfreeze")
def unfreeze(
    instance: IdOrName, *, data_dir: DataDir = None, store: StoreDsn = None, config: ConfigFile = None
) -> None:
    """Let an instance that was frozen serve again."""
    from openrds.service.freezing import unfreeze as run  # noqa: PLC0415

    _run(run, instance, data_dir, store, config)


def _run(
    run: "Callable[[Settings, str], str]",
    instance: str,
    data_dir: Path | None,
    store: str | None,
    config: Path | None,
) -> None:
    import psycopg  # noqa: PLC0415

    from openrds.hosts.errors import HostError, in_words  # noqa: PLC0415
    from openrds.service.freezing import NotDone  # noqa: PLC0415
    from openrds.service.places import DataDirectoryError  # noqa: PLC0415

    try:
        typer.echo(run(load_settings({"data_dir": data_dir, "store": store}, config), instance))
    except NotDone as error:
        raise CommandError(str(error)) from None
    except psycopg.Error as error:
        raise CommandError(f"The store cannot be used: {error}") from None
    except (HostError, DataDirectoryError, OSError) as error:
        raise CommandError(in_words(error)) from None
