"""The host agent's eye on its volumes: an instance with a full one is read-only and STORAGE FULL until there is room.

How full a volume is stands in the store, for callers to read.
"""

import logging
import time
from collections.abc import Callable
from itertools import groupby

from openrds.domain.capacity import GB, is_full
from openrds.domain.instance import InstanceStatus
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.hosts.volumes import Usage
from openrds.operations.resources import Resources, set_status
from openrds.store.database import Row
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("instances")

#: A volume is looked at again before a server that writes this many bytes a second could fill what is free, in each
#: round while it is full, ...
_FASTEST_WRITER = 2 * GB
#: ... at least this often, in seconds, ...
_LONGEST_PAUSE = 30.0
#: ... and not before so many times what the look took: a folder of very many files takes long.
_PAUSE_PER_LOOK = 50
#: What has changed by less than this is not written down.
_NOTED_BYTES = 2**20


class VolumeWatch:
    """Looks after the volumes of one host, round after round; in a round only after those whose time has come."""

    def __init__(self, resources: Resources, clock: Callable[[], float] = time.monotonic) -> None:
        self._resources = resources
        self._clock = clock
        self._due: dict[str, float] = {}

    def look_after_volumes(self) -> None:
        resources = self._resources
        rows = resources.store.rows(_sql.volumes_to_watch, [resources.settings.host])
        self._due = {node: due for node, due in self._due.items() if node in {row["node_id"] for row in rows}}
        for _, nodes in groupby(rows, key=lambda row: row["id"]):
            self._look_after(list(nodes))

    def _look_after(self, nodes: list[Row]) -> None:
        """All nodes of an instance at once, as it is full if one of them is."""
        if all(self._due.get(node["node_id"], 0) > self._clock() for node in nodes):
            return
        instance = nodes[0]
        try:
            full = [self._is_full(node) for node in nodes]
            if any(full) != instance["storage_full"]:
                settle_fullness(self._resources, instance["id"], full=any(full))
        except (HostError, EngineError, StepFailed, OSError):
            logger.warning(
                "the volume of instance %s could not be looked after", instance["id"], exc_info=True
            )

    def _is_full(self, node: Row) -> bool:
        begun = self._clock()
        usage = measure(self._resources, node)
        soon = 0 if node["storage_full"] else max(usage.free, 0) / _FASTEST_WRITER
        took = self._clock() - begun
        self._due[node["node_id"]] = begun + max(min(soon, _LONGEST_PAUSE), _PAUSE_PER_LOOK * took)
        return is_full(node["volume_size"], usage.free, was_full=node["storage_full"])


def measure(resources: Resources, node: Row) -> Usage:
    """How full the volume of a node is; `node` is a row of `volumes_to_watch`.

    Raises:
        HostError: the volume is not there.
    """
    usage = resources.volumes.usage(node["node_id"], node["volume_size"])
    noted = node["used_bytes"]
    if noted is None or abs(usage.used - noted) >= _NOTED_BYTES:
        resources.store.rows(_sql.set_used_bytes, {"id": node["node_id"], "used": usage.used})
    return usage


def settle_fullness(resources: Resources, instance_id: str, *, full: bool) -> None:
    """Make an instance at rest read-only, or let it be written again, and say so.

    The servers come first: should we die in between, the next round does it all again. No operation begins meanwhile.
    """
    with resources.store.transaction() as connection:
        instance = connection.execute(_sql.instance_at_rest, [instance_id]).fetchone()
        if instance is None or instance["storage_full"] == full:
            return
        logger.warning("the volume of instance %s is %s", instance_id, "full" if full else "no longer full")
        hold_writes(resources, instance, full=full)
        connection.execute(_sql.set_storage_full, {"id": instance_id, "full": full})
        set_status(connection, instance_id, InstanceStatus.ACTIVE)


def hold_writes(resources: Resources, instance: Row, *, full: bool) -> None:
    """Let every server of an instance know whether it may be written.

    Raises:
        EngineError: one did not take it.
        HostError: a volume is not there.
    """
    for node in resources.nodes(instance["id"]):
        resources.volumes.make_ready(node["id"])
        resources.server(instance, node).set_read_only(full)
