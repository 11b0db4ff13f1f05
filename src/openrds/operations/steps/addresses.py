"""Which addresses of the host's pool an instance holds: its endpoint, and those of nodes that listen elsewhere."""

from collections.abc import Iterator

from openrds.domain.instance_values import Instance, Node
from openrds.hosts.addresses import port_is_free
from openrds.operations.steps.host import Host
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
        address = _take(connection, resources.host, instance, node_id=None)
        connection.execute(_sql.set_endpoint, {"instance_id": instance.id, "address": address})
    # Before anything listens there.
    resources.apply_guards()
    return address


def take_node_address(resources: Resources, instance: Instance, node: Node) -> str:
    """An address of the node's own, beside the endpoint. The node does not listen there before it is told to.

    Raises:
        StepFailed: no address of the pool is free.
    """
    with resources.store.transaction() as connection:
        address = _take(connection, resources.host, instance, node_id=node.id)
    resources.apply_guards()
    return address


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
    addresses = resources.view.where_clients_come(instance_id)
    with resources.store.transaction() as connection:
        connection.execute(_sql.release_addresses, {"instance_id": instance_id})
    resources.apply_routes(*addresses)


def _take(connection: Writer, host: Host, instance: Instance, node_id: str | None) -> str:
    """The address that is held already, or the first of the pool where nobody has it or listens on the port."""
    holder = {"instance_id": instance.id, "node_id": node_id}
    held = connection.execute(_sql.held_address, holder).fetchone()
    if held is not None:
        return str(held["address"])
    for address in _free_addresses(connection, host):
        if port_is_free(address, instance.port):
            row = {"host": host.name, "address": address, **holder}
            if connection.execute(_sql.take_address, row).fetchone() is not None:
                return address
    raise StepFailed(
        f"no address of {host.settings.private_cidr} is free: each has a node, "
        f"or another program listens on its port {instance.port}"
    )


def _free_addresses(connection: Writer, host: Host) -> Iterator[str]:
    taken = {row["address"] for row in connection.execute(_sql.addresses_of_host, [host.name])}
    return (address for address in host.addresses.candidates() if address not in taken)
