"""The host agent's eye on its servers: one that died is restarted by a task, one that keeps dying is FAILED."""

import logging

from openrds.domain.errors import Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError, Server
from openrds.operations.intake import Intake
from openrds.operations.resources import Resources, set_status
from openrds.operations.restart_instance import RESTART_INSTANCE
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: A server that dies more often than this within ten minutes is not restarted again.
MAX_REVIVALS = 3


class Monitor:
    """Looks after the servers of one host, round after round."""

    def __init__(self, resources: Resources, queue: Queue) -> None:
        self._resources = resources
        self._queue = queue
        # What does not run when we come is what `openrds down` or a reboot stopped: it did not die.
        self._adopting = True

    def look_after_servers(self) -> None:
        """Bring the status of every instance on this host in line with its server."""
        resources = self._resources
        for row in resources.store.rows(_sql.nodes_to_watch, [resources.settings.host]):
            try:
                self._look_after(row, _server(resources, row))
            except (StepFailed, Refusal):
                # Its binaries are gone, or a caller's operation came first: the next round sees what became of it.
                logger.warning("instance %s could not be looked after", row["id"], exc_info=True)
        self._adopting = False

    def _look_after(self, row: Row, server: Server) -> None:
        running = server.is_running()
        if row["status"] == InstanceStatus.FAILED:
            if running and server.answers():
                _settle(self._resources, row, InstanceStatus.ACTIVE)
        elif not running:
            self._revive(row)

    def _revive(self, row: Row) -> None:
        resources = self._resources
        with resources.store.transaction() as connection:
            intake = Intake(connection, self._queue, resources.settings, row["project_id"])
            instance = intake.instance(row["id"])
            if not self._adopting and _keeps_dying(connection, row):
                logger.error("instance %s keeps dying and is given up", row["id"])
                intake.set_status(instance, InstanceStatus.FAILED)
                return
            logger.warning("the server of instance %s does not run and is restarted", row["id"])
            intake.accept(instance, RESTART_INSTANCE, TaskName.RESTART)
            intake.set_status(instance, InstanceStatus.REBOOTING)


def tidy_servers(resources: Resources) -> None:
    """Remove what the servers of this host keep for longer than their instances keep backups."""
    for row in resources.store.rows(_sql.nodes_to_watch, [resources.settings.host]):
        try:
            _server(resources, row).tidy(keep_days=row["backup_keep_days"])
        except (StepFailed, EngineError):
            logger.warning("instance %s could not be tidied", row["id"], exc_info=True)


def _server(resources: Resources, row: Row) -> Server:
    return resources.server(row, {"id": row["node_id"], "address": row["node_address"]})


def _keeps_dying(connection: Writer, row: Row) -> bool:
    (node,) = connection.execute(_sql.note_revival, [row["node_id"]]).fetchall()
    return bool(node["revivals"] > MAX_REVIVALS)


def _settle(resources: Resources, row: Row, status: InstanceStatus) -> None:
    with resources.store.transaction() as connection:
        set_status(connection, row["id"], status)
