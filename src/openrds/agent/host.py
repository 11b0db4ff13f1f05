"""The rounds of one host: its servers, volumes, routes, followers and backups are looked after."""

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass, field

from openrds.control.changes import Changes, Subject
from openrds.control.rounds import Bell, Round, soon_if
from openrds.engines.protocol import EngineError
from openrds.hosts.deaths import Deathwatch
from openrds.hosts.errors import HostError
from openrds.operations.rounds.backup_schedule import look_after_backups, stop_unwanted, tidy_backups
from openrds.operations.rounds.catalogue_watch import CatalogueWatch
from openrds.operations.rounds.certificates import CertificateWatch
from openrds.operations.rounds.close_looks import CloseLooks
from openrds.operations.rounds.copy_access import CopyAccess, now
from openrds.operations.rounds.copy_backups import BackupCopying
from openrds.operations.rounds.copy_logs import LogCopying
from openrds.operations.rounds.copy_records import CopiedRecords
from openrds.operations.rounds.hang_watch import HangWatch
from openrds.operations.rounds.log_keeping import LogKeeping
from openrds.operations.rounds.log_shipping import LogShipping
from openrds.operations.rounds.metrics import Metrics
from openrds.operations.rounds.monitor import Monitor, tidy_servers
from openrds.operations.rounds.replication_watch import watch_replication
from openrds.operations.rounds.repository_access import RepositoryAccess
from openrds.operations.rounds.repository_backups import send_backups
from openrds.operations.rounds.repository_logs import LogSending
from openrds.operations.rounds.repository_records import RecordSending
from openrds.operations.rounds.roster import Roster
from openrds.operations.rounds.version_watch import plan_upgrades
from openrds.operations.rounds.volume_growth import VolumeGrowth
from openrds.operations.rounds.volume_watch import VolumeWatch
from openrds.operations.steps.host import Host
from openrds.operations.steps.resources import Resources
from openrds.repository.copying import Pace
from openrds.repository.repository import Repository
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

#: Seconds between rounds, while there is something to do. The monitor gathers what it hears at the same moment.
_MONITOR_PAUSE = 0.05
_ROUTES_INTERVAL = 5.0
_GUARDS_INTERVAL = 1.0
_REPLICATION_INTERVAL = 5.0
_BACKUP_INTERVAL = 10.0
_STOPPING_INTERVAL = 5.0
_SHIPPING_INTERVAL = 5.0
#: To the backup repository; what is recorded of instances changes in several ways at once.
_SENDING_INTERVAL = 5.0
_SENDING_PAUSE = 1.0
_RECORDS_PAUSE = 5.0
#: From there to the second place, and at most, where there is so much that a look takes long.
_COPYING_INTERVAL = 15.0
_COPYING_PAUSE = 5.0
_MOST_COPYING_PAUSE = 600.0
#: In any case. The pools have a round also when a spare was taken, a little later: who took it goes first.
_POOL_INTERVAL = 60.0
_POOL_DELAY = 2.0
_VERSIONS_INTERVAL = dt.timedelta(minutes=10).total_seconds()
_TIDYING_INTERVAL = dt.timedelta(hours=1).total_seconds()
#: A certificate has months left when it is renewed.
_CERTIFICATE_INTERVAL = dt.timedelta(hours=1).total_seconds()
#: Looks in a `hang_timeout`, for one that fails to mean little.
_LOOKS_BEFORE_KILL = 4


def rounds_of_host(resources: Resources, queue: Queue, changes: Changes) -> list[Round]:
    """To be called on the event loop, which is to tell of deaths."""
    roster, readers = _roster(resources)
    certificates = CertificateWatch(resources, roster)
    return [
        _monitor(resources, queue, roster, changes.bell(Subject.INSTANCE)),
        *_hang_watch(resources, roster),
        *_repository(resources, changes),
        Round(
            VolumeWatch(resources, roster, VolumeGrowth(resources, queue).look).look_after_volumes,
            readers.volumes,
            pause=resources.settings.monitor_interval,
        ),
        Round(
            soon_if(_ROUTES_INTERVAL, lambda: _keep_routes(resources)),
            changes.bell(Subject.INSTANCE),
            pause=_ROUTES_INTERVAL,
        ),
        Round(
            lambda: _keep_guards(resources),
            changes.bell(Subject.INSTANCE, Subject.NETWORK),
            pause=_GUARDS_INTERVAL,
        ),
        Round(
            soon_if(_REPLICATION_INTERVAL, lambda: watch_replication(resources)),
            changes.bell(Subject.INSTANCE),
            pause=_REPLICATION_INTERVAL,
        ),
        Round(
            lambda: look_after_backups(resources, queue),
            changes.bell(Subject.INSTANCE, Subject.BACKUP),
            pause=_BACKUP_INTERVAL,
        ),
        Round(
            soon_if(_SHIPPING_INTERVAL, LogShipping(resources, roster).ship),
            readers.logs,
            pause=_SHIPPING_INTERVAL,
        ),
        Round(
            soon_if(_STOPPING_INTERVAL, lambda: stop_unwanted(resources)),
            changes.bell(Subject.BACKUP),
            pause=_STOPPING_INTERVAL,
        ),
        Round(CatalogueWatch(resources).look, changes.bell(Subject.CATALOGUE)),
        Round(lambda: _keep_pools_full(resources.host), pause=_POOL_DELAY),
        Round(lambda: _tidy(resources), at_least=_TIDYING_INTERVAL),
        Round(lambda: plan_upgrades(resources, queue), at_least=_VERSIONS_INTERVAL),
        Round(Metrics(resources, roster).note),
        Round(CloseLooks(resources, roster).look, readers.metrics),
        Round(LogKeeping(resources, roster).bound_logs),
        Round(certificates.look_after_certificates, at_least=_CERTIFICATE_INTERVAL),
    ]


