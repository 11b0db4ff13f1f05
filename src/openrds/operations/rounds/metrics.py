"""Once a minute the host agent notes what each of its servers takes, and does."""

import logging
from collections.abc import Mapping

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


class Metrics:
    """The kernel says what a server takes. Each is asked in one short session, and none that a task holds."""

    def __init__(self, resources: Resources, roster: Roster) -> None:
        self._resources = resources
        self._roster = roster

    def note(self) -> None:
        nodes = [(one.instance, node, one.free) for one in self._roster.all() for node in one.nodes]
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
        figures = self._figures(instance, node) if free and taken else None
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

    def _figures(self, instance: Instance, node: Node) -> Figures | None:
        try:
            return self._resources.server_by_itself(instance, node).figures()
        except (EngineError, StepFailed) as error:
            logger.debug("node %s says nothing of itself: %s", node.id, error)
            return None
