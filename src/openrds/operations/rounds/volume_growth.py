"""Volumes that are to grow by themselves do when little of them is free: by the task of a caller that enlarges one."""

import logging
import time
from collections.abc import Callable, Iterable

from openrds.domain.errors import Refusal
from openrds.domain.instance import Wanted
from openrds.hosts.volumes import Usage
from openrds.operations.instances import enlarge_volume
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.store.instances import Rostered
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

#: Seconds before the same is tried again: what failed shall not fill the task center.
_PAUSE = 600.0


class VolumeGrowth:
    """Told of what was measured of the volumes of one host."""

    def __init__(
        self, resources: Resources, queue: Queue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resources = resources
        self._queue = queue
        self._clock = clock
        self._tried: dict[tuple[str, int], float] = {}

    def look(self, one: Rostered, usages: Iterable[Usage]) -> None:
        """All volumes of an instance have one size, and grow when one of them is to."""
        seen = one.instance
        used = max((usage.used for usage in usages), default=0)
        if seen.growth is None or seen.growth.next_size(seen.volume_size, used) is None:
            return
        now = self._clock()
        self._tried = {key: at for key, at in self._tried.items() if now - at < _PAUSE}
        if (seen.id, seen.volume_size) in self._tried:
            return
        try:
            self._enlarge(seen.id, seen.project_id, used)
        except Refusal as refusal:
            logger.info("the volume of instance %s does not grow now: %s", seen.id, refusal)
        else:
            self._tried[seen.id, seen.volume_size] = now

    def _enlarge(self, instance_id: str, project_id: str, used: int) -> None:
        """
        Raises:
            Refusal: it may not be enlarged now, such as while a task holds it.
        """
        with self._resources.store.transaction() as connection:
            intake = Intake(connection, self._queue, self._resources.settings, project_id)
            instance = intake.instance(instance_id)
            if instance.growth is None or instance.wanted is not Wanted.SERVING:
                return
            size = instance.growth.next_size(instance.volume_size, used)
            if size is not None:
                enlarge_volume.submit(intake, instance_id, enlarge_volume.EnlargeVolume(size))
                logger.warning("the volume of instance %s grows by itself to %d GB", instance_id, size)
