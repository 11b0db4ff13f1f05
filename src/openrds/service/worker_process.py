"""The worker process of a host: it runs the steps, and does the rounds of its host and those that exist once."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from openrds.agent.host import rounds_of_host
from openrds.control.changes import Changes, Subject
from openrds.control.rounds import Round
from openrds.control.shared import shared_rounds
from openrds.control.webhooks import Deliverer
from openrds.domain.engine import EngineName
from openrds.domain.settings import Settings
from openrds.engines.protocol import Engine, Installation
from openrds.engines.registry import engines_of_host, fetched_dir
from openrds.hosts.addresses import AddressPool
from openrds.hosts.backups import BackupFolders
from openrds.hosts.errors import HostError
from openrds.hosts.folders import remove_drafts
from openrds.hosts.forwarders import choose_filter, choose_forwarder
from openrds.hosts.memory import usable_mb
from openrds.hosts.outgoing import Outgoing
from openrds.operations.registry import OPERATIONS
from openrds.operations.steps.handing_over import take_back_folders
from openrds.operations.steps.host import Host
from openrds.operations.steps.owners import Owners
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.view import View
from openrds.service.authority import open_authority
from openrds.service.child import Brief
from openrds.service.means import (
    choose_copies,
    choose_limits,
    choose_repository,
    choose_users,
    choose_volumes,
)
from openrds.store.database import Store, Writer
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue
from openrds.tasks.runner import Runner
from openrds.tasks.worker import Worker

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: Connections beside those of the steps: for the monitor, the watchdog and nested reads.
_SPARE_CONNECTIONS = 4
#: Threads beside those of the steps: one for each kind of round, and some for what comes up.
_SPARE_THREADS = 28
#: Seconds between looks whether `openrds engine install` has fetched a server.
_FETCHED_INTERVAL = 2.0


def build_resources(store: Store, settings: Settings, socket_root: Path) -> Resources:
    """What the steps and rounds of this host act with."""
    return Resources(View(store), _host(store, settings, socket_root))


def _host(store: Store, settings: Settings, socket_root: Path) -> Host:
    """Its means, as the settings describe them."""
    users = choose_users(settings)
    limits = choose_limits(settings)
    forwarder = choose_forwarder(settings.forwarding, settings.data_dir, users.forwarder)
    backups = BackupFolders(settings.backups_dir)
    backups.make_root()
    return Host(
        settings=settings,
        issuer=open_authority(settings),
        owners=Owners(store, settings.host, users),
        engines=engines_of_host(
            settings.data_dir, users, settings.engine_dirs, settings.spare_data_dirs, limits
        ),
        volumes=choose_volumes(settings),
        limits=limits,
        memory_mb=settings.memory_mb or usable_mb(),
        backups=backups,
        addresses=AddressPool(settings.private_network),
        socket_root=socket_root,
        forwarder=forwarder,
        filter=choose_filter(forwarder, settings.data_dir),
        repository=choose_repository(settings),
        copies=choose_copies(settings),
    )


def register_host(resources: Resources) -> None:
    """Tell the store what this host has; the catalogue is answered from there."""
    found = [
        {
            "engine": installation.engine.value,
            "version": installation.version,
            "complete_version": installation.complete_version,
            "tls": installation.speaks_tls,
        }
        for engine in resources.host.engines.values()
        for installation in _installations(engine)
    ]
    settings = resources.settings
    with resources.store.transaction() as connection:
        for one in found:
            if not one["tls"]:
                _forgo_ssl(connection, resources, one)
        connection.execute(
            _sql.set_host,
            {
                "name": settings.host,
                "availability_zone": settings.availability_zones[0],
                "installations": Jsonb(found),
                "forwarding": resources.host.forwarder.name,
                "memory_mb": resources.host.memory_mb,
            },
        )


def _forgo_ssl(connection: Writer, resources: Resources, without: Mapping[str, Any]) -> None:
    """Of the instances of a version whose newest servers have no TLS, unless they run older ones that have it."""
    key = {"host": resources.settings.host, "engine": without["engine"], "version": without["version"]}
    for row in connection.execute(_sql.versions_with_ssl, key).fetchall():
        complete = row["complete_version"]
        found = resources.host.engines[EngineName(key["engine"])].installation(key["version"], complete)
        if found is None or not found.speaks_tls:
            connection.execute(_sql.forgo_ssl, {**key, "complete_version": complete})


class FetchedServers:
    """Registers the host again when `openrds engine install` has brought it another server."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._folder = fetched_dir(resources.settings.data_dir)
        self._seen = self._changed()

    def look(self) -> None:
        changed = self._changed()
        if changed != self._seen:
            register_host(self._resources)
            self._seen = changed

    def _changed(self) -> int:
        """When something was last put into the folder, or taken out of it."""
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return 0


def _installations(engine: Engine) -> tuple[Installation, ...]:
    """One engine whose binaries cannot be reached is no trouble of the others."""
    try:
        return engine.installations()
    except HostError:
        logger.exception("%s is not offered", engine.name)
        return ()


def attach_volumes(host: Host) -> None:
    """One that cannot be brought to its place is its instance's trouble, and no other's."""
    try:
        host.volumes.attach()
    except HostError:
        logger.exception("not every volume is in its place")


async def work(brief: Brief, announce_ready: Callable[[], None]) -> None:
    settings = brief.settings
    # The default has fewer on a small machine: slow steps would keep the monitor and the watchdog waiting.
    threads = ThreadPoolExecutor(settings.worker_concurrency + _SPARE_THREADS)
    asyncio.get_running_loop().set_default_executor(threads)
    with Store(brief.dsn, connections=2 * settings.worker_concurrency + _SPARE_CONNECTIONS) as store:
        queue = Queue()
        resources = build_resources(store, settings, brief.socket_root)
        fetched = FetchedServers(resources)
        register_host(resources)
        attach_volumes(resources.host)
        take_back_folders(resources.host)
        for homes in (settings.nodes_dir, settings.forwarder_dir):
            remove_drafts(homes)
        worker = Worker(
            store,
            queue,
            Runner(store, queue, OPERATIONS, resources),
            host=settings.host,
            concurrency=settings.worker_concurrency,
            heartbeat_interval=settings.heartbeat_interval,
        )
        changes = Changes(store.dsn)
        rounds = [
            *rounds_of_host(resources, queue, changes),
            *shared_rounds(store, queue, settings, changes),
            Round(fetched.look, at_least=_FETCHED_INTERVAL),
        ]
        deliverer = Deliverer(store.dsn, Outgoing(settings.webhook_networks), changes.bell(Subject.WEBHOOK))
        announce_ready()
        await asyncio.gather(
            worker.run(),
            changes.follow(),
            deliverer.run(),
            *(round_.repeat() for round_ in rounds),
        )
