"""What one machine can do for the nodes that it has, whatever the store says of them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openrds.domain.engine import EngineName
from openrds.domain.flavor import Flavor
from openrds.domain.settings import Settings
from openrds.engines.protocol import Engine, Installation, Server, Size
from openrds.hosts import processes
from openrds.hosts.addresses import AddressPool
from openrds.hosts.backups import BackupFolders
from openrds.hosts.certificates import Issuer
from openrds.hosts.filtering import Filter
from openrds.hosts.folders import clear
from openrds.hosts.forwarding import Forwarder
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.volumes import Volumes
from openrds.operations.steps.owners import Owners
from openrds.repository.place import Place
from openrds.tasks.operation import StepFailed


@dataclass(frozen=True)
class Host:
    """The means of the host that this worker is of.

    `issuer` signs the certificates of servers, `owners` are whom they run as, `memory_mb` is what there is for all of
    them. `socket_root` is a short folder for their sockets; `spare_taken` tells that the pools may want refilling.
    `repository` is where backups go besides, if anywhere, and `copies` where all of that is copied to.
    """

    settings: Settings
    issuer: Issuer
    owners: Owners
    engines: Mapping[EngineName, Engine]
    volumes: Volumes
    backups: BackupFolders
    addresses: AddressPool
    socket_root: Path
    forwarder: Forwarder
    memory_mb: int
    filter: Filter
    limits: Limits = field(default_factory=NoLimits)
    repository: Place | None = None
    copies: Place | None = None
    spare_taken: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        return self.settings.host

    def installation(self, engine: EngineName, version: str, complete_version: str = "") -> Installation:
        """The newest of a version, or the very one that is named as long as it is there.

        Raises:
            StepFailed: it no longer has the binaries.
        """
        found = (
            self.engines[engine].installation(version, complete_version) if engine in self.engines else None
        )
        if found is None:
            raise StepFailed(f"host {self.name} no longer has the binaries of {engine} {version}")
        return found

    def size_of(self, flavor: Flavor) -> Size:
        """By the setting `flavors`, one that this host could not hold is as large as the host."""
        scaled = self.settings.flavors == "scaled"
        memory_mb = min(flavor.memory_mb, self.memory_mb) if scaled else flavor.memory_mb
        return Size(memory_mb=memory_mb, vcpus=flavor.vcpus)

    def record(self, node_id: str) -> Path:
        """Where the process of a node's server is recorded."""
        return self.volumes.path(node_id) / processes.RECORD

    def socket_dir(self, node_id: str) -> Path:
        return self.socket_root / node_id

    def initialise(self, server: Server) -> None:
        """Make the data directory of a server, from a spare one where there is one."""
        self.engines[server.node.engine].initialise(server.node)
        self.spare_taken.set()

    def start(self, server: Server) -> None:
        """Start a server as its node is to be now, on its volume in its place."""
        self.volumes.make_ready(server.node.node_id)
        server.configure()
        self.serve(server)

    def serve(self, server: Server) -> None:
        """Have a server that is in its place and configured serve: that it runs does not say that a primary does.

        For whoever holds the instance: a primary may have been demoted by somebody who is about to promote another.
        """
        if server.node.upstream is None:
            server.replication.resume()
        else:
            server.start()

    def changed(self, server: Server, **changes: Any) -> Server:
        """The same server as it would be if its node were otherwise."""
        return self.engines[server.node.engine].server(replace(server.node, **changes))

    def out_of_reach(self, server: Server) -> Server:
        """The same server where clients do not come, but its followers may."""
        engine = self.engines[server.node.engine]
        return engine.server(engine.out_of_reach(server.node))

    def remove_folders(self, node_id: str) -> None:
        """All that the host has of a node that is stopped: its volume, the folder of its socket, its limits."""
        self.limits.remove(node_id)
        self.volumes.remove(node_id)
        clear(self.socket_dir(node_id))
