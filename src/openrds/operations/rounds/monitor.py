"""The host agent's eye on its servers: who is to serve and does not is brought back, for as long as it takes.

What it sees and what it does about it are apart: this module looks, `operations/revival.py` acts.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection

from openrds.domain.errors import Refusal
from openrds.domain.instance import Confirmation, InstanceStatus, InstanceType, NodeRole
from openrds.domain.instance_values import Instance, Node
from openrds.domain.recovery import seconds_until_due
from openrds.engines.protocol import EngineError, StandbyState
from openrds.hosts import processes
from openrds.hosts.deaths import Deathwatch
from openrds.hosts.errors import HostError
from openrds.hosts.processes import Process
from openrds.operations.rounds.revival import Revival
from openrds.operations.rounds.roster import Roster, free_nodes
from openrds.operations.steps.replication import replicates_synchronously
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import answers
from openrds.store.instances import Rostered
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
        for id_ in gone - {one.instance.id for one in found}:
            self._deaths.watch(id_, ())
        self._unwell = frozenset(one.instance.id for one in found if not self._leave_well(one))

    def _leave_well(self, one: Rostered) -> bool:
        """Whether nothing need be done for an instance until something is heard of it."""
        self._living = []
        self._look_after(one)
        self._deaths.watch(one.instance.id, self._living)
        return len(self._living) == len(one.nodes) and all(_is_well(one.instance, node) for node in one.nodes)

    def _look_after(self, one: Rostered) -> None:
        """What is done for one node of an instance may mend the others."""
        for node in one.nodes:
            try:
                if self._mend(one, node):
                    return
            except (StepFailed, Refusal, EngineError, HostError):
                # Its binaries are gone, or a caller's operation came first: the next round sees what became of it.
                logger.warning("instance %s could not be looked after", one.instance.id, exc_info=True)
                return

    def _mend(self, one: Rostered, node: Node) -> bool:
        """Whether there was something to do."""
        if node.role is NodeRole.SLAVE:
            return self._mend_standby(one, node)
        if not self._is_running(node):
            self._replace(one, node)
            return True
        if one.instance.status not in _AT_REST:
            if answers(self._resources, one.instance, self._resources.view.node(one.instance.id, node.id)):
                self._revival.note_serving(one.instance.id)
            return True
        return self._mend_replica(one, node)

    def _replace(self, one: Rostered, node: Node) -> None:
        """By its standby where that has all that was acknowledged; else it is brought back when that is due."""
        standby = next((other for other in one.nodes if self._may_take_over(one.instance, other)), None)
        seconds, at_rest = self._seconds_until_due(one, node), one.instance.status in _AT_REST
        if standby is not None and (at_rest or not seconds):
            self._revival.let_take_over(one.instance, node, standby)
        elif not seconds:
            self._revival.bring_back(one.instance, node, died=not self._adopting)
        elif at_rest:
            self._revival.note_down(node, seconds)

    def _mend_replica(self, one: Rostered, node: Node) -> bool:
        """One that runs and does not hear of its primary's changes, which is at rest, is made to follow again."""
        primary_id = one.instance.replica_of
        if primary_id is None or self._seconds_until_due(one, node):
            return False
        if not self._has_lost_touch(primary_id, node, one.now):
            return False
        logger.warning("read replica %s has lost touch with its primary", one.instance.id)
        self._revival.rebuild(one.instance, node)
        return True

    def _has_lost_touch(self, primary_id: str, node: Node, now: dt.datetime) -> bool:
        """Noted some time ago, and so still: a primary that has just come back is found by itself."""
        if node.replication is None or node.replication.streaming or node.replication_seen_at is None:
            return False
        if (now - node.replication_seen_at).total_seconds() < _LOST_SECONDS:
            return False
        resources = self._resources
        if resources.view.instance(primary_id).status is not InstanceStatus.ACTIVE:
            return False
        if not resources.primary_server(primary_id).is_running():
            return False
        return not self._state(node).streaming

    def _mend_standby(self, one: Rostered, node: Node) -> bool:
        """Until one that keeps dying is brought back again the instance serves without it."""
        if self._is_standby_well(one.instance, node):
            return False
        if self._seconds_until_due(one, node):
            self._revival.release_writes(node)
            return False
        logger.warning("the standby of instance %s is brought back", one.instance.id)
        self._revival.rebuild(one.instance, node)
        return True

    def _is_standby_well(self, instance: Instance, node: Node) -> bool:
        if not self._is_running(node):
            return False
        if not _has_all(instance, node):
            return False
        if not self._looks_at_all:
            return True
        if not self._state(node).streaming:
            return False
        return node.confirmation is not Confirmation.YES or self._is_waited_for(node)

    def _is_waited_for(self, node: Node) -> bool:
        """An engine may stop to wait by itself. Then the standby may lack something, and must not be promoted."""
        followers = self._resources.primary_server(node.instance_id).replication.followers()
        if any(one.node_id == node.id and one.confirms for one in followers):
            return True
        logger.warning("the primary of instance %s does not wait for its standby any more", node.instance_id)
        return False

    def _seconds_until_due(self, one: Rostered, node: Node) -> float:
        """Until it may be brought back. When we come, at once: it may be the machine that died."""
        return 0.0 if self._adopting else seconds_until_due(node.revivals, node.revived_at, one.now)

    def _may_take_over(self, instance: Instance, node: Node) -> bool:
        if instance.type is not InstanceType.HA or node.role is not NodeRole.SLAVE:
            return False
        return _has_all(instance, node) and self._is_running(node)

    def _is_running(self, node: Node) -> bool:
        """Its record says so in most rounds; only where it does not is the server asked, which costs more."""
        record = self._resources.host.record(node.id)
        process = processes.find(record)
        if process is None and self._resources.node_server(node.instance_id, node.id).is_running():
            process = processes.find(record)  # which was wrong, and has been put right
        if process is not None and process not in self._living:
            self._living.append(process)
        return process is not None

    def _state(self, node: Node) -> StandbyState:
        return self._resources.node_server(node.instance_id, node.id).replication.state()


def _is_well(instance: Instance, node: Node) -> bool:
    """What the store says of a node: that it needs no looking after."""
    if instance.status not in _AT_REST or (node.replication and not node.replication.streaming):
        return False
    return node.role is not NodeRole.SLAVE or _has_all(instance, node)


def _has_all(instance: Instance, standby: Node) -> bool:
    """Whether a standby has all that was acknowledged."""
    return standby.confirmation is Confirmation.YES or not replicates_synchronously(instance)


def tidy_servers(resources: Resources) -> None:
    """Remove what the servers of this host keep for too long."""
    for instance, node in free_nodes(resources):
        try:
            resources.node_server(instance.id, node.id).tidy()
        except (StepFailed, EngineError):
            logger.warning("instance %s could not be tidied", instance.id, exc_info=True)
