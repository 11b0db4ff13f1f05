"""The process of the name server: it hears from the store what instances are called, and goes on without it."""

import asyncio
import contextlib
import os
from collections.abc import Callable

import psycopg

from openrds.control.changes import Changes, Subject
from openrds.control.rounds import Bell, Round
from openrds.names.server import serving
from openrds.names.zone import Zone
from openrds.service.child import Brief
from openrds.store.database import Store
from openrds.store.queries import Queries

_sql = Queries("dns_names")

#: Strangers make it work: whatever else there is to be done here goes before.
_NICENESS = 5
_ANY = "0.0.0.0"  # noqa: S104 - it is compared with


async def serve_names(brief: Brief, announce_ready: Callable[[], None]) -> None:
    """It is ready when it has looked for names. Should that be in vain, queries for them fail until it has them."""
    os.nice(_NICENESS)
    host, _, port = brief.settings.dns_listen.rpartition(":")
    zone = Zone(brief.settings.dns_zone, None if host == _ANY else host)
    with Store(brief.dsn, connections=1) as store:
        changes = Changes(store.dsn)
        bell = changes.bell(Subject.INSTANCE)
        names = Names(store, zone, bell)
        async with serving(zone, host, int(port)):
            with contextlib.suppress(psycopg.OperationalError):
                await asyncio.to_thread(names.look)
            announce_ready()
            await asyncio.gather(changes.follow(), Round(names.look, bell).repeat())


class Names:
    """Tells a zone what the store says: of those whose instances have changed, and now and then of all."""

    def __init__(self, store: Store, zone: Zone, bell: Bell) -> None:
        self._store = store
        self._zone = zone
        self._bell = bell
        #: Label and address of each instance that has a name, by its id.
        self._known: dict[str, tuple[str, str | None]] = {}

    def look(self) -> None:
        """One round."""
        changed = self._bell.take()
        rows = (
            self._store.rows(_sql.names_of, [list(changed)]) if changed else self._store.rows(_sql.all_names)
        )
        kept = {id_: known for id_, known in self._known.items() if changed and id_ not in changed}
        self._known = kept | {row["id"]: (row["label"], row["address"]) for row in rows}
        self._zone.tell(dict(self._known.values()))
