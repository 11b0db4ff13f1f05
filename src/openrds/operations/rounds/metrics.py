"""Once a minute the host agent notes what each of its servers takes, and does."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.capacity import GB
from openrds.domain.instance_values import Instance, Node
from openrds.domain.metrics import Figures, Sample
from openrds.engines.protocol import EngineError
from openrds.hosts.consumption import consumption_of
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("metrics")
_instances = Queries("instances")


#: A server that has taken less CPU time than this since it was asked has hardly done anything: a session of ours takes
#: 7 ms of it, which each minute would be 0.01 % of a core.
_HARDLY_ANYTHING = 0.03
#: It is asked again after so many seconds in any case.
_LONGEST_TRUST = 290.0


@dataclass(frozen=True)
class _Said:
    """What a server said of itself `at`, when it had taken so much CPU time."""

    at: float
    cpu_seconds: float
    figures: Figures

    def still_holds(self, cpu_seconds: float, now: float) -> bool:
        hardly_worked = 0 <= cpu_seconds - self.cpu_seconds < _HARDLY_ANYTHING
        return hardly_worked and now < self.at + _LONGEST_TRUST


class Metrics:
    """The kernel says what a server takes. One that has done something is asked in one short session, and none that a
    task holds.
    """

    def __init__(
        self, resources: Resources, roster: Roster, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resources = resources
        self._roster = roster
        self._clock = clock
        self._said: dict[str, _Said] = {}

    def note(self) -> None:
        nodes = [(one.instance, node, one.free) for one in self._roster.all() for node in one.nodes]
        known = {node.id for _, node, _ in nodes}
        self._said = {id_: said for id_, said in self._said.items() if id_ in known}
        if not nodes:
            return
        store = self._resources.store
        ids = list({instance.id for instance, _, _ in nodes})
        ages = {row["instance_id"]: row["age"] for row in store.rows(_sql.backup_ages, [ids])}
        seen = {row["id"]: row for row in store.rows(_instances.measures_of_nodes, [ids])}
        samples = [
            self._sample(instance, node, free, seen.get(node.id, {}), ages) for instance, node, free in nodes
        ]
        store.rows(_sql.insert_samples, [Jsonb([msgspec.to_builtins(sample) for sample in samples])])

    def _sample(
        self,
        instance: Instance,
        node: Node,
        free: bool,
        seen: Mapping[str, object],
        ages: Mapping[str, float],
    ) -> Sample:
        taken = consumption_of(self._resources.host.record(node.id))
        figures = self._figures(instance, node, taken.cpu_seconds) if free and taken else None
        return msgspec.convert(
            {
                "node_id": node.id,
                "instance_id": instance.id,
                "cpu_seconds": taken and taken.cpu_seconds,
                "memory_bytes": taken and taken.memory_bytes,
                "volume_bytes": instance.volume_size * GB,
                "volume_used_bytes": seen.get("used_bytes"),
                "lag_bytes": seen.get("lag_bytes"),
                "lag_seconds": seen.get("lag_seconds"),
                "backup_age_seconds": ages.get(instance.id),
                **(msgspec.structs.asdict(figures) if figures else {}),
            },
            Sample,
        )

    def _figures(self, instance: Instance, node: Node, cpu_seconds: float) -> Figures | None:
        said, now = self._said.get(node.id), self._clock()
        if said is not None and said.still_holds(cpu_seconds, now):
            return said.figures
        try:
            figures = self._resources.server_by_itself(instance, node).figures()
            self._said[node.id] = _Said(now, cpu_seconds, figures)
            return figures
        except (EngineError, StepFailed) as error:
            logger.debug("node %s says nothing of itself: %s", node.id, error)
            return None
