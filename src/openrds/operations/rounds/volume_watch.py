"""The host agent's eye on its volumes: an instance with a full one is read-only and STORAGE FULL until there is room.

How full a volume is stands in the store, for callers to read.
"""

import datetime as dt
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from openrds.domain.capacity import GB, is_full
from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.hosts.processes import written_by
from openrds.hosts.volumes import Usage
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import hold_writes
from openrds.operations.steps.status import set_status
from openrds.store.instances import Rostered, lock_instance_at_rest
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
#: A folder is not measured again before its server has written as much as is noted, but after so long, in seconds:
#: others may have put something there, who have no business to.
_LONGEST_TRUST = 1800.0
#: What has changed by less than this is not written down.
_NOTED_BYTES = 2**20


@dataclass(frozen=True)
class _Look:
    """A volume as it was measured: when, in what time, and what its server had `written` before (`written_by`).

    `written` is None where that is not known, or of no use. `noted` is what the store says that it holds.
    """

    at: float
    took: float
    written: int | None
    size: int
    usage: Usage
    noted: int

    def still_holds(self, size: int, written: int | None, now: float) -> bool:
        """Whether to measure again would bring nothing new."""
        if written is None or self.written is None or now >= self.at + _LONGEST_TRUST or size != self.size:
            return False
        return 0 <= written - self.written < _NOTED_BYTES


class VolumeWatch:
    """Looks after the volumes of one host, round after round; in a round only after those whose time has come.

    `when_measured` is told of all volumes of an instance.
    """

    def __init__(
        self,
        resources: Resources,
        roster: Roster,
        when_measured: Callable[[Rostered, Iterable[Usage]], None] = lambda _one, _usages: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resources = resources
        self._roster = roster
        self._when_measured = when_measured
        self._clock = clock
        self._looks: dict[str, _Look] = {}
        self._due: dict[str, float] = {}

    def look_after_volumes(self) -> float:
        """In how many seconds the next one is due; infinity where there is none."""
        instances = self._roster.instances()
        nodes = {node.id for one in instances for node in one.nodes}
        self._looks = {id_: look for id_, look in self._looks.items() if id_ in nodes}
        self._due = {id_: self._due.get(id_, 0.0) for id_ in nodes}
        for one in instances:
            self._look_after(one)
        return max(0.0, min(self._due.values(), default=math.inf) - self._clock())

    def _look_after(self, one: Rostered) -> None:
        """All nodes of an instance at once, as it is full if one of them is."""
        if all(self._due[node.id] > self._clock() for node in one.nodes):
            return
        instance = one.instance
        try:
            full = [self._is_full(instance, node) for node in one.nodes]
            if any(full) != instance.storage_full:
                settle_fullness(self._resources, instance.id, full=any(full))
            self._when_measured(one, [self._looks[node.id].usage for node in one.nodes])
        except (HostError, EngineError, StepFailed, OSError):
            logger.warning("the volume of instance %s could not be looked after", instance.id, exc_info=True)

    def _is_full(self, instance: Instance, node: Node) -> bool:
        now, look = self._clock(), self._look(instance, node)
        soon = 0 if instance.storage_full else max(look.usage.free, 0) / _FASTEST_WRITER
        self._looks[node.id] = look
        self._due[node.id] = max(now + min(soon, _LONGEST_PAUSE), look.at + _PAUSE_PER_LOOK * look.took)
        until, full = instance.writable_until, instance.storage_full
        unlocked = until is not None and dt.datetime.now(dt.UTC) < until
        return is_full(instance.volume_size, look.usage.free, was_full=full, unlocked=unlocked)

    def _look(self, instance: Instance, node: Node) -> _Look:
        """A new one, unless nothing was written since the last; a full volume may be emptied without writing."""
        id_, size, volumes = node.id, instance.volume_size, self._resources.host.volumes
        written = written_by(self._resources.host.record(id_)) if volumes.is_walked(id_) else None
        begun, last = self._clock(), self._looks.get(id_)
        if last is not None and not instance.storage_full and last.still_holds(size, written, begun):
            return last
        usage = volumes.usage(id_, size)
        took = self._clock() - begun
        noted = self._note(id_, last.noted if last else node.used_bytes, usage.used)
        return _Look(begun, took, written, size, usage, noted)

    def _note(self, node_id: str, noted: int | None, used: int) -> int:
        """What the store says from now on that a volume holds."""
        if noted is not None and abs(used - noted) < _NOTED_BYTES:
            return noted
        self._resources.store.rows(_sql.set_used_bytes, {"id": node_id, "used": used})
        return used


def settle_fullness(resources: Resources, instance_id: str, *, full: bool) -> None:
    """Make an instance at rest read-only, or let it be written again, and say so.

    The servers come first: should we die in between, the next round does it all again. No operation begins meanwhile.
    """
    with resources.store.transaction() as connection:
        instance = lock_instance_at_rest(connection, instance_id)
        if instance is None or instance.storage_full == full:
            return
        logger.warning("the volume of instance %s is %s", instance_id, "full" if full else "no longer full")
        hold_writes(resources, instance, full=full)
        connection.execute(_sql.set_storage_full, {"id": instance_id, "full": full})
        set_status(connection, instance_id, InstanceStatus.ACTIVE)
