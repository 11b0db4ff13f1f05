"""What several modules share. All that uses the service of backups is of the test group `backups`, in one process."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from openrds.engines.postgresql.engine import PostgreSQL
from openrds.hosts.users import ServerUsers
from openrds.service.private_store import private_store, start_private_store
from support.backups import back_up, now
from support.service import ServiceUnderTest, running_service
from support.writer import connect


@pytest.fixture(scope="session")
def backup_service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other") as running:
        yield running


@pytest.fixture(scope="session")
def orders(backup_service: ServiceUnderTest) -> dict[str, Any]:
    """An instance with a manual backup named `first-backup`, and a table that is younger than it."""
    instance = backup_service.create(name="orders")
    with connect(instance) as connection:
        connection.execute("create table early as select 1 as x")
    back_up(backup_service, instance["id"], "first-backup")
    with connect(instance) as connection:
        connection.execute("create table orders (id serial primary key, note text)")
        connection.execute("insert into orders (note) select 'n' || i from generate_series(1, 100) as i")
    return instance


@pytest.fixture(scope="session")
def before_accident(backup_service: ServiceUnderTest, orders: dict[str, Any]) -> int:
    """The moment before most rows of `orders` are deleted, in milliseconds."""
    time.sleep(0.01)
    moment = now()
    time.sleep(0.01)
    with connect(orders) as connection:
        connection.execute("delete from orders where id > 10")
    return moment


@pytest.fixture
def other_store(folder: Path) -> Iterator[str]:
    """The DSN of a database on a server that is not the service's."""
    users = ServerUsers.choose(folder)
    (folder / "run").mkdir(mode=0o711)
    engine = PostgreSQL(folder, users, spare_data_dirs=0)
    store = private_store(folder, folder / "run", engine.installations()[-1], users)
    start_private_store(store, engine)
    try:
        with psycopg.connect(store.dsn, autocommit=True) as connection:
            connection.execute("create database kept_elsewhere")
        yield store.dsn.replace("dbname=postgres", "dbname=kept_elsewhere")
    finally:
        store.stop()
