"""`openrds bench seed`: fill the store of a stopped service with a made-up history of tasks."""

import os
import sys
import time

import psycopg

from openrds.domain.settings import Settings
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError, in_words
from openrds.service import places
from openrds.service.identities import KeysError, ensure_accounts, load_accounts
from openrds.service.means import choose_users
from openrds.service.private_store import open_private_store
from openrds.store.database import Store
from openrds.store.migrate import migrate
from openrds.tasks.history import write_history


def seed(settings: Settings, tasks: int, seed: int) -> int:
    """Write the tasks, half of them for the default project; the exit code."""
    try:
        places.require(settings.data_dir)
        users = choose_users(settings)
        lock = places.Lock(settings.data_dir)
        lock.acquire()
        server = None if settings.store else open_private_store(settings, users)
    except (HostError, EngineError, places.DataDirectoryError, OSError) as error:
        print(f"openrds: {in_words(error)}", file=sys.stderr)
        return 1
    try:
        begun = time.monotonic()
        _write(settings.store if server is None else server.dsn, settings, tasks, seed)
        took = time.monotonic() - begun
    except KeysError as error:
        print(f"openrds: {error}", file=sys.stderr)
        return 1
    except psycopg.Error as error:
        print(f"openrds: the store cannot be used: {error}", file=sys.stderr)
        return 1
    finally:
        if server is not None:
            server.stop()
    print(f"{tasks} tasks written in {took:.1f} s, {tasks / took:.0f} a second.")
    return 0


def _write(dsn: str, settings: Settings, tasks: int, seed: int) -> None:
    migrate(dsn)
    with Store(dsn, connections=1) as store:
        ensure_accounts(store, settings)
        projects = {account.project.name: account.project.id for account in load_accounts(store)}
    write_history(dsn, projects[settings.project_names[0]], tasks, seed=seed, processes=os.cpu_count() or 1)
