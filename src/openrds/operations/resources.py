"""What the steps of every operation act with, and the small things that several of them ask of it."""

import logging
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from openrds.domain.engine import EngineName
from openrds.domain.flavor import Flavor, find_flavor
from openrds.domain.instance import Confirmation, InstanceStatus, NodeRole, Wanted
from openrds.domain.settings import Settings
from openrds.engines.protocol import Engine, Installation, NodeSpec, Server
from openrds.hosts import processes
from openrds.hosts.addresses import AddressPool
from openrds.hosts.backups import BackupFolders
from openrds.hosts.errors import HostError
from openrds.hosts.forwarding import Forwarder, Route
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.volumes import Volumes
from openrds.store.database import Row, Store, Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Output, P, StepContext, StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("instances")


class Size(TypedDict):
    """What of a `NodeSpec` the flavor decides."""

    memory_mb: int
    vcpus: int


@dataclass(frozen=True)
class Resources:
    """The means of one host's worker.

    `memory_mb` is what this host has for all servers. `socket_root` is a short folder for the sockets of servers;
    `spare_taken` tells that the pools may want refilling.
    """

    store: Store
    settings: Settings
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

    def instance(self, instance_id: str) -> Row:
        (instance,) = self.store.rows(_sql.instance_by_id, [instance_id])
        return instance

    def nodes(self, instance_id: str) -> list[Row]:
        """The nodes of an instance, its standby last."""
        return self.store.rows(_sql.nodes_of_instance, [instance_id])

    def node(self, instance_id: str, node_id: str) -> Row:
        (node,) = (node for node in self.nodes(instance_id) if node["id"] == node_id)
        return node

    def primary(self, instance_id: str) -> Row:
        """The node that serves the instance's clients."""
        return self.nodes(instance_id)[0]

    def engine(self, instance_id: str) -> Engine:
        return self.engines[EngineName(self.instance(instance_id)["engine"])]

    def standbys(self, instance_id: str) -> list[Row]:
        """The nodes that wait to take the primary's place."""
        return [node for node in self.nodes(instance_id) if node["role"] == NodeRole.SLAVE]

    def server(self, instance: Row, node: Row) -> Server:
        """The server of a node, running or not, as its role in the store wants it.

        Raises:
            StepFailed: the host no longer has the binaries of the instance's version.
        """
        spec = self._spec(instance, node)
        nodes = self.nodes(instance["id"])
        if node["role"] == NodeRole.SLAVE:
            upstream = self._spec(instance, nodes[0])
        elif node["role"] == NodeRole.READ_REPLICA:
            source = self.instance(instance["replica_of"])
            upstream = self._spec(source, self.primary(source["id"]))
        else:
            upstream = None
        confirming = [one["id"] for one in nodes if one["confirmation"] != Confirmation.NO]
        spec = replace(spec, upstream=upstream, confirmed_by=tuple(confirming) if upstream is None else ())
        return self.engines[EngineName(instance["engine"])].server(spec)

    def primary_server(self, instance_id: str) -> Server:
        """The server that serves the instance's clients."""
        return self.server(self.instance(instance_id), self.primary(instance_id))

    def node_server(self, instance_id: str, node_id: str) -> Server:
        """The server of one node of an instance."""
        return self.server(self.instance(instance_id), self.node(instance_id, node_id))

    def changed(self, server: Server, **changes: Any) -> Server:
        """The same server as it would be if its node were otherwise."""
        return self.engines[server.node.installation.engine].server(replace(server.node, **changes))

    def out_of_reach(self, server: Server) -> Server:
        """The same server where clients cannot connect: it listens on no address."""
        return self.changed(server, address="")

    def _spec(self, instance: Row, node: Row) -> NodeSpec:
        return NodeSpec(
            node_id=node["id"],
            installation=self.installation(EngineName(instance["engine"]), instance["version"]),
            folder=self.volumes.path(node["id"]),
            socket_dir=self._socket_dir(node["id"]),
            archive=self.backups.archive(instance["id"]),
            address=str(node["address"]) if node["address"] else "",
            port=instance["port"],
            **self.size_of(flavor_of(instance)),
            time_zone=instance["time_zone"],
            read_only=instance["storage_full"],
        )

    def size_of(self, flavor: Flavor) -> Size:
        """By the setting `flavors`, one that this host could not hold is as large as the host."""
        scaled = self.settings.flavors == "scaled"
        memory_mb = min(flavor.memory_mb, self.memory_mb) if scaled else flavor.memory_mb
        return Size(memory_mb=memory_mb, vcpus=flavor.vcpus)

    def start(self, server: Server) -> None:
        """Start a server as its node is to be now, on its volume in its place."""
        self.volumes.make_ready(server.node.node_id)
        server.configure()
        server.start()

    def initialise(self, server: Server) -> None:
        """Make the data directory of a server, from a spare one where there is one."""
        installation = server.node.installation
        self.engines[installation.engine].initialise(installation, server.node.data_dir)
        self.spare_taken.set()

    def routes(self) -> set[Route]:
        """What this host is to pass on."""
        rows = self.store.rows(_sql.routes_of_host, [self.settings.host])
        return {Route(row["address"], row["port"], row["node_address"], row["port"]) for row in rows}

    def keep_routes(self) -> None:
        """The same now and then. Where nothing is passed on, and nothing was, the machine need not be asked.

        Raises:
            HostError: not all of it is in place.
        """
        if not self._is_idle.is_set() or self.routes():
            self.apply_routes()

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
        shutil.rmtree(self._socket_dir(node_id), ignore_errors=True)

    def record(self, node_id: str) -> Path:
        """Where the process of a node's server is recorded."""
        return self.volumes.path(node_id) / processes.RECORD

    def _socket_dir(self, node_id: str) -> Path:
        return self.socket_root / node_id

    def stop(self, instance: Row, node: Row) -> None:
        """Stop the server of a node, also one whose binaries the host no longer has."""
        try:
            server = self.server(instance, node)
        except StepFailed:
            processes.stop_recorded(self.record(node["id"]))
        else:
            server.stop()

    def installation(self, engine: EngineName, version: str) -> Installation:
        found = self.engines[engine].installations() if engine in self.engines else ()
        for installation in found:
            if installation.version == version:
                return installation
        raise StepFailed(f"host {self.settings.host} no longer has the binaries of {engine} {version}")


