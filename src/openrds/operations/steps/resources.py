"""What the steps of every operation act with: what the store says, what the host can do, and servers built of both."""

import logging
import os
import threading
from dataclasses import dataclass, field, replace

from openrds.domain.access import USUAL
from openrds.domain.dns_names import dns_name
from openrds.domain.flavor import Flavor, find_flavor
from openrds.domain.instance import Confirmation, NodeRole
from openrds.domain.instance_values import Instance, InstanceSpec, Node
from openrds.domain.settings import Settings
from openrds.engines.protocol import Engine, NodeSpec, Server, Tls
from openrds.hosts import processes
from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser
from openrds.operations.steps.host import Host
from openrds.operations.steps.owners import family_of
from openrds.operations.steps.view import View
from openrds.store.database import Store
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """The two that steps act with, and what takes both: servers, and what is passed on to them."""

    view: View
    host: Host
    _routing: threading.Lock = field(default_factory=threading.Lock)
    _is_idle: threading.Event = field(default_factory=threading.Event)
    _guarding: threading.Lock = field(default_factory=threading.Lock)
    _is_open: threading.Event = field(default_factory=threading.Event)

    @property
    def store(self) -> Store:
        """Where what becomes of instances is written down."""
        return self.view.store

    @property
    def settings(self) -> Settings:
        return self.host.settings

    def engine(self, instance_id: str) -> Engine:
        return self.host.engines[self.view.instance(instance_id).engine]

    def server(self, instance: Instance, node: Node) -> Server:
        """The server of a node, running or not, as its role in the store wants it.

        Raises:
            StepFailed: the host no longer has the binaries of the instance's version.
        """
        spec, view = self._spec(instance, node), self.view
        nodes = view.nodes(instance.id)
        if node.role is NodeRole.SLAVE:
            upstream = self._spec(instance, nodes[0]).as_upstream(is_equal=True)
        elif instance.replica_of is not None:
            primary = view.instance(instance.replica_of)
            upstream = self._spec(primary, view.primary(primary.id)).as_upstream(is_equal=False)
        else:
            upstream = None
        confirming = [one.id for one in nodes if one.confirmation is not Confirmation.NO]
        spec = replace(spec, upstream=upstream, confirmed_by=tuple(confirming) if upstream is None else ())
        return self.host.engines[instance.engine].server(spec)

    def primary_server(self, instance_id: str) -> Server:
        """The server that serves the instance's clients."""
        return self.server(self.view.instance(instance_id), self.view.primary(instance_id))

    def node_server(self, instance_id: str, node_id: str) -> Server:
        """The server of one node of an instance."""
        return self.server(self.view.instance(instance_id), self.view.node(instance_id, node_id))

    def server_by_itself(self, instance: Instance, node: Node) -> Server:
        """The server of a node, whoever it follows: to look at, and not to be started.

        Raises:
            StepFailed: the host no longer has the binaries of the instance's version.
        """
        return self.host.engines[instance.engine].server(self._spec(instance, node))

    def stop(self, instance: Instance, node: Node) -> None:
        """Stop the server of a node, also one whose binaries the host no longer has."""
        try:
            server = self.server(instance, node)
        except StepFailed:
            processes.stop_recorded(self.host.record(node.id))
        else:
            server.stop()

    def keep_routes(self) -> bool:
        """Pass on what is to be passed on, now and then. Where nothing is, nor was, the machine need not be asked.

        Whether there is something to be passed on.

        Raises:
            HostError: not all of it is in place.
        """
        if not self._is_idle.is_set() or self.view.routes(self.host.name):
            self.apply_routes()
        return not self._is_idle.is_set()

    def apply_guards(self) -> None:
        """Keep out whom security groups keep out, now. Where nobody is, nor was, the machine need not be asked.

        Raises:
            HostError: what was kept out before still is.
        """
        with self._guarding:
            guards = self.view.guards(self.host.name, os.geteuid())
            if guards or not self._is_open.is_set():
                self._is_open.clear()
                self.host.filter.apply(guards)
                if not guards:
                    self._is_open.set()

    def apply_routes(self, *addresses: str) -> None:
        """Pass on what the store says is to be passed on by this host, now, to whom security groups let in.

        Raises:
            HostError: not all of it is in place; with addresses, only if that concerns one of them.
        """
        self.apply_guards()
        forwarder = self.host.forwarder
        with self._routing:
            routes = self.view.routes(self.host.name)
            try:
                self._is_idle.clear()
                forwarder.apply(routes)
                if not routes:
                    self._is_idle.set()
            except HostError as error:
                wrong = routes ^ forwarder.routes()
                if not addresses or any(route.address in addresses for route in wrong):
                    raise
                logger.warning("not everything is passed on: %s", error)

    def _spec(self, instance: Instance, node: Node) -> NodeSpec:
        host = self.host
        installation = host.installation(instance.engine, instance.version, instance.complete_version)
        return NodeSpec(
            node_id=node.id,
            user=self._user(instance),
            installation=installation,
            folder=host.volumes.path(node.id),
            socket_dir=host.socket_dir(node.id),
            archive=host.backups.archive(instance.id),
            address=node.address or "",
            port=instance.port,
            **host.size_of(flavor_of(instance)),
            time_zone=instance.time_zone,
            read_only=instance.storage_full or instance.read_only,
            secret=instance.secret,
            options=instance.options,
            parameters=instance.parameters,
            access=USUAL if instance.access is None else instance.access,
            tls=self._tls(instance, node) if instance.ssl and installation.speaks_tls else None,
        )

    def _tls(self, instance: Instance, node: Node) -> Tls | None:
        """Whoever may come to serve has the addresses and the name of the instance in its certificate too."""
        name = dns_name(instance.dns_label, self.settings)
        found = (instance.address, node.public_address, node.address, name)
        names = tuple(dict.fromkeys(one for one in found if one))
        return Tls(names, self.host.issuer) if names else None

    def _user(self, instance: Instance) -> ServerUser:
        """Whom the servers of an instance run as: the owner of a spare data directory, if it has nobody yet."""

        def spares() -> list[int]:
            engine = self.host.engines[instance.engine]
            return engine.spare_owners(self.host.installation(engine.name, instance.version))

        return self.host.owners.of(family_of(instance), spares)


def flavor_of(instance: InstanceSpec) -> Flavor:
    flavor = find_flavor(instance.engine, instance.flavor_ref)
    assert flavor is not None, "an instance was accepted with a flavor that does not exist"
    return flavor
