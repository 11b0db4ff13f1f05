"""The host agent's eye on its servers: one that died is restarted by a task, one that keeps dying is FAILED."""

import logging

from openrds.domain.errors import Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.task import TaskName
from openrds.engines.protocol import Server
from openrds.operations.intake import Intake
from openrds.operations.resources import Resources, set_status
from openrds.operations.restart_instance import RESTART_INSTANCE
from openrds.store.database import Row
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: A server that dies more often than this within ten minutes is not restarted again.
MAX_REVIVALS = 3


def look_after_servers(resources: Resources, queue: Queue) -> None:
    """Bring the status of every instance on this host in line with its server, one round."""
    for row in resources.store.rows(_sql.nodes_to_watch, [resources.settings.host]):
        try:
            server = resources.server(row, {"id": row["node_id"], "address": row["node_address"]})
            _look_after(resources, queue, row, server)
        except (StepFailed, Refusal):
            # Its binaries are gone, or a caller's operation came first: the next round sees what became of it.
            logger.warning("instance %s could not be looked after", row["id"], exc_info=True)


def _look_after(resources: Resources, queue: Queue, row: Row, server: Server) -> None:
    running = server.is_running()
    if row["status"] == InstanceStatus.FAILED:
        if running and server.answers():
            _settle(resources, row, InstanceStatus.ACTIVE)
    elif not running:
        _revive(resources, queue, row)


def _revive(resources: Resources, queue: Queue, row: Row) -> None:
    with resources.store.transaction() as connection:
        intake = Intake(connection, queue, resources.settings, row["project_id"])
        instance = intake.instance(row["id"])
        (revival,) = connection.execute(_sql.note_revival, [row["node_id"]]).fetchall()
        if revival["revivals"] > MAX_REVIVALS:
            logger.error("instance %s keeps dying and is given up", row["id"])
            intake.set_status(instance, InstanceStatus.FAILED)
            return
        logger.warning("the server of instance %s died and is restarted", row["id"])
        intake.accept(instance, RESTART_INSTANCE, TaskName.RESTART)
        intake.set_status(instance, InstanceStatus.REBOOTING)


def _settle(resources: Resources, row: Row, status: InstanceStatus) -> None:
    with resources.store.transaction() as connection:
        set_status(connection, row["id"], status)