def flavor_of(instance: Row) -> Flavor:
    flavor = find_flavor(EngineName(instance["engine"]), instance["flavor_ref"])
    assert flavor is not None, "an instance was accepted with a flavor that does not exist"
    return flavor


def set_status(
    connection: Writer, instance_id: str, status: InstanceStatus, *, deleting: bool = False
) -> None:
    connection.execute(_sql.set_status, {"id": instance_id, "status": status, "deleting": deleting})


def set_wanted(connection: Writer, instance_id: str, wanted: Wanted) -> None:
    connection.execute(_sql.set_wanted, {"id": instance_id, "wanted": wanted})


def become_active(context: StepContext[Resources, P], connection: Writer) -> Output:
    """After a success of which there is nothing more to say."""
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    return {}


def settle_by_looking(context: StepContext[Resources, P], connection: Writer) -> None:
    """After a failure: the instance is ACTIVE if it serves, and else FAILED: down for now.

    What is missing is the monitor's to bring back.
    """
    settle(context.resources, connection, context.instance_id)


def settle(resources: Resources, connection: Writer, instance_id: str) -> None:
    """The same of any instance."""
    instance, node = resources.instance(instance_id), resources.primary(instance_id)
    serving = is_serving(resources, instance, node)
    set_status(connection, instance_id, InstanceStatus.ACTIVE if serving else InstanceStatus.FAILED)


def is_serving(resources: Resources, instance: Row, node: Row) -> bool:
    try:
        return resources.server(instance, node).answers()
    except StepFailed:
        return False
