"""The store for a command that works on the data directory itself, beside a running service or on a stopped one."""

from collections.abc import Iterator
from contextlib import contextmanager

from openrds.domain.settings import Settings
from openrds.service import places
from openrds.service.means import choose_users
from openrds.service.private_store import open_private_store
from openrds.store.database import Store
from openrds.store.migrate import migrate


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The service's store; a private one is started if the service is stopped, and then stopped again."""
    with _dsn(settings) as dsn, Store(dsn, connections=1) as store:
        yield store


@contextmanager
def _dsn(settings: Settings) -> Iterator[str]:
    if settings.store:
        yield settings.store
        return
    places.require(settings.data_dir)
    users = choose_users(settings)
    serves = places.Lock(settings.data_dir).holder() is not None
    server = open_private_store(settings, users)
    try:
        if not serves:
            migrate(server.dsn)
        yield server.dsn
    finally:
        if not serves:
            server.stop()
