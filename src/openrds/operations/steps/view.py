"""What the store says of instances, their nodes, and where connections are to be passed on."""

from dataclasses import dataclass

from openrds.domain.instance import NodeRole
from openrds.domain.instance_values import Instance, Node
from openrds.hosts.forwarding import Route
from openrds.store.database import Store
from openrds.store.instances import find_instance, find_node, nodes_of, replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

_sql = Queries("instances")


@dataclass(frozen=True)
class View:
    """Each answer is what the store says at that moment. Of whatever host they are about, it is the same."""

    store: Store

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

    def find_node(self, node_id: str) -> Node:
        """A node of whatever instance.

        Raises:
            StepFailed: it is gone.
        """
        with self.store.transaction() as connection:
            found = find_node(connection, node_id)
        if found is None:
            raise StepFailed(f"node {node_id} is gone")
        return found

    def primary(self, instance_id: str) -> Node:
        """The node that serves the instance's clients."""
        return self.nodes(instance_id)[0]

    def standbys(self, instance_id: str) -> list[Node]:
        """The nodes that wait to take the primary's place."""
        return [node for node in self.nodes(instance_id) if node.role is NodeRole.SLAVE]

    def public_address(self, instance_id: str) -> str | None:
        """The public address that an instance has, or is being given."""
        rows = self.store.rows(_sql.public_address_of_instance, [instance_id])
        return str(rows[0]["address"]) if rows else None

    def where_clients_come(self, instance_id: str) -> list[str]:
        """The endpoint of an instance and its public address, so far as it has them."""
        found = (self.instance(instance_id).address, self.public_address(instance_id))
        return [address for address in found if address]

    def routes(self, host: str) -> set[Route]:
        """What a host is to pass on."""
        rows = self.store.rows(_sql.routes_of_host, [host])
        return {Route(row["address"], row["port"], row["node_address"], row["port"]) for row in rows}
