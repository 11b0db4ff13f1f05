"""Newer minor versions are planned for instances that are to get them by themselves, for their maintenance window.

Once for each version: one that was called off, or did not start, is not tried again.
"""

import logging

from openrds.domain.errors import Refusal
from openrds.domain.schedule import ScheduledName
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.upgrades.planning import newest_minor
from openrds.operations.upgrades.upgrade_minor import UpgradeMinor, submit
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_instances = Queries("instances")
_schedule = Queries("schedule")


def plan_upgrades(resources: Resources, queue: Queue) -> None:
    """Of the instances of this host. What cannot be planned now, as the instance is busy, is the next time."""
    for row in resources.store.rows(_instances.to_upgrade, [resources.host.name]):
        with resources.store.transaction() as connection:
            _plan(Intake(connection, queue, resources.settings, row["project_id"]), row["id"])


def _plan(intake: Intake, instance_id: str) -> None:
    try:
        instance = intake.instance(instance_id)
        new = newest_minor(intake.connection, instance)
        if new is None or _was_planned(intake.connection, instance_id, new):
            return
        submit(intake, instance_id, UpgradeMinor(is_delayed=True))
    except Refusal as refusal:
        logger.info("no upgrade is planned for instance %s now: %s", instance_id, refusal)
    else:
        logger.info("instance %s will be upgraded to %s in its maintenance window", instance_id, new)


def _was_planned(connection: Writer, instance_id: str, version: str) -> bool:
    sought = {"instance_id": instance_id, "name": ScheduledName.UPGRADE, "version": version}
    return connection.execute(_schedule.was_planned, sought).fetchone() is not None
