"""What the store says of instances, their nodes, where connections are to be passed on, and who is to be kept out."""

from dataclasses import dataclass

from openrds.domain.filtering import verdicts
from openrds.domain.instance import NodeRole
from openrds.domain.instance_values import Instance, Node
from openrds.hosts.filtering import Guard
from openrds.hosts.forwarding import Route
from openrds.store.database import Store
from openrds.store.instances import find_instance, find_node, nodes_of, replicas_of
from openrds.store.networks import rule_of
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

_sql = Queries("instances")
_networks = Queries("networks")


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

    def guards(self, host: str, service_uid: int) -> list[Guard]:
        """Whom a host is to keep out. The service itself and the servers of a family are let in everywhere."""
        guarded = self.store.rows(_networks.guarded_instances, [host])
        if not guarded:
            return []
        group_ids = list({row["security_group_id"] for row in guarded})
        rules = [rule_of(row) for row in self.store.rows(_networks.rules_of_groups, [group_ids])]
        named = list({rule.remote_group_id for rule in rules if rule.remote_group_id})
        of_groups = {"groups": named, "projects": list({rule.project_id for rule in rules})}
        found = self.store.rows(_networks.addresses_of_groups, of_groups) if named else []
        members = {row["security_group_id"]: row["addresses"] for row in found}
        return [
            Guard(
                tuple(sorted(set(row["addresses"]))),
                row["port"],
                verdicts(
                    (rule for rule in rules if rule.security_group_id == row["security_group_id"]),
                    row["port"],
                    members,
                ),
                tuple(sorted({service_uid, *([row["uid"]] if row["uid"] is not None else [])})),
            )
            for row in guarded
            if row["addresses"]
        ]

    def routes(self, host: str) -> set[Route]:
        """What a host is to pass on."""
        rows = self.store.rows(_sql.routes_of_host, [host])
        return {Route(row["address"], row["port"], row["node_address"], row["port"]) for row in rows}
