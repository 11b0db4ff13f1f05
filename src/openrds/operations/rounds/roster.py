"""Which instances and nodes this host has, kept in mind so that the store need not be asked each time."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping

from openrds.domain.instance_values import Instance, Node
from openrds.operations.steps.resources import Resources
from openrds.store.instances import Rostered, roster_of


class Roster:
    """The instances of this host, as the store last said.

    Whoever acts on one asks the store again. `when_changed` is called, in any thread, once there is something else.
    Used from several threads.
    """

    def __init__(self, resources: Resources, when_changed: Callable[[], None] = lambda: None) -> None:
        self._resources = resources
        self._when_changed = when_changed
        self._lock = threading.Lock()
        self._known: dict[str, Rostered] | None = None

    def nodes(self) -> list[tuple[Instance, Node]]:
        """All of them, each with its instance."""
        return _nodes(self._all().values())

    def all(self) -> list[Rostered]:
        return list(self._all().values())

    def instances(self) -> list[Rostered]:
        """Each that is to serve and is not held by a task."""
        return _free(self._all().values())

    def refresh(self, instance_ids: Collection[str] | None = None) -> list[Rostered]:
        """Ask the store about some instances, or all; which of them `instances` now has."""
        with self._lock:
            ids = None if instance_ids is None or self._known is None else list(instance_ids)
            found = {one.instance.id: one for one in _read(self._resources, ids)}
            before = self._known or {}
            kept = before if ids is not None else {}
            self._known = {id_: one for id_, one in kept.items() if id_ not in (ids or ())} | found
            has_changed = _timeless(self._known) != _timeless(before)
        if has_changed:
            self._when_changed()
        return _free(found.values())

    def _all(self) -> dict[str, Rostered]:
        if self._known is None:
            self.refresh()
        return self._known or {}


def free_nodes(resources: Resources) -> list[tuple[Instance, Node]]:
    """Those of `instances`, asked for now."""
    return _nodes(_free(_read(resources, None)))


def _read(resources: Resources, instance_ids: list[str] | None) -> list[Rostered]:
    with resources.store.transaction() as connection:
        return roster_of(connection, resources.host.name, instance_ids)


def _timeless(instances: Mapping[str, Rostered]) -> dict[str, tuple[object, ...]]:
    """Without when the store was asked."""
    return {id_: (one.instance, one.nodes, one.free) for id_, one in instances.items()}


def _free(instances: Iterable[Rostered]) -> list[Rostered]:
    return [one for one in instances if one.free]


def _nodes(instances: Iterable[Rostered]) -> list[tuple[Instance, Node]]:
    return [(one.instance, node) for one in instances for node in one.nodes]
