"""A service whose backups go to a repository, for the tests of that."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from openrds.repository.repository import Repository, open_repository
from support.folders import short_folder
from support.s3 import S3
from support.service import ServiceUnderTest, wait_for
from support.workbench import Workbench, running_workbench


def s3_settings(s3: S3, folder: Path, endpoint: str = "") -> dict[str, str]:
    """The settings of a repository of its own; its options and its key are in the folder."""
    options = folder / "repository.toml"
    options.write_text(s3.options(endpoint))
    options.chmod(0o600)
    return {
        "backup_repository": f"s3://first/{secrets.token_hex(6)}",
        "backup_repository_options": str(options),
        "backup_key_file": str(folder / "repository.key"),
    }


def opened(service: ServiceUnderTest) -> Repository:
    options = service.options
    return open_repository(
        options["backup_repository"],
        Path(options["backup_repository_options"]),
        Path(options["backup_key_file"]),
        may_make_key=False,
    )


def store_rows(service: ServiceUnderTest, statement: str, *parameters: Any) -> list[dict[str, Any]]:
    with psycopg.connect(service.store_dsn, row_factory=dict_row) as connection:
        return connection.execute(statement.encode(), parameters).fetchall()


def await_outside(service: ServiceUnderTest, backup_id: str, seconds: float = 60) -> None:
    """Until a backup is in the repository."""
    statement = "select from backup where id = %s and outside = 'whole'"
    wait_for(lambda: store_rows(service, statement, backup_id), seconds, "the backup is in the repository")


@contextmanager
def running_workbench_with_repository(**changes: Any) -> Iterator[Workbench]:
    """Its backups go to a folder, if somebody sends them."""
    folder = short_folder()
    place = folder / "repository"
    place.mkdir(mode=0o700)
    settings = {"backup_repository": f"file://{place}", "backup_key_file": folder / "key"}
    try:
        with running_workbench(**settings, **changes) as bench:
            yield bench
    finally:
        shutil.rmtree(folder)