@dataclass(frozen=True)
class _Readers:
    """The bells of those who read the roster: what they hear of before the monitor does is not yet in it."""

    volumes: Bell = field(default_factory=Bell)
    logs: Bell = field(default_factory=Bell)
    metrics: Bell = field(default_factory=Bell)

    def ring(self) -> None:
        self.volumes.ring_for_all()
        self.logs.ring_for_all()
        self.metrics.ring_for_all()


def _roster(resources: Resources) -> tuple[Roster, _Readers]:
    """The monitor renews it, in a thread; bells are rung on the event loop."""
    loop, readers = asyncio.get_running_loop(), _Readers()

    def ring() -> None:
        loop.call_soon_threadsafe(readers.ring)

    return Roster(resources, ring), readers


def _monitor(resources: Resources, queue: Queue, roster: Roster, bell: Bell) -> Round:
    deaths = Deathwatch()
    asyncio.get_running_loop().add_reader(deaths.fileno(), lambda: bell.ring(deaths.take()))
    monitor = Monitor(resources, queue, roster, deaths)
    return Round(lambda: monitor.look(bell.take()), bell, pause=_MONITOR_PAUSE)


def _hang_watch(resources: Resources, roster: Roster) -> list[Round]:
    timeout = resources.settings.hang_timeout
    if not timeout:
        return []
    return [Round(HangWatch(resources, roster).look_after_servers, at_least=timeout / _LOOKS_BEFORE_KILL)]


def _repository(resources: Resources, changes: Changes) -> list[Round]:
    """Each by itself: log does not wait for a base backup that takes hours."""
    if resources.host.repository is None:
        return []
    access = RepositoryAccess(resources, resources.host.repository)
    return [*_sending(resources, changes, access), *_copying(resources, changes, access)]


def _sending(resources: Resources, changes: Changes, access: RepositoryAccess) -> list[Round]:
    records, logs = RecordSending(resources), LogSending(resources)
    bell = changes.bell(Subject.INSTANCE, Subject.BACKUP, Subject.SERVICE)
    return [
        Round(
            access.guarded("records of instances", lambda repository: records.send(repository, bell.take())),
            bell,
            pause=_RECORDS_PAUSE,
        ),
        Round(
            access.guarded("base backups", lambda repository: send_backups(resources, repository)),
            changes.bell(Subject.BACKUP),
            pause=_SENDING_PAUSE,
        ),
        Round(
            access.guarded("archived logs", logs.send), pause=_SENDING_INTERVAL, at_least=_SENDING_INTERVAL
        ),
    ]


def _copying(resources: Resources, changes: Changes, repository: RepositoryAccess) -> list[Round]:
    """What is in the repository to the second place: none of those that send waits for it."""
    if resources.host.copies is None:
        return []
    access = CopyAccess(resources, repository, resources.host.copies)
    pace = Pace(resources.settings.backup_copies_rate * 10**6)
    backups, logs = BackupCopying(resources, pace), LogCopying(resources, pace)
    records = RecordSending(resources, CopiedRecords(resources).shape)
    bell = changes.bell(Subject.INSTANCE, Subject.BACKUP, Subject.SERVICE)

    def record(_source: Repository, target: Repository) -> dt.datetime:
        began = now()
        records.send(target, bell.take())
        return began

    return [
        Round(access.guarded("records", record, every=_COPYING_INTERVAL), bell, pause=_RECORDS_PAUSE),
        Round(
            access.guarded("backups", backups.copy, every=_COPYING_INTERVAL),
            changes.bell(Subject.BACKUP),
            pause=_COPYING_PAUSE,
            at_least=_MOST_COPYING_PAUSE,
        ),
        Round(
            access.guarded("log", logs.copy, every=_COPYING_INTERVAL),
            pause=_COPYING_PAUSE,
            at_least=_MOST_COPYING_PAUSE,
        ),
    ]


def _keep_routes(resources: Resources) -> bool:
    """See that what is to be passed on is: after a reboot, and where somebody else took it away."""
    try:
        return resources.keep_routes()
    except HostError as error:
        logger.warning("not everything is passed on: %s", error)
        return True


def _keep_guards(resources: Resources) -> None:
    """See that those are kept out whom the rules of security groups keep out as they are now."""
    try:
        resources.apply_guards()
    except HostError as error:
        logger.warning("not everybody is kept out whom security groups keep out: %s", error)


def _tidy(resources: Resources) -> None:
    tidy_servers(resources)
    tidy_backups(resources)


def _keep_pools_full(host: Host) -> float:
    """Fill the pools, and return when they may want it again."""
    host.spare_taken.clear()
    _fill_pools(host)
    host.spare_taken.wait(_POOL_INTERVAL)
    return 0.0


def _fill_pools(host: Host) -> None:
    for engine in host.engines.values():
        try:
            engine.fill_pool()
        except EngineError as error:
            logger.warning("no spare data directory of %s: %s", engine.name, error)
