"""Make the read replicas of a lost service anew, each of its primary once that serves again.

A replica has no backups: it is written down as it was, with its id, its name and its addresses, and is BUILD though no
task holds it. By that `remake_lost_replicas`, a round, knows it, and begins the ordinary operations.
"""

import logging
from collections.abc import Callable
from uuid import UUID

from openrds.domain.errors import Refusal
from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.settings import Settings
from openrds.operations.backups.restore_lost_instance import insert
from openrds.operations.intake.intake import Intake
from openrds.operations.network.bind_public_address import BIND_PUBLIC_ADDRESS
from openrds.operations.network.bind_public_address import Parameters as Bound
from openrds.operations.pairs.create_replica import CREATE_REPLICA
from openrds.operations.steps import creating
from openrds.repository.records import InstanceRecord
from openrds.store.database import Row, Store
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("instances")


def submit(intake: Intake, record: InstanceRecord) -> None:
    """Write a read replica down, unless that was done, to be made when its primary serves. No task holds it."""
    insert(intake, record, Wanted.STOPPED)
    instance = intake.instance(record.id)
    intake.set_wanted(instance, Wanted.STOPPED)
    intake.set_status(instance, InstanceStatus.BUILD)


def remake_lost_replicas(store: Store, queue: Queue, settings: Settings) -> None:
    """One round: a task for each that can be made now, and one that binds its public address when it was made."""
    for row in store.rows(_sql.lost_replicas):
        _attempt(store, queue, settings, row, _remake)
    for row in store.rows(_sql.replicas_to_bind):
        _attempt(store, queue, settings, row, _bind)


def _attempt(
    store: Store, queue: Queue, settings: Settings, row: Row, begin: Callable[[Intake, Row], UUID | None]
) -> None:
    try:
        with store.transaction() as connection:
            begin(Intake(connection, queue, settings, row["project_id"]), row)
    except Refusal as refusal:
        logger.warning("read replica %s has to wait: %s", row["id"], refusal)


def _remake(intake: Intake, row: Row) -> UUID | None:
    instance = intake.instance(row["id"])
    if instance.status is not InstanceStatus.BUILD or instance.wanted is not Wanted.STOPPED:
        return None
    intake.set_wanted(instance, Wanted.SERVING)
    return intake.accept(instance, CREATE_REPLICA, entities={"instance": creating.aim_of(instance)})


def _bind(intake: Intake, row: Row) -> UUID | None:
    """Where its host has no means for that, it goes without."""
    instance = intake.instance(row["id"])
    means = intake.connection.execute(_sql.forwarding_of_instance, [instance.id]).fetchall()
    if not all(one["forwarding"] for one in means):
        logger.warning("read replica %s does not get %s bound again", instance.id, row["address"])
        intake.connection.execute(_sql.release_public_address, [instance.id])
        return None
    parameters = Bound(row["address"])
    return intake.accept(instance, BIND_PUBLIC_ADDRESS, parameters, {"public_ip": row["address"]})
