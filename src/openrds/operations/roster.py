"""Which nodes of this host are to be looked after, kept in mind so that the store need not be asked each time."""

import threading
from collections.abc import Collection, Sequence
from itertools import groupby

from openrds.operations.resources import Resources
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("instances")

#: A server that dies more often than this within ten minutes is not restarted again.
MAX_REVIVALS = 3


class Roster:
    """The instances of this host that are at rest, as the store last said. Whoever acts on one asks the store again."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._lock = threading.Lock()
        self._nodes: dict[str, Sequence[Row]] | None = None

    def instances(self) -> list[Sequence[Row]]:
        """The nodes of each instance, its primary first: rows of `nodes_to_watch`."""
        if self._nodes is None:
            self.refresh()
        return list((self._nodes or {}).values())

    def refresh(self, instance_ids: Collection[str] | None = None) -> list[Sequence[Row]]:
        """Ask the store about some instances, or all; those of them that are at rest, as `instances` has them."""
        with self._lock:
            ids = None if instance_ids is None or self._nodes is None else list(instance_ids)
            rows = nodes_to_watch(self._resources, ids)
            found = {id_: list(nodes) for id_, nodes in groupby(rows, lambda row: row["id"])}
            kept = {} if ids is None else {id_: nodes for id_, nodes in self._known() if id_ not in ids}
            self._nodes = kept | found
            return list(found.values())

    def _known(self) -> Collection[tuple[str, Sequence[Row]]]:
        return (self._nodes or {}).items()


def nodes_to_watch(resources: Resources, instance_ids: list[str] | None = None) -> list[Row]:
    """The nodes of this host whose instances are at rest, instance by instance, the primary first."""
    wanted = {"host": resources.settings.host, "most": MAX_REVIVALS, "ids": instance_ids}
    return resources.store.rows(_sql.nodes_to_watch, wanted)
