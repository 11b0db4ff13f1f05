"""The private PostgreSQL that is the store unless another is named: on a Unix socket only, in the data directory."""

from pathlib import Path

from openrds.engines.postgresql import configuration
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.postgresql.server import PostgreSQLServer
from openrds.engines.protocol import Installation, NodeSpec
from openrds.hosts.user import ServerUser

#: Small: the store holds rows about tasks and instances, and the machine is for the instances.
_SETTINGS = """
listen_addresses = ''
archive_mode = off
wal_level = minimal
max_wal_senders = 0
max_connections = 60
shared_buffers = 48MB
max_wal_size = 256MB
max_worker_processes = 2
max_parallel_workers_per_gather = 0
jit = off
random_page_cost = 1.1
autovacuum_naptime = 15s
autovacuum_max_workers = 1
"""


class PrivateStore(PostgreSQLServer):
    """An instance's server with other settings, and without an address."""

    def _settings(self) -> str:
        return super()._settings() + _SETTINGS

    @property
    def dsn(self) -> str:
        return f"host={self.node.socket_dir} port={self.node.port} user={configuration.SUPERUSER} dbname=postgres"


def private_store(
    data_dir: Path, socket_root: Path, installation: Installation, user: ServerUser
) -> PrivateStore:
    node = NodeSpec(
        node_id="store",
        installation=installation,
        folder=data_dir / "store",
        socket_dir=socket_root / "store",
        address="",
        port=5432,
        memory_mb=1024,
        vcpus=1,
    )
    return PrivateStore(node, user)


def start_private_store(store: PrivateStore, engine: PostgreSQL, user: ServerUser) -> None:
    """Start the store, or find it running; the first time, make it."""
    user.make_folder(store.node.folder)
    engine.initialise(store.node.installation, store.node.data_dir)
    store.configure()
    store.start()


def version_in_use(data_dir: Path) -> str | None:
    """The major version that the store's data has; it can only be started by the same."""
    file = data_dir / "store" / "data" / "PG_VERSION"
    return file.read_text().strip() if file.is_file() else None
