"""The worker process of a host: it runs the steps, looks after the servers, and watches over the tasks."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from openrds.domain.settings import Settings
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.protocol import EngineError
from openrds.hosts.addresses import AddressPool
from openrds.hosts.backups import BackupFolders
from openrds.hosts.errors import HostError
from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.memory import usable_mb
from openrds.hosts.user import ServerUser
from openrds.operations.backup_schedule import look_after_backups, stop_unwanted, tidy_backups
from openrds.operations.hang_watch import HangWatch
from openrds.operations.monitor import Monitor, tidy_servers
from openrds.operations.registry import OPERATIONS, SCHEDULED
from openrds.operations.replication_watch import watch_replication
from openrds.operations.resources import Resources
from openrds.operations.scheduling import Scheduler, forget_ended
from openrds.operations.start_instance import start_overdue
from openrds.operations.volume_watch import VolumeWatch
from openrds.service import child
from openrds.service.means import choose_limits, choose_volumes
from openrds.store.database import Store
from openrds.store.queries import Queries
from openrds.tasks.counting import add_changes
from openrds.tasks.queue import Queue
from openrds.tasks.retention import forget_expired, prepare_partitions
from openrds.tasks.runner import Runner
from openrds.tasks.watchdog import return_lost_steps
from openrds.tasks.worker import Worker

logger = logging.getLogger(__name__)

_sql = Queries("instances")
_answers = Queries("answers")

#: Seconds between rounds. The pools have one also when a spare was taken, a little later: who took it goes first.
_WATCHDOG_INTERVAL = 3.0
_COUNTING_INTERVAL = 2.0
_ROUTES_INTERVAL = 5.0
_POOL_INTERVAL = 60.0
_POOL_DELAY = 2.0
_RETENTION_INTERVAL = 60.0
_STARTING_INTERVAL = 60.0
_SCHEDULE_INTERVAL = 10.0
_REPLICATION_INTERVAL = 5.0
_TIDYING_INTERVAL = 3600.0
_BACKUP_INTERVAL = 10.0
_STOPPING_INTERVAL = 5.0
#: Looks in a `hang_timeout`, for one that fails to mean little.
_LOOKS_BEFORE_KILL = 4
#: Connections beside those of the steps: for the monitor, the watchdog and nested reads.
_SPARE_CONNECTIONS = 4
#: Threads beside those of the steps: one for each kind of round, and one that connects to the queue.
_SPARE_THREADS = 14


def build_resources(store: Store, settings: Settings, socket_root: Path) -> Resources:
    """The means of this host, as the settings describe them."""
    user = ServerUser.choose(settings.os_user)
    limits = choose_limits(settings)
    postgresql = PostgreSQL(
        settings.data_dir, user, settings.engine_dirs, settings.spare_data_dirs, limits=limits
    )
    backups = BackupFolders(settings.backups_dir, user)
    backups.make_root()
    return Resources(
        store=store,
        settings=settings,
        engines={postgresql.name: postgresql},
        volumes=choose_volumes(settings, user),
        limits=limits,
        memory_mb=settings.memory_mb or usable_mb(),
        backups=backups,
        addresses=AddressPool(settings.private_network),
        socket_root=socket_root,
        forwarder=choose_forwarder(settings.forwarding, settings.data_dir, user),
    )


def register_host(resources: Resources) -> None:
    """Tell the store what this host has; the catalogue is answered from there."""
    found = [
        {
            "engine": installation.engine.value,
            "version": installation.version,
            "complete_version": installation.complete_version,
        }
        for engine in resources.engines.values()
        for installation in engine.installations()
    ]
    settings = resources.settings
    with resources.store.transaction() as connection:
        connection.execute(
            _sql.set_host,
            {
                "name": settings.host,
                "availability_zone": settings.availability_zones[0],
                "installations": Jsonb(found),
                "forwarding": resources.forwarder.name,
                "memory_mb": resources.memory_mb,
            },
        )


def attach_volumes(resources: Resources) -> None:
    """One that cannot be brought to its place is its instance's trouble, and no other's."""
    try:
        resources.volumes.attach()
    except HostError:
        logger.exception("not every volume is in its place")


async def work(brief: child.Brief) -> None:
    settings = brief.settings
    # The default has fewer on a small machine: slow steps would keep the monitor and the watchdog waiting.
    threads = ThreadPoolExecutor(settings.worker_concurrency + _SPARE_THREADS)
    asyncio.get_running_loop().set_default_executor(threads)
    with Store(brief.dsn, connections=2 * settings.worker_concurrency + _SPARE_CONNECTIONS) as store:
        queue = Queue()
        resources = build_resources(store, settings, brief.socket_root)
        register_host(resources)
        attach_volumes(resources)
        worker = Worker(
            store,
            queue,
            Runner(store, queue, OPERATIONS, resources),
            host=settings.host,
            concurrency=settings.worker_concurrency,
            heartbeat_interval=settings.heartbeat_interval,
            worker_timeout=settings.worker_timeout,
        )
        child.announce_ready()
        await asyncio.gather(
            worker.run(),
            _repeat(0, Monitor(resources, queue).look_and_wait),
            _look_for_hanging(resources),
            _repeat(_ROUTES_INTERVAL, lambda: _keep_routes(resources)),
            _repeat(settings.monitor_interval, VolumeWatch(resources).look_after_volumes),
            _repeat(_WATCHDOG_INTERVAL, lambda: return_lost_steps(store, queue, settings.worker_timeout)),
            _repeat(_COUNTING_INTERVAL, lambda: add_changes(store)),
            _repeat(_RETENTION_INTERVAL, lambda: forget_expired(store)),
            _repeat(_REPLICATION_INTERVAL, lambda: watch_replication(resources)),
            _repeat(_STARTING_INTERVAL, lambda: start_overdue(store, queue, settings)),
            _repeat(_SCHEDULE_INTERVAL, Scheduler(store, queue, settings, SCHEDULED).start_due),
            _repeat(_TIDYING_INTERVAL, lambda: _tidy(resources)),
            _repeat(_BACKUP_INTERVAL, lambda: look_after_backups(resources, queue)),
            _repeat(_STOPPING_INTERVAL, lambda: stop_unwanted(resources)),
            _repeat(_POOL_DELAY, lambda: _keep_pools_full(resources)),
        )


async def _look_for_hanging(resources: Resources) -> None:
    timeout = resources.settings.hang_timeout
    if timeout:
        await _repeat(timeout / _LOOKS_BEFORE_KILL, HangWatch(resources).look_after_servers)


async def _repeat(seconds: float, round_: Callable[[], None]) -> None:
    """One round after the other, each in a thread; one that fails is logged, and the next comes all the same."""
    while True:
        try:
            await asyncio.to_thread(round_)
        except psycopg.OperationalError as error:
            logger.warning("the store does not answer: %s", error)
        except Exception:
            logger.exception("a round failed")
        await asyncio.sleep(seconds)


def _keep_routes(resources: Resources) -> None:
    """See that what is to be passed on is: after a reboot, and where somebody else took it away."""
    try:
        resources.keep_routes()
    except HostError as error:
        logger.warning("not everything is passed on: %s", error)


def _tidy(resources: Resources) -> None:
    """What is due now and then: room for the tasks to come, and what nobody asks for any more."""
    prepare_partitions(resources.store)
    resources.store.rows(_answers.delete_expired)
    forget_ended(resources.store)
    tidy_servers(resources)
    tidy_backups(resources)


def _keep_pools_full(resources: Resources) -> None:
    """Fill the pools, and return when they may want it again."""
    resources.spare_taken.clear()
    _fill_pools(resources)
    resources.spare_taken.wait(_POOL_INTERVAL)


def _fill_pools(resources: Resources) -> None:
    for engine in resources.engines.values():
        try:
            engine.fill_pool()
        except EngineError as error:
            logger.warning("no spare data directory of %s: %s", engine.name, error)


if __name__ == "__main__":
    child.run(work)
