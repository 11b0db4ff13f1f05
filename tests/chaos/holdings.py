"""What the host and the store have for a service, beside the records of tasks and instances."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psutil
import psycopg

from openrds.hosts import processes
from openrds.hosts.cgroups import find_cgroups
from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.forwarding import Forwarder, Route
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.mounts import mounts
from openrds.hosts.user import ServerUser
from openrds.service import places
from support.means import WHY_NO_CGROUPS
from support.service import ServiceUnderTest

#: All that may be in the folder of a node; `.reserve` is on an image only, and what is after it with MySQL and MariaDB.
_IN_A_NODE = {
    "data",
    "log",
    "process",
    ".reserve",
    "confirming",
    "init.sql",
    "none",
    "server.cnf",
    "tls.pem",
    "starting",
    "tmp",
    "upstream.pass",
}


@dataclass(frozen=True)
class Holdings:
    """The first six are ids of nodes. `backups` are `INSTANCE/BACKUP`, `scratch` is what must not be at rest."""

    folders: frozenset[str]
    sockets: frozenset[str]
    processes: frozenset[str]
    mounts: frozenset[str]
    images: frozenset[str]
    limited: frozenset[str]
    routes: frozenset[Route]
    addresses: frozenset[str]
    public_addresses: frozenset[str]
    backups: frozenset[str]
    scratch: frozenset[str]

    def differences(self, wanted: "Holdings") -> list[str]:
        """In words: what is there and must not be, and what is missing."""
        return [
            f"{field.name}: too many {sorted(found - expected)}, missing {sorted(expected - found)}"
            for field in fields(self)
            if (found := getattr(self, field.name)) != (expected := getattr(wanted, field.name))
        ]


class Host:
    """This machine as a service uses it: asked by the means that the service itself chose."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self._root: Path = service.data_dir
        self._sockets = places.socket_root(service.data_dir)
        self._forwarder: Forwarder = choose_forwarder("auto", service.data_dir, ServerUser.choose())
        self._limits: Limits = NoLimits() if WHY_NO_CGROUPS else find_cgroups(service.data_dir)
        self.has_images = service.options["volumes"] == "xfs"
        self.has_limits = not WHY_NO_CGROUPS

    def holdings(self, store: psycopg.Connection[dict[str, Any]]) -> Holdings:
        nodes = self._root / "nodes"
        backups = self._root / "backups"
        return Holdings(
            folders=_names(nodes),
            sockets=_names(self._sockets) - {"store"},
            processes=frozenset(
                record.parent.name for record in processes.records_below(nodes) if processes.find(record)
            ),
            mounts=frozenset(
                mount.point.name for mount in mounts() if nodes.resolve() in mount.point.parents
            ),
            # A worker that is being started tries whether there can be images, and the next removes what it leaves.
            images=frozenset(
                name.removesuffix(".xfs")
                for name in _names(self._root / "images")
                if not name.startswith(".trial-")
            ),
            limited=frozenset(filter(_is_no_trial, getattr(self._limits, "names", list)())),
            routes=self._forwarder.routes(),
            addresses=_column(store, "select host(address) as found from address"),
            public_addresses=_column(store, "select host(address) as found from public_address"),
            backups=frozenset(
                str(path.relative_to(backups)) for path in backups.glob("*/*") if path.name != "wal"
            ),
            scratch=_names(self._root / "scratch") | _foreign(nodes),
        )


def _is_no_trial(group: str) -> bool:
    """A worker that is being started tries whether there can be groups, in one with its pid."""
    _, trial, pid = group.rpartition(".trial-")
    return not trial or not psutil.pid_exists(int(pid))


def _names(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir()) if folder.exists() else frozenset()


def _foreign(nodes: Path) -> frozenset[str]:
    return frozenset(
        str(path.relative_to(nodes)) for path in nodes.glob("*/*") if path.name not in _IN_A_NODE
    )


def _column(store: psycopg.Connection[dict[str, Any]], statement: str) -> frozenset[str]:
    return frozenset(row["found"] for row in store.execute(statement.encode()))
