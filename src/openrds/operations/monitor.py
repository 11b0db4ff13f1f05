"""The host agent's eye on its servers: who is to serve and does not is brought back, for as long as it takes.

What it sees and what it does about it are apart: this module looks, `operations/revival.py` acts.
"""

import logging
from collections.abc import Sequence
from itertools import groupby

from openrds.domain.errors import Refusal
from openrds.domain.instance import Confirmation, InstanceStatus, InstanceType, NodeRole
from openrds.domain.recovery import seconds_until_due
from openrds.engines.protocol import EngineError
from openrds.hosts import processes
from openrds.hosts.errors import HostError
from openrds.hosts.processes import Process, wait_for_death
from openrds.operations.replication import replicates_synchronously
from openrds.operations.resources import Resources, is_serving
from openrds.operations.revival import Revival
from openrds.store.database import Row
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: Rounds after which standbys are asked whether they still hear of each change; to ask costs a session.
_ROUNDS_BETWEEN_QUESTIONS = 15

_AT_REST = (InstanceStatus.ACTIVE, InstanceStatus.STORAGE_FULL)


class Monitor:
    """Looks after the servers of one host, round after round."""

    def __init__(self, resources: Resources, queue: Queue) -> None:
        self._resources = resources
        self._revival = Revival(resources, queue)
        # What does not run when we come is what `openrds down` or a reboot stopped: it did not die.
        self._adopting = True
        self._living: list[Process] = []
        self._rounds = 0

    def look_and_wait(self) -> None:
        """A round, and then the time until the next one: `monitor_interval`, or until one of the servers dies."""
        try:
            self.look_after_servers()
        except Exception:
            self._living = []
            raise
        finally:
            wait_for_death(self._living, self._resources.settings.monitor_interval)

    def look_after_servers(self) -> None:
        """Bring the status of every instance on this host in line with its servers."""
        self._living = []
        for _, nodes in groupby(nodes_to_watch(self._resources), lambda row: row["id"]):
            self._look_after(list(nodes))
        self._adopting = False
        self._rounds += 1

    def _look_after(self, nodes: Sequence[Row]) -> None:
        """The nodes of one instance, the primary first. What is done for one may mend the others."""
        for row in nodes:
            try:
                if self._mend(row, nodes):
                    return
            except (StepFailed, Refusal, EngineError, HostError):
                # Its binaries are gone, or a caller's operation came first: the next round sees what became of it.
                logger.warning("instance %s could not be looked after", row["id"], exc_info=True)
                return

    def _mend(self, row: Row, nodes: Sequence[Row]) -> bool:
        """Whether there was something to do."""
        if row["role"] == NodeRole.SLAVE:
            return self._mend_standby(row)
        if not self._is_running(row):
            self._replace(row, nodes)
            return True
        if row["status"] not in _AT_REST:
            if is_serving(self._resources, row, self._resources.node(row["id"], row["node_id"])):
                self._revival.note_serving(row)
            return True
        return self._mend_replica(row)

    def _replace(self, row: Row, nodes: Sequence[Row]) -> None:
        """By its standby where that has all that was acknowledged; else it is brought back when that is due."""
        standby = next((node for node in nodes if self._may_take_over(node)), None)
        seconds = self._seconds_until_due(row)
        if standby is not None and (row["status"] in _AT_REST or not seconds):
            self._revival.let_take_over(row, standby)
        elif not seconds:
            self._revival.bring_back(row, died=not self._adopting)
        elif row["status"] in _AT_REST:
            self._revival.note_down(row, seconds)

    def _mend_replica(self, row: Row) -> bool:
        """One that runs and does not hear of its primary's changes, which is at rest, is made to follow again."""
        if (
            row["role"] != NodeRole.READ_REPLICA
            or self._seconds_until_due(row)
            or not self._has_lost_touch(row)
        ):
            return False
        logger.warning("read replica %s has lost touch with its primary", row["id"])
        self._revival.rebuild(row)
        return True

    def _has_lost_touch(self, row: Row) -> bool:
        """Seen twice, some seconds apart: a primary that has just come back is found by itself."""
        if row["replication"] is None or row["replication"]["streaming"]:
            return False
        resources = self._resources
        if resources.instance(row["replica_of"])["status"] != InstanceStatus.ACTIVE:
            return False
        if not resources.primary_server(row["replica_of"]).is_running():
            return False
        return not resources.node_server(row["id"], row["node_id"]).replication.state().streaming

    def _mend_standby(self, row: Row) -> bool:
        """Until one that keeps dying is brought back again the instance serves without it."""
        if self._is_standby_well(row):
            return False
        if self._seconds_until_due(row):
            self._revival.release_writes(row)
            return False
        logger.warning("the standby of instance %s is brought back", row["id"])
        self._revival.rebuild(row)
        return True

    def _is_standby_well(self, row: Row) -> bool:
        if not self._is_running(row):
            return False
        if replicates_synchronously(row) and row["confirmation"] != Confirmation.YES:
            return False
        if self._rounds % _ROUNDS_BETWEEN_QUESTIONS:
            return True
        return self._resources.node_server(row["id"], row["node_id"]).replication.state().streaming

    def _seconds_until_due(self, row: Row) -> float:
        """Until it may be brought back. When we come, at once: it may be the machine that died."""
        return 0.0 if self._adopting else seconds_until_due(row["revivals"], row["revived_at"], row["now"])

    def _may_take_over(self, node: Row) -> bool:
        if node["type"] != InstanceType.HA or node["role"] != NodeRole.SLAVE:
            return False
        has_all = node["confirmation"] == Confirmation.YES or not replicates_synchronously(node)
        return has_all and self._is_running(node)

    def _is_running(self, row: Row) -> bool:
        """Its record says so in most rounds; only where it does not is the server asked, which costs more."""
        process = processes.find(self._resources.record(row["node_id"]))
        if process is not None:
            self._living.append(process)
            return True
        return self._resources.node_server(row["id"], row["node_id"]).is_running()


def nodes_to_watch(resources: Resources) -> list[Row]:
    """The nodes of the instances of this host that are to serve and are not held by a task, the primary first."""
    return resources.store.rows(_sql.nodes_to_watch, [resources.settings.host])


def tidy_servers(resources: Resources) -> None:
    """Remove what the servers of this host keep for longer than their instances keep backups."""
    for row in nodes_to_watch(resources):
        try:
            resources.node_server(row["id"], row["node_id"]).tidy(keep_days=row["backup_keep_days"])
        except (StepFailed, EngineError):
            logger.warning("instance %s could not be tidied", row["id"], exc_info=True)
