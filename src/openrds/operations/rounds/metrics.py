"""Once a minute the host agent notes what each of its servers takes, and does."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
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
from openrds.store.instances import Rostered
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


@dataclass(frozen=True)
class Watched:
    """A node with its instance, which is `free` if no task holds it and it is to serve."""

    instance: Instance
    node: Node
    free: bool


def watched(instances: Iterable[Rostered]) -> list[Watched]:
    return [Watched(one.instance, node, one.free) for one in instances for node in one.nodes]


def measure(
    resources: Resources, nodes: Collection[Watched], figures: Callable[[Watched, float], Figures | None]
) -> list[Sample]:
    """What is known of nodes now. `figures` is asked of those that are free and run, and had taken so much CPU time."""
    if not nodes:
        return []
    store, ids = resources.store, list({one.instance.id for one in nodes})
    ages = {row["instance_id"]: row["age"] for row in store.rows(_sql.backup_ages, [ids])}
    seen = {row["id"]: row for row in store.rows(_instances.measures_of_nodes, [ids])}
    return [
        _sample(resources, one, seen.get(one.node.id, {}), ages.get(one.instance.id), figures)
        for one in nodes
    ]


def ask(resources: Resources, one: Watched) -> Figures | None:
    """What a server says of itself; None where it does not."""
    try:
        return resources.server_by_itself(one.instance, one.node).figures()
    except (EngineError, StepFailed) as error:
        logger.debug("node %s says nothing of itself: %s", one.node.id, error)
        return None


def as_rows(samples: Iterable[Sample]) -> Jsonb:
    return Jsonb([msgspec.to_builtins(sample) for sample in samples])


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
        nodes = watched(self._roster.all())
        known = {one.node.id for one in nodes}
        self._said = {id_: said for id_, said in self._said.items() if id_ in known}
        samples = measure(self._resources, nodes, self._figures)
        if samples:
            self._resources.store.rows(_sql.insert_samples, [as_rows(samples)])

    def _figures(self, one: Watched, cpu_seconds: float) -> Figures | None:
        said, now = self._said.get(one.node.id), self._clock()
        if said is not None and said.still_holds(cpu_seconds, now):
            return said.figures
        figures = ask(self._resources, one)
        if figures is not None:
            self._said[one.node.id] = _Said(now, cpu_seconds, figures)
        return figures


def _sample(
    resources: Resources,
    one: Watched,
    seen: Mapping[str, object],
    backup_age: float | None,
    figures: Callable[[Watched, float], Figures | None],
) -> Sample:
    taken = consumption_of(resources.host.record(one.node.id))
    said = figures(one, taken.cpu_seconds) if one.free and taken else None
    return msgspec.convert(
        {
            "node_id": one.node.id,
            "instance_id": one.instance.id,
            "cpu_seconds": taken and taken.cpu_seconds,
            "memory_bytes": taken and taken.memory_bytes,
            "volume_bytes": one.instance.volume_size * GB,
            "volume_used_bytes": seen.get("used_bytes"),
            "lag_bytes": seen.get("lag_bytes"),
            "lag_seconds": seen.get("lag_seconds"),
            "backup_age_seconds": backup_age,
            **(msgspec.structs.asdict(said) if said else {}),
        },
        Sample,
    )
