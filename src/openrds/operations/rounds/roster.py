"""Which nodes this host has, kept in mind so that the store need not be asked each time."""

import threading
from collections.abc import Callable, Collection, Sequence
from itertools import chain, groupby

from openrds.operations.steps.resources import Resources
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("instances")


class Roster:
    """The instances of this host, as the store last said: rows of `nodes_of_host`.

    Whoever acts on one asks the store again. `when_changed` is called, in any thread, once there is something else.
    Used from several threads.
    """

    def __init__(self, resources: Resources, when_changed: Callable[[], None] = lambda: None) -> None:
        self._resources = resources
        self._when_changed = when_changed
        self._lock = threading.Lock()
        self._known: dict[str, Sequence[Row]] | None = None

    def nodes(self) -> list[Row]:
        """All of them."""
        return list(chain.from_iterable(self._all().values()))

    def instances(self) -> list[Sequence[Row]]:
        """The nodes of each instance that is to serve and is not held by a task, the primary first."""
        return _free(self._all())

    def refresh(self, instance_ids: Collection[str] | None = None) -> list[Sequence[Row]]:
        """Ask the store about some instances, or all; which of them `instances` now has."""
        with self._lock:
            ids = None if instance_ids is None or self._known is None else list(instance_ids)
            rows = _read(self._resources, ids)
            found: dict[str, Sequence[Row]] = {
                id_: list(nodes) for id_, nodes in groupby(rows, lambda row: row["id"])
            }
            before = self._known or {}
            kept = before if ids is not None else {}
            self._known = {id_: nodes for id_, nodes in kept.items() if id_ not in (ids or ())} | found
            has_changed = _timeless(self._known) != _timeless(before)
        if has_changed:
            self._when_changed()
        return _free(found)

    def _all(self) -> dict[str, Sequence[Row]]:
        if self._known is None:
            self.refresh()
        return self._known or {}


def free_nodes(resources: Resources) -> list[Row]:
    """The same, asked for now."""
    return [row for row in _read(resources, None) if row["free"]]


def _read(resources: Resources, instance_ids: list[str] | None) -> list[Row]:
    return resources.store.rows(_sql.nodes_of_host, {"host": resources.settings.host, "ids": instance_ids})


def _timeless(instances: dict[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Without when the store was asked."""
    return {id_: [{**row, "now": None} for row in nodes] for id_, nodes in instances.items()}


def _free(instances: dict[str, Sequence[Row]]) -> list[Sequence[Row]]:
    return [nodes for nodes in instances.values() if nodes[0]["free"]]
