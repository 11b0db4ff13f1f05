"""`openrds check`: whether what the store keeps beside the tasks agrees with them, and backups get out of here."""

from typing import Annotated

import typer

from openrds.cli.serve import ConfigFile, DataDir, StoreDsn, load_settings


def check(
    *,
    data_dir: DataDir = None,
    store: StoreDsn = None,
    config: ConfigFile = None,
    repair: Annotated[bool, typer.Option("--repair", help="Count anew if the counts are wrong.")] = False,
) -> None:
    """Count all tasks, and say whether the counts that lists of tasks are answered from agree.

    With a backup repository also whether it can be reached, and how old what is there is. Works beside a running
    service and on a stopped one. Exit code 1 when counts differ and are not repaired, or the repository is away.
    """
    from openrds.service.checking import check as run  # noqa: PLC0415

    raise typer.Exit(run(load_settings({"data_dir": data_dir, "store": store}, config), repair=repair))
