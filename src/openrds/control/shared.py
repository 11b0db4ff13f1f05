"""The rounds that are done once, however many hosts there are: tasks, their counts and records, and what is due."""

import datetime as dt

from openrds.control.changes import Changes, Subject
from openrds.control.rounds import Round, soon_if
from openrds.domain import metrics, webhooks
from openrds.domain.dns_names import DAYS_HELD, MOST_HELD
from openrds.domain.settings import Settings
from openrds.operations.instances.start_instance import start_overdue
from openrds.operations.intake.scheduling import Scheduler, forget_ended
from openrds.operations.registry import SCHEDULED
from openrds.operations.rounds.lost_replicas import remake_lost_replicas
from openrds.store.database import Store
from openrds.store.queries import Queries
from openrds.tasks.counting import add_changes
from openrds.tasks.events import forget_old
from openrds.tasks.queue import Queue
from openrds.tasks.retention import forget_expired, prepare_partitions
from openrds.tasks.watchdog import return_lost_steps

_answers = Queries("answers")
_console = Queries("console")
_dns_names = Queries("dns_names")
_identities = Queries("identities")
_metrics = Queries("metrics")
_tasks = Queries("tasks")
_webhooks = Queries("webhooks")

#: Seconds between rounds, while there is something to do.
_WATCHDOG_INTERVAL = 3.0
_COUNTING_INTERVAL = 2.0
_SCHEDULE_INTERVAL = 10.0
_REMAKING_PAUSE = 1.0
#: In any case.
_TIDYING_INTERVAL = dt.timedelta(hours=1).total_seconds()


def shared_rounds(store: Store, queue: Queue, settings: Settings, changes: Changes) -> list[Round]:
    def watch_tasks() -> bool:
        """Whether any task runs. The next to be accepted is told of."""
        return_lost_steps(store, queue, settings.worker_timeout)
        (found,) = store.rows(_tasks.any_runs)
        return bool(found["running"])

    def tidy() -> None:
        """Room for the tasks to come, and what nobody asks for any more."""
        prepare_partitions(store)
        store.rows(_answers.delete_expired)
        store.rows(_identities.delete_expired_revocations)
        store.rows(_console.delete_expired_sessions)
        forget_ended(store)
        store.rows(_metrics.delete_expired, [metrics.KEPT])
        store.rows(_metrics.delete_expired_close, [metrics.KEPT_CLOSE])
        forget_old(store)
        store.rows(_dns_names.forget_left_names, {"days": DAYS_HELD, "most": MOST_HELD})
        store.rows(_webhooks.forget_old, {"age": webhooks.KEPT})

    scheduler = Scheduler(store, queue, settings, SCHEDULED)
    return [
        Round(
            soon_if(_WATCHDOG_INTERVAL, watch_tasks), changes.bell(Subject.TASKS), pause=_WATCHDOG_INTERVAL
        ),
        Round(lambda: add_changes(store), changes.bell(Subject.TASKS), pause=_COUNTING_INTERVAL),
        Round(scheduler.start_due, changes.bell(Subject.SCHEDULE), pause=_SCHEDULE_INTERVAL),
        Round(
            lambda: remake_lost_replicas(store, queue, settings),
            changes.bell(Subject.INSTANCE),
            pause=_REMAKING_PAUSE,
        ),
        Round(lambda: forget_expired(store)),
        Round(lambda: start_overdue(store, queue, settings)),
        Round(tidy, at_least=_TIDYING_INTERVAL),
    ]
