"""`openrds bench`: what helps to measure a service."""

from typing import Annotated

import typer

from openrds.cli.serve import ConfigFile, DataDir, StoreDsn, load_settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Prepare measurements.")


@app.callback()
def _group() -> None:
    """Without it, a group of one command would be that command."""


@app.command("seed")
def seed(
    *,
    tasks: Annotated[int, typer.Option(min=1, help="How many tasks to write.")],
    data_dir: DataDir = None,
    store: StoreDsn = None,
    config: ConfigFile = None,
    seed: Annotated[int, typer.Option(help="Another number gives another history.")] = 1,
) -> None:
    """Fill the store of a stopped service with a made-up history of the last month, all of it ended tasks.

    Half of them are of the default project.
    """
    from openrds.service.seeding import seed as run  # noqa: PLC0415

    raise typer.Exit(run(load_settings({"data_dir": data_dir, "store": store}, config), tasks, seed))
