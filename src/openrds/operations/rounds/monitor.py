"""The host agent's eye on its servers: who is to serve and does not is brought back, for as long as it takes.

What it sees and what it does about it are apart: this module looks, `operations/revival.py` acts.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence

from openrds.domain.errors import Refusal
from openrds.domain.instance import Confirmation, InstanceStatus, InstanceType, NodeRole
from openrds.domain.recovery import seconds_until_due
from openrds.engines.protocol import EngineError
from openrds.hosts import processes
from openrds.hosts.deaths import Deathwatch
from openrds.hosts.errors import HostError
from openrds.hosts.processes import Process
from openrds.operations.rounds.revival import Revival
from openrds.operations.rounds.roster import Roster, free_nodes
from openrds.operations.steps.replication import replicates_synchronously
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import answers
from openrds.store.database import Row
from openrds.tasks.operation import StepFailed
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

#: So many times `monitor_interval` there is between looks at all servers, also those of which nothing was heard.
#: In these standbys are asked whether they still hear of each change; to ask costs a session.
_INTERVALS_BETWEEN_ALL = 15

#: Seconds for which a replica must have lost touch: a primary that has just come back is found by itself.
_LOST_SECONDS = 2.0

_AT_REST = (InstanceStatus.ACTIVE, InstanceStatus.STORAGE_FULL)


class Monitor:
    """Looks after the servers of one host: after those of which something was heard, and now and then after all."""

    def __init__(
        self,
        resources: Resources,
        queue: Queue,
        roster: Roster,
        deaths: Deathwatch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resources = resources
        self._revival = Revival(resources, queue)
        self._roster = roster
        self._deaths = deaths
        self._clock = clock
        # What does not run when we come is what `openrds down` or a reboot stopped: it did not die.
        self._adopting = True
        self._living: list[Process] = []
        self._unwell: frozenset[str] = frozenset()
        self._all_due = 0.0
        self._looks_at_all = True

    def look(self, heard: Collection[str] | None) -> float:
        """
        Look after the instances of which something was heard, with None after all; and after those that were not well.

        In so many seconds that is to be done again, though nothing be heard.
        """
        self._looks_at_all = heard is None or self._clock() >= self._all_due
        if self._looks_at_all:
            self._all_due = 0.0
        self._look_after_some(None if self._looks_at_all else {*(heard or ()), *self._unwell})
        interval = self._resources.settings.monitor_interval
        if self._looks_at_all:
            self._adopting = False
            self._all_due = self._clock() + _INTERVALS_BETWEEN_ALL * interval
        return interval if self._unwell else max(0.0, self._all_due - self._clock())

    def _look_after_some(self, instance_ids: Collection[str] | None) -> None:
        """Bring the status of instances in line with their servers, and have the deaths of these told."""
        found = self._roster.refresh(instance_ids)
        gone = self._deaths.names() if instance_ids is None else set(instance_ids)
        for id_ in gone - {nodes[0]["id"] for nodes in found}:
            self._deaths.watch(id_, ())
        self._unwell = frozenset(nodes[0]["id"] for nodes in found if not self._leave_well(nodes))

    def _leave_well(self, nodes: Sequence[Row]) -> bool:
        """Whether nothing need be done for an instance until something is heard of it."""
        self._living = []
        self._look_after(nodes)
        self._deaths.watch(nodes[0]["id"], self._living)
        return len(self._living) == len(nodes) and all(map(_is_well, nodes))

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
            if answers(self._resources, row, self._resources.node(row["id"], row["node_id"])):
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
        """Noted some time ago, and so still: a primary that has just come back is found by itself."""
        if row["replication"] is None or row["replication"]["streaming"]:
            return False
        if (row["now"] - row["replication_seen_at"]).total_seconds() < _LOST_SECONDS:
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
        if not _has_all(row):
            return False
        if not self._looks_at_all:
            return True
        if not self._resources.node_server(row["id"], row["node_id"]).replication.state().streaming:
            return False
        return row["confirmation"] != Confirmation.YES or self._is_waited_for(row)

    def _is_waited_for(self, row: Row) -> bool:
        """An engine may stop to wait by itself. Then the standby may lack something, and must not be promoted."""
        followers = self._resources.primary_server(row["id"]).replication.followers()
        if any(one.node_id == row["node_id"] and one.confirms for one in followers):
            return True
        logger.warning("the primary of instance %s does not wait for its standby any more", row["id"])
        return False

    def _seconds_until_due(self, row: Row) -> float:
        """Until it may be brought back. When we come, at once: it may be the machine that died."""
        return 0.0 if self._adopting else seconds_until_due(row["revivals"], row["revived_at"], row["now"])

    def _may_take_over(self, node: Row) -> bool:
        if node["type"] != InstanceType.HA or node["role"] != NodeRole.SLAVE:
            return False
        return _has_all(node) and self._is_running(node)

    def _is_running(self, row: Row) -> bool:
        """Its record says so in most rounds; only where it does not is the server asked, which costs more."""
        record = self._resources.record(row["node_id"])
        process = processes.find(record)
        if process is None and self._resources.node_server(row["id"], row["node_id"]).is_running():
            process = processes.find(record)  # which was wrong, and has been put right
        if process is not None and process not in self._living:
            self._living.append(process)
        return process is not None


def _is_well(row: Row) -> bool:
    """What the store says of a node: that it needs no looking after."""
    if row["status"] not in _AT_REST or (row["replication"] and not row["replication"]["streaming"]):
        return False
    return row["role"] != NodeRole.SLAVE or _has_all(row)


def _has_all(node: Row) -> bool:
    """Whether a standby has all that was acknowledged."""
    return node["confirmation"] == Confirmation.YES or not replicates_synchronously(node)


def tidy_servers(resources: Resources) -> None:
    """Remove what the servers of this host keep for longer than their instances keep backups."""
    for row in free_nodes(resources):
        try:
            resources.node_server(row["id"], row["node_id"]).tidy(keep_days=row["backup_keep_days"])
        except (StepFailed, EngineError):
            logger.warning("instance %s could not be tidied", row["id"], exc_info=True)
