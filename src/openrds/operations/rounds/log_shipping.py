"""The host agent's eye on the log of servers that do not archive it by themselves: it is shipped, and cleared, and
primaries are asked for what their standbys need beyond it.

A server that has written nothing since is not asked, and one whose engine archives by itself is never.
"""

import logging
import time
from collections.abc import Callable, Sequence

from openrds.domain.instance import InstanceStatus, NodeRole
from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import Backups, EngineError, NodeSpec
from openrds.hosts.errors import HostError
from openrds.hosts.processes import find, written_by
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.store.instances import lock_free_instance
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

#: Seconds after which a server is asked though it has written nothing: its log grows old all the same.
_LONGEST_PAUSE = 1800.0
#: Hours for which one that follows keeps its log in any case: should it take over, the log of before may be wanted.
_LEAST_OF_FOLLOWERS = 1
#: Likewise for a primary of which a read replica is being made: between its copy and its first word nobody reads the
#: log that leads from one to the other.
_LEAST_WHILE_COPIED = 24
#: Seconds after which a server that has written begins another file of its log, where backups outlive the machine: what
#: it has not finished is lost with that.
_LONGEST_FILE = 300.0


class LogShipping:
    """Ships the log of the instances of one host that serve and are held by no task, round after round."""

    def __init__(
        self, resources: Resources, roster: Roster, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resources = resources
        self._roster = roster
        self._clock = clock
        #: Of each node: what its server had written when it was last asked, and when it is asked again in any case.
        self._asked: dict[str, tuple[int, float]] = {}
        #: Of each node: when all that its server had written by then was archived.
        self._archived: dict[str, float] = {}

    def ship(self) -> bool:
        """One round; whether there is an instance that needs any."""
        instances = [one for one in self._roster.instances() if self._backups(one.instance).ships_log]
        known = {node.id for one in instances for node in one.nodes}
        self._asked = {id_: asked for id_, asked in self._asked.items() if id_ in known}
        self._archived = {id_: moment for id_, moment in self._archived.items() if id_ in known}
        for one in instances:
            self._look_after(one.nodes)
        return bool(instances)

    def _look_after(self, nodes: Sequence[Node]) -> None:
        """Each by itself: one that is down keeps no other's log back."""
        for node in nodes:
            if find(self._resources.host.record(node.id)) is None or self._has_nothing_new(node):
                continue
            try:
                self._ship(node, has_standby=len(nodes) > 1)
            except (EngineError, HostError, StepFailed, OSError):
                logger.warning("the log of instance %s could not be shipped", node.instance_id, exc_info=True)

    def _has_nothing_new(self, node: Node) -> bool:
        """Where the system does not say what a server writes, it may be anything."""
        asked = self._asked.get(node.id)
        if asked is None or self._clock() >= asked[1]:
            return False
        return asked[0] == written_by(self._resources.host.record(node.id))

    def _ship(self, node: Node, *, has_standby: bool) -> None:
        """While nobody moves the archive away: whoever does holds the instance, and waits for us."""
        resources = self._resources
        with resources.host.backups.shipping:
            with resources.store.transaction() as connection:
                instance = lock_free_instance(connection, node.instance_id)
            if instance is None:
                return
            # The roster may not have heard yet that roles changed.
            present, backups = resources.view.node(instance.id, node.id), self._backups(instance)
            server = resources.server(instance, present)
            spec = server.node
            serves, hours = present.role is NodeRole.MASTER, instance.log_retention_hours
            archived = serves and instance.backup_keep_days > 0
            pause = self._archive(backups, spec) if archived else _LONGEST_PAUSE
            hours = hours if serves else max(hours, _LEAST_OF_FOLLOWERS)
            if any(one.status is InstanceStatus.BUILD for one in resources.view.replicas(instance.id)):
                hours = max(hours, _LEAST_WHILE_COPIED)
            backups.clear_log(spec, hours, archived=archived)
        if serves and has_standby:
            server.replication.prepare_successor()
        # What it has written for our sake is nothing new.
        written = written_by(resources.host.record(node.id))
        if written is not None:
            self._asked[node.id] = written, self._clock() + pause

    def _archive(self, backups: Backups, spec: NodeSpec) -> float:
        """In how many seconds the server is asked again though it has written nothing since."""
        if self._resources.host.repository is None:
            backups.ship_log(spec)
            return _LONGEST_PAUSE
        left = self._archived.get(spec.node_id, float("-inf")) + _LONGEST_FILE - self._clock()
        if left > 0:
            backups.ship_log(spec)
            return left
        backups.archive_log(spec)
        self._archived[spec.node_id] = self._clock()
        return _LONGEST_PAUSE

    def _backups(self, instance: Instance) -> Backups:
        return self._resources.host.engines[instance.engine].backups
