"""The host agent's eye on the logs of its servers, which clients can make grow as fast as they like."""

import logging
from pathlib import Path

from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.hosts.folders import regular_files
from openrds.hosts.user import ServerUser
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

#: By how many bytes the logs of a server must have grown before it is looked after.
_GROWN_BYTES = 4 * 2**20


class LogKeeping:
    """Logs of one host, round after round. One that does not grow costs a look into its folder."""

    def __init__(self, resources: Resources, roster: Roster) -> None:
        self._resources = resources
        self._roster = roster
        self._sizes: dict[str, int] = {}

    def bound_logs(self) -> None:
        nodes = [(one.instance.id, node.id) for one in self._roster.instances() for node in one.nodes]
        ids = {node_id for _, node_id in nodes}
        self._sizes = {id_: size for id_, size in self._sizes.items() if id_ in ids}
        for instance_id, node_id in nodes:
            try:
                self._bound(instance_id, node_id)
            except (StepFailed, EngineError, HostError, OSError):
                logger.warning("the logs of node %s could not be bounded", node_id, exc_info=True)

    def _bound(self, instance_id: str, node_id: str) -> None:
        folder = self._resources.host.volumes.path(node_id) / "log"
        if _size(folder) < self._sizes.get(node_id, 0) + _GROWN_BYTES:
            return
        self._resources.node_server(instance_id, node_id).bound_logs()
        self._sizes[node_id] = _size(folder)


def _size(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    with ServerUser.owning(folder).acting():
        return sum(path.lstat().st_size for path in regular_files(folder))
