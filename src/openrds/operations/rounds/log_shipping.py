"""The host agent's eye on the log of servers that do not archive it by themselves: it is shipped, and cleared, and
primaries are asked for what their standbys need beyond it.

A server that has written nothing since is not asked, and one whose engine archives by itself is never.
"""

import logging
import time
from collections.abc import Callable, Sequence

from openrds.domain.engine import EngineName
from openrds.domain.instance import NodeRole
from openrds.engines.protocol import Backups, EngineError
from openrds.hosts.errors import HostError
from openrds.hosts.processes import find, written_by
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.store.database import Row
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: Seconds after which a server is asked though it has written nothing: its log grows old all the same.
_LONGEST_PAUSE = 1800.0
#: Hours for which one that follows keeps its log in any case: should it take over, the log of before may be wanted.
_LEAST_OF_FOLLOWERS = 1


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

    def ship(self) -> bool:
        """One round; whether there is an instance that needs any."""
        instances = [nodes for nodes in self._roster.instances() if self._backups(nodes[0]).ships_log]
        known = {node["node_id"] for nodes in instances for node in nodes}
        self._asked = {node: asked for node, asked in self._asked.items() if node in known}
        for nodes in instances:
            self._look_after(nodes)
        return bool(instances)

    def _look_after(self, nodes: Sequence[Row]) -> None:
        """Each by itself: one that is down keeps no other's log back."""
        for node in nodes:
            if find(self._resources.record(node["node_id"])) is None or self._has_nothing_new(node):
                continue
            try:
                self._ship(node, has_standby=len(nodes) > 1)
            except (EngineError, HostError, StepFailed, OSError):
                logger.warning("the log of instance %s could not be shipped", node["id"], exc_info=True)

    def _has_nothing_new(self, node: Row) -> bool:
        """Where the system does not say what a server writes, it may be anything."""
        asked = self._asked.get(node["node_id"])
        if asked is None or self._clock() >= asked[1]:
            return False
        return asked[0] == written_by(self._resources.record(node["node_id"]))

    def _ship(self, node: Row, *, has_standby: bool) -> None:
        """While nobody moves the archive away: whoever does holds the instance, and waits for us."""
        resources, backups = self._resources, self._backups(node)
        with resources.backups.shipping:
            found = resources.store.rows(_sql.free_instance, [node["id"]])
            if not found:
                return
            # The roster may not have heard yet that roles changed.
            instance, present = found[0], resources.node(node["id"], node["node_id"])
            server = resources.server(instance, present)
            spec = server.node
            serves, hours = present["role"] == NodeRole.MASTER, instance["log_retention_hours"]
            archived = serves and instance["backup_keep_days"] > 0
            if archived:
                backups.ship_log(spec)
            hours = hours if serves else max(hours, _LEAST_OF_FOLLOWERS)
            backups.clear_log(spec, hours, archived=archived)
        if serves and has_standby:
            server.replication.prepare_successor()
        # What it has written for our sake is nothing new.
        written = written_by(resources.record(node["node_id"]))
        if written is not None:
            self._asked[node["node_id"]] = written, self._clock() + _LONGEST_PAUSE

    def _backups(self, instance: Row) -> Backups:
        return self._resources.engines[EngineName(instance["engine"])].backups
