"""Nodes for tasks that touch no server."""

from openrds.domain.instance import Confirmation, NodeRole
from openrds.domain.instance_values import Node


def node_on(host: str, instance_id: str = "", role: NodeRole = NodeRole.MASTER) -> Node:
    return Node(
        id=f"{role} of {instance_id}",
        instance_id=instance_id,
        name="node",
        role=role,
        host=host,
        availability_zone="az1",
        address=None,
        public_address=None,
        confirmation=Confirmation.NO,
        revivals=0,
        revived_at=None,
        used_bytes=None,
        replication=None,
        replication_seen_at=None,
    )
