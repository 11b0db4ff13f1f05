"""Automatic backups by the policy of each instance, and what nobody needs any more."""

import datetime as dt
import logging
import math

import msgspec

from openrds.domain.backup import is_due, next_begin
from openrds.domain.engine import EngineName
from openrds.domain.errors import Refusal
from openrds.domain.instance_values import Instance
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.operations.backups import back_up
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.store.database import Row
from openrds.store.instances import instance_of
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("backups")
_instances = Queries("instances")

#: After a first backup that failed, the next is tried so much later.
_RETRY = dt.timedelta(hours=1)
#: What is due and could not be begun, or not be removed, is tried again after so many seconds.
_TRY_AGAIN = 10.0


class Candidate(msgspec.Struct, frozen=True):
    """An instance at rest that keeps automatic backups, as the store said `now`.

    `last_automatic` is when the last one was begun. With `has_base` there is something that it can be restored from.
    """

    instance: Instance
    last_automatic: dt.datetime | None
    has_base: bool
    now: dt.datetime


def look_after_backups(resources: Resources, queue: Queue) -> float:
    """One round: begin the backups that are due on this host, and remove the files of those that were deleted.

    So are those that were in the recycle bin for their time.

    In how many seconds the next is due, unless something changes; infinity where there will be none.
    """
    first_after = resources.settings.first_backup_after
    waits = [math.inf]
    for one in map(_candidate, resources.store.rows(_sql.backup_candidates, [resources.host.name])):
        if backup_is_due(one, first_after):
            _begin(resources, queue, one)
            waits.append(_TRY_AGAIN)
        else:
            waits.append((next_due(one, first_after) - one.now).total_seconds())
    resources.store.rows(_sql.expire_recycled, [resources.host.name])
    if not remove_deleted(resources):
        waits.append(_TRY_AGAIN)
    return min(waits)


def _candidate(row: Row) -> Candidate:
    return Candidate(instance_of(row), row["last_automatic"], row["has_base"], row["now"])


def backup_is_due(one: Candidate, first_after: float) -> bool:
    """By the policy's window; or because nothing can be restored yet and the instance has been at rest for a while.

    Right after a creation the caller has more to do, which a running backup would keep from the instance: even if its
    window opens then.
    """
    instance, rest = one.instance, dt.timedelta(seconds=first_after)
    if one.now - instance.created_at < rest:
        return False
    last = one.last_automatic or instance.created_at
    if is_due(instance.backup_start_time, instance.backup_period, last, one.now):
        return True
    return not one.has_base and one.now >= _first_due(one, first_after)


def next_due(one: Candidate, first_after: float) -> dt.datetime:
    """When a backup that is not due now will be, if nothing changes."""
    begin = next_begin(one.instance.backup_start_time, one.now)
    return begin if one.has_base else min(begin, max(_first_due(one, first_after), one.now))


def _first_due(one: Candidate, first_after: float) -> dt.datetime:
    """When one is due because there is none that anything can be restored from."""
    rested = one.instance.updated_at + dt.timedelta(seconds=first_after)
    return rested if one.last_automatic is None else max(rested, one.last_automatic + _RETRY)


def stop_unwanted(resources: Resources) -> bool:
    """One round: stop the backups of this host that are not wanted any more, and say whether there were any.

    The step that makes one notices by itself why it fails.
    """
    unwanted = resources.store.rows(_sql.backups_to_stop, [resources.host.name])
    for row in unwanted:
        for folder in resources.host.backups.unfinished(row["instance_id"], row["id"]):
            try:
                resources.host.engines[EngineName(row["engine"])].backups.break_off(folder)
            except EngineError:
                logger.warning("backup %s could not be stopped", row["id"], exc_info=True)
    return bool(unwanted)


def remove_deleted(resources: Resources) -> bool:
    """Remove the files of backups that were deleted; False if some are still there."""
    all_gone = True
    for row in resources.store.rows(_sql.backups_to_remove, [resources.host.name]):
        try:
            resources.host.backups.remove(row["instance_id"], row["id"])
        except (HostError, OSError):
            logger.warning("backup %s could not be removed", row["id"], exc_info=True)
            all_gone = False
        else:
            resources.store.rows(_sql.forget_backup, [row["id"]])
            resources.store.rows(_instances.release_os_users)
    return all_gone


def tidy_backups(resources: Resources) -> None:
    """Let go of automatic backups that are older than their instance keeps them, and of log that no backup leads to."""
    for row in resources.store.rows(_sql.instances_of_host, [resources.host.name]):
        try:
            _tidy(resources, row["id"], EngineName(row["engine"]))
        except (EngineError, HostError, OSError):
            logger.warning("the backups of instance %s could not be tidied", row["id"], exc_info=True)
    remove_deleted(resources)


def _tidy(resources: Resources, instance_id: str, engine: EngineName) -> None:
    with resources.store.transaction() as connection:
        if connection.execute(_sql.running_backup, [instance_id]).fetchone() is not None:
            return
        connection.execute(_sql.expire_automatic_backups, [instance_id])
        connection.execute(_sql.end_continuity, [instance_id])
        oldest = connection.execute(_sql.oldest_base, [instance_id]).fetchone()
    # Nothing relies on the log before the oldest base any more, once that is committed.
    position = oldest["log_position"] if oldest else None
    resources.host.engines[engine].backups.prune_archive(
        resources.host.backups.archive(instance_id), position
    )


def _begin(resources: Resources, queue: Queue, one: Candidate) -> None:
    try:
        with resources.store.transaction() as connection:
            intake = Intake(connection, queue, resources.settings, one.instance.project_id)
            back_up.submit_automatic(intake, one.instance.id, one.now)
    except Refusal as refusal:
        # A caller's operation came first; there is another round.
        logger.info("no automatic backup of instance %s now: %s", one.instance.id, refusal)
