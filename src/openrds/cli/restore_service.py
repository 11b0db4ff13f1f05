"""`openrds restore-service`: a service whose machine is lost, from its backup repository."""

from typing import Annotated

import typer

from openrds.cli.serve import ConfigFile, DataDir, StoreDsn, load_settings


def restore_service(
    *,
    data_dir: DataDir = None,
    store: StoreDsn = None,
    config: ConfigFile = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Say which instances there are, and write nothing.")
    ] = False,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Also have backups that were deleted, and are in a copy still.")
    ] = False,
) -> None:
    """Have a service again on an empty machine, from its backup repository and its key alone.

    Needs the settings backup_repository, which may name the copy of one, and backup_key_file, and an empty data
    directory. Projects and keys are as they were; each instance is restored to what was archived last, by a task that
    runs as soon as `openrds serve` does, and its read replicas are made anew of it. The service that wrote there before
    stops to, should it be alive.
    """
    from openrds.service.restoring import restore_service as run  # noqa: PLC0415

    settings = load_settings({"data_dir": data_dir, "store": store}, config)
    raise typer.Exit(run(settings, only_list=only_list, deleted_too=deleted))
