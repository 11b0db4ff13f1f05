"""What the steps of every operation act with, and the small things that several of them ask of it."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openrds.domain.engine import EngineName
from openrds.domain.flavor import Flavor, find_flavor
from openrds.domain.instance import Confirmation, Instance, Node, NodeRole
from openrds.domain.settings import Settings
from openrds.engines.protocol import Engine, Installation, NodeSpec, Server, Size, Tls
from openrds.hosts import processes
from openrds.hosts.addresses import AddressPool
from openrds.hosts.backups import BackupFolders
from openrds.hosts.certificates import Issuer
from openrds.hosts.errors import HostError
from openrds.hosts.folders import clear
from openrds.hosts.forwarding import Forwarder, Route
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.user import ServerUser
from openrds.hosts.volumes import Volumes
from openrds.operations.steps.owners import Owners, family_of
from openrds.store.database import Store
from openrds.store.instances import find_instance, nodes_of, replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("instances")


@dataclass(frozen=True)
class Resources:
    """The means of one host's worker.

    `issuer` signs the certificates of servers, `owners` are whom they run as, `memory_mb` is what this host has for all
    of them. `socket_root` is a short folder for their sockets; `spare_taken` tells that the pools may want refilling.
    """

    store: Store
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
    limits: Limits = field(default_factory=NoLimits)
    spare_taken: threading.Event = field(default_factory=threading.Event)
    _routing: threading.Lock = field(default_factory=threading.Lock)
    _is_idle: threading.Event = field(default_factory=threading.Event)

    def instance(self, instance_id: str) -> Instance:
        """
        Raises:
            StepFailed: it is gone, which none is that the task holds.
        """
        found = self.find_instance(instance_id)
        if found is None:
            raise StepFailed(f"instance {instance_id} is gone")
        return found

    def find_instance(self, instance_id: str) -> Instance | None:
        with self.store.transaction() as connection:
            return find_instance(connection, instance_id)

    def replicas(self, instance_id: str) -> list[Instance]:
        """The read replicas of an instance."""
        with self.store.transaction() as connection:
            return replicas_of(connection, instance_id)

    def nodes(self, instance_id: str) -> list[Node]:
        """The nodes of an instance, its standby last."""
        with self.store.transaction() as connection:
            return nodes_of(connection, instance_id)

    def node(self, instance_id: str, node_id: str) -> Node:
        """
        Raises:
            StepFailed: it is gone.
        """
        for node in self.nodes(instance_id):
            if node.id == node_id:
                return node
        raise StepFailed(f"node {node_id} of instance {instance_id} is gone")

    def primary(self, instance_id: str) -> Node:
        """The node that serves the instance's clients."""
        return self.nodes(instance_id)[0]

    def engine(self, instance_id: str) -> Engine:
        return self.engines[self.instance(instance_id).engine]

    def standbys(self, instance_id: str) -> list[Node]:
        """The nodes that wait to take the primary's place."""
        return [node for node in self.nodes(instance_id) if node.role is NodeRole.SLAVE]

    def server(self, instance: Instance, node: Node) -> Server:
        """The server of a node, running or not, as its role in the store wants it.

        Raises:
            StepFailed: the host no longer has the binaries of the instance's version.
        """
        spec = self._spec(instance, node)
        nodes = self.nodes(instance.id)
        if node.role is NodeRole.SLAVE:
            upstream = self._spec(instance, nodes[0])
        elif instance.replica_of is not None:
            upstream = self._spec(self.instance(instance.replica_of), self.primary(instance.replica_of))
        else:
            upstream = None
        confirming = [one.id for one in nodes if one.confirmation is not Confirmation.NO]
        spec = replace(spec, upstream=upstream, confirmed_by=tuple(confirming) if upstream is None else ())
        return self.engines[instance.engine].server(spec)

    def primary_server(self, instance_id: str) -> Server:
        """The server that serves the instance's clients."""
        return self.server(self.instance(instance_id), self.primary(instance_id))

    def node_server(self, instance_id: str, node_id: str) -> Server:
        """The server of one node of an instance."""
        return self.server(self.instance(instance_id), self.node(instance_id, node_id))

    def server_by_itself(self, instance: Instance, node: Node) -> Server:
        """The server of a node, whoever it follows: to look at, and not to be started.

        Raises:
            StepFailed: the host no longer has the binaries of the instance's version.
        """
        return self.engines[instance.engine].server(self._spec(instance, node))

    def changed(self, server: Server, **changes: Any) -> Server:
        """The same server as it would be if its node were otherwise."""
        return self.engines[server.node.installation.engine].server(replace(server.node, **changes))

    def out_of_reach(self, server: Server) -> Server:
        """The same server where clients cannot connect: it listens on no address."""
        return self.changed(server, address="")

    def _spec(self, instance: Instance, node: Node) -> NodeSpec:
        installation = self.installation(instance.engine, instance.version)
        return NodeSpec(
            node_id=node.id,
            user=self._user(instance),
            installation=installation,
            folder=self.volumes.path(node.id),
            socket_dir=self.socket_dir(node.id),
            archive=self.backups.archive(instance.id),
            address=node.address or "",
            port=instance.port,
            **self.size_of(flavor_of(instance)),
            time_zone=instance.time_zone,
            read_only=instance.storage_full,
            secret=instance.secret,
            options=instance.options,
            tls=self._tls(instance, node) if instance.ssl and installation.speaks_tls else None,
        )

    def _tls(self, instance: Instance, node: Node) -> Tls | None:
        """Whoever may come to serve has the addresses of the instance in its certificate too."""
        found = (instance.address, node.public_address, node.address)
        names = tuple(dict.fromkeys(address for address in found if address))
        return Tls(names, self.issuer) if names else None

    def _user(self, instance: Instance) -> ServerUser:
        """Whom the servers of an instance run as: the owner of a spare data directory, if it has nobody yet."""

        def spares() -> list[int]:
            engine = self.engines[instance.engine]
            return engine.spare_owners(self.installation(engine.name, instance.version))

        return self.owners.of(family_of(instance), spares)

    def size_of(self, flavor: Flavor) -> Size:
        """By the setting `flavors`, one that this host could not hold is as large as the host."""
        scaled = self.settings.flavors == "scaled"
        memory_mb = min(flavor.memory_mb, self.memory_mb) if scaled else flavor.memory_mb
        return Size(memory_mb=memory_mb, vcpus=flavor.vcpus)

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

    def initialise(self, server: Server) -> None:
        """Make the data directory of a server, from a spare one where there is one."""
        installation = server.node.installation
        self.engines[installation.engine].initialise(server.node)
        self.spare_taken.set()

    def routes(self) -> set[Route]:
        """What this host is to pass on."""
        rows = self.store.rows(_sql.routes_of_host, [self.settings.host])
        return {Route(row["address"], row["port"], row["node_address"], row["port"]) for row in rows}

    def keep_routes(self) -> bool:
        """The same now and then. Where nothing is passed on, and nothing was, the machine need not be asked.

        Whether there is something to be passed on.

        Raises:
            HostError: not all of it is in place.
        """
        if not self._is_idle.is_set() or self.routes():
            self.apply_routes()
        return not self._is_idle.is_set()

    def apply_routes(self, *addresses: str) -> None:
        """Pass on what the store says is to be passed on by this host, now.

        Raises:
            HostError: not all of it is in place; with addresses, only if that concerns one of them.
        """
        with self._routing:
            routes = self.routes()
            try:
                self._is_idle.clear()
                self.forwarder.apply(routes)
                if not routes:
                    self._is_idle.set()
            except HostError as error:
                wrong = routes ^ self.forwarder.routes()
                if not addresses or any(route.address in addresses for route in wrong):
                    raise
                logger.warning("not everything is passed on: %s", error)

    def remove_folders(self, node_id: str) -> None:
        """All that the host has of a node that is stopped: its volume, the folder of its socket, its limits."""
        self.limits.remove(node_id)
        self.volumes.remove(node_id)
        clear(self.socket_dir(node_id))

    def record(self, node_id: str) -> Path:
        """Where the process of a node's server is recorded."""
        return self.volumes.path(node_id) / processes.RECORD

    def socket_dir(self, node_id: str) -> Path:
        return self.socket_root / node_id

    def stop(self, instance: Instance, node: Node) -> None:
        """Stop the server of a node, also one whose binaries the host no longer has."""
        try:
            server = self.server(instance, node)
        except StepFailed:
            processes.stop_recorded(self.record(node.id))
        else:
            server.stop()

    def installation(self, engine: EngineName, version: str) -> Installation:
        found = self.engines[engine].installations() if engine in self.engines else ()
        for installation in found:
            if installation.version == version:
                return installation
        raise StepFailed(f"host {self.settings.host} no longer has the binaries of {engine} {version}")


def flavor_of(instance: Instance) -> Flavor:
    flavor = find_flavor(instance.engine, instance.flavor_ref)
    assert flavor is not None, "an instance was accepted with a flavor that does not exist"
    return flavor
