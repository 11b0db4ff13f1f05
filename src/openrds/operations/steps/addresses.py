"""Which addresses of the host's pool an instance holds: its endpoint, and those of nodes that listen elsewhere."""

from collections.abc import Iterator

from openrds.domain.instance import Instance, Node
from openrds.hosts.addresses import port_is_free
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

_sql = Queries("instances")


def take_endpoint(resources: Resources, instance: Instance) -> str:
    """The address where clients reach the instance: the one it has, or a free one.

    Raises:
        StepFailed: no address of the pool is free.
    """
    with resources.store.transaction() as connection:
        address = _take(connection, resources, instance, node_id=None)
        connection.execute(_sql.set_endpoint, {"instance_id": instance.id, "address": address})
    return address


def take_node_address(resources: Resources, instance: Instance, node: Node) -> str:
    """An address of the node's own, beside the endpoint. The node does not listen there before it is told to.

    Raises:
        StepFailed: no address of the pool is free.
    """
    with resources.store.transaction() as connection:
        return _take(connection, resources, instance, node_id=node.id)


def listen_on(resources: Resources, node: Node, address: str) -> None:
    """Record where a node's server listens from its next start on."""
    with resources.store.transaction() as connection:
        connection.execute(_sql.set_node_address, {"node_id": node.id, "address": address})


def release_node_address(resources: Resources, node_id: str) -> None:
    """Give back the address of one node."""
    with resources.store.transaction() as connection:
        connection.execute(_sql.release_node_address, {"node_id": node_id})


def release_addresses(resources: Resources, instance_id: str) -> None:
    """Give back all that an instance and its nodes hold; nothing is passed on to them any more."""
    addresses = where_clients_come(resources, instance_id)
    with resources.store.transaction() as connection:
        connection.execute(_sql.release_addresses, {"instance_id": instance_id})
    resources.apply_routes(*addresses)


def where_clients_come(resources: Resources, instance_id: str) -> list[str]:
    """The endpoint of an instance and its public address, so far as it has them."""
    found = (resources.instance(instance_id).address, public_address(resources, instance_id))
    return [address for address in found if address]


def public_address(resources: Resources, instance_id: str) -> str | None:
    """The public address that an instance has, or is being given."""
    rows = resources.store.rows(_sql.public_address_of_instance, [instance_id])
    return str(rows[0]["address"]) if rows else None


def _take(connection: Writer, resources: Resources, instance: Instance, node_id: str | None) -> str:
    """The address that is held already, or the first of the pool where nobody has it or listens on the port."""
    holder = {"instance_id": instance.id, "node_id": node_id}
    held = connection.execute(_sql.held_address, holder).fetchone()
    if held is not None:
        return str(held["address"])
    for address in _free_addresses(connection, resources):
        if port_is_free(address, instance.port):
            row = {"host": resources.settings.host, "address": address, **holder}
            if connection.execute(_sql.take_address, row).fetchone() is not None:
                return address
    raise StepFailed(
        f"no address of {resources.settings.private_cidr} is free: each has a node, "
        f"or another program listens on its port {instance.port}"
    )


def _free_addresses(connection: Writer, resources: Resources) -> Iterator[str]:
    taken = {row["address"] for row in connection.execute(_sql.addresses_of_host, [resources.settings.host])}
    return (address for address in resources.addresses.candidates() if address not in taken)
