"""Bring the store's schema up to date. Migrations are files applied in order of their numbers; none goes back."""

import logging
from importlib import resources

import psycopg

logger = logging.getLogger(__name__)

#: Serialises services that start on one store at the same moment. Any constant will do.
_ADVISORY_LOCK = 0x6F70656E726473


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and text of each migration, in order."""
    folder = resources.files("openrds.store") / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return [(int(file.name.split("_")[0]), file.name, file.read_text()) for file in files]


def migrate(dsn: str) -> None:
    """Apply what is missing, each migration in a transaction of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [_ADVISORY_LOCK])
        connection.execute(
            "create table if not exists schema_version (number integer primary key, applied_at timestamptz not null)"
        )
        applied = {row[0] for row in connection.execute("select number from schema_version")}
        for number, name, text in migrations():
            if number not in applied:
                _apply(connection, number, text)
                logger.info("applied migration %s", name)


def _apply(connection: psycopg.Connection, number: int, text: str) -> None:
    with connection.transaction():
        connection.execute(text.encode())
        connection.execute("insert into schema_version values (%s, now())", [number])
