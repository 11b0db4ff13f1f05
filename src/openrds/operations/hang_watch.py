"""The host agent's eye on servers that live and serve nobody: one that hangs for long is killed.

Its death is then the monitor's: a standby takes over, or the server is started again. While a task holds the instance
it is the task's, which may be waiting for that very server.
"""

import logging
import time
from collections.abc import Callable

from openrds.engines.protocol import EngineError, Server
from openrds.operations.resources import Resources
from openrds.operations.roster import Roster
from openrds.store.database import Row
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

    def look_after_servers(self) -> None:
        before, self._hangs_since = self._hangs_since, {}
        for row in self._roster.nodes():
            try:
                begun = self._clock()
                server = self._resources.server_by_itself(row)
                if server.hangs():
                    self._hangs_since[row["node_id"]] = before.get(row["node_id"], begun)
                    self._kill_after_timeout(row, server)
            except (StepFailed, EngineError):
                logger.warning("instance %s could not be looked after", row["id"], exc_info=True)

    def _kill_after_timeout(self, row: Row, server: Server) -> None:
        hung = self._clock() - self._hangs_since[row["node_id"]]
        if hung >= self._resources.settings.hang_timeout:
            logger.error("a server of instance %s has hung for %.0f s and is killed", row["id"], hung)
            server.kill()
