"""The host agent's eye on servers that live and serve nobody: one that hangs for long is killed.

Its death is then the monitor's: a standby takes over, or the server is started again. While a task holds the instance
it is the task's, which may be waiting for that very server.
"""

import logging
import time
from collections.abc import Callable

from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import EngineError, Server
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)


class HangWatch:
    """Looks at the servers of one host, round after round; there must be several rounds in a `hang_timeout`."""

    def __init__(
        self, resources: Resources, roster: Roster, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resources = resources
        self._roster = roster
        self._clock = clock
        self._hangs_since: dict[str, float] = {}
        self._servers: dict[str, tuple[Node, Server]] = {}

    def look_after_servers(self) -> None:
        before, self._hangs_since = self._hangs_since, {}
        nodes = self._roster.nodes()
        known = {node.id for _, node in nodes}
        self._servers = {id_: one for id_, one in self._servers.items() if id_ in known}
        for instance, node in nodes:
            try:
                begun = self._clock()
                server = self._server(instance, node)
                if server.hangs():
                    self._hangs_since[node.id] = before.get(node.id, begun)
                    self._kill_after_timeout(node, server)
            except (StepFailed, EngineError):
                logger.warning("instance %s could not be looked after", instance.id, exc_info=True)

    def _server(self, instance: Instance, node: Node) -> Server:
        """Of a node that was not read anew since, the same as before."""
        known = self._servers.get(node.id)
        if known is None or known[0] is not node:
            known = self._servers[node.id] = (node, self._resources.server_by_itself(instance, node))
        return known[1]

    def _kill_after_timeout(self, node: Node, server: Server) -> None:
        hung = self._clock() - self._hangs_since[node.id]
        if hung >= self._resources.settings.hang_timeout:
            logger.error("a server of instance %s has hung for %.0f s and is killed", node.instance_id, hung)
            server.kill()
