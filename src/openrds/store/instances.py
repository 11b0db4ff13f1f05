"""Instances and their nodes as the store has them: here alone their rows become values."""

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.instance import NodeRole
from openrds.domain.instance_values import Instance, InstanceSpec, Node
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries

_sql = Queries("instances")


class ListedNode(msgspec.Struct, frozen=True):
    """What callers are told of a node."""

    id: str
    name: str
    role: NodeRole
    availability_zone: str


class Listed(msgspec.Struct, frozen=True):
    """An instance with what belongs to it: its nodes, the primary first, and the ids of its read replicas."""

    instance: Instance
    nodes: tuple[ListedNode, ...]
    replicas: tuple[str, ...]
    public_address: str | None


class Rostered(msgspec.Struct, frozen=True):
    """An instance with its nodes on one host, the primary first, as the store said `now`.

    One that is `free` is to serve, and no task holds it.
    """

    instance: Instance
    nodes: tuple[Node, ...]
    free: bool
    now: dt.datetime


def instance_of(row: Row) -> Instance:
    """The instance of a row with all columns of its table, and perhaps others."""
    changed = {
        "switch_strategy": row["switch_strategy"] or None,
        "tags": {tag["key"]: tag["value"] for tag in row["tags"]},
    }
    return msgspec.convert(row | changed, Instance)


def node_of(row: Row) -> Node:
    """The node of a row of `nodes_of_instance`."""
    return msgspec.convert(row, Node)


def listed_of(row: Row) -> Listed:
    """The instance of a row of `list_instances`."""
    return Listed(
        instance_of(row),
        msgspec.convert(row["nodes"], tuple[ListedNode, ...]),
        tuple(row["replicas"]),
        row["public_address"],
    )


def find_instance(connection: Writer, instance_id: str) -> Instance | None:
    found = connection.execute(_sql.instance_by_id, [instance_id]).fetchone()
    return None if found is None else instance_of(found)


def lock_instance(connection: Writer, instance_id: str, project_id: str) -> Instance | None:
    """An instance of a project, which nobody else changes before the transaction ends."""
    found = connection.execute(_sql.get_instance, {"id": instance_id, "project_id": project_id}).fetchone()
    return None if found is None else instance_of(found)


def lock_free_instance(connection: Writer, instance_id: str) -> Instance | None:
    """The same, if it is to serve and no task holds it: none will before the transaction ends."""
    found = connection.execute(_sql.free_instance, [instance_id]).fetchone()
    return None if found is None else instance_of(found)


def lock_instance_at_rest(connection: Writer, instance_id: str) -> Instance | None:
    """The same, if besides all is well with it but for its volume."""
    found = connection.execute(_sql.instance_at_rest, [instance_id]).fetchone()
    return None if found is None else instance_of(found)


def holder_of(connection: Writer, public_address: str) -> Instance | None:
    found = connection.execute(_sql.holder_of_public_address, [public_address]).fetchone()
    return None if found is None else instance_of(found)


def replicas_of(connection: Writer, instance_id: str) -> list[Instance]:
    """The read replicas of an instance."""
    return [instance_of(row) for row in connection.execute(_sql.replicas_of_instance, [instance_id])]


def nodes_of(connection: Writer, instance_id: str) -> list[Node]:
    """The nodes of an instance, its standby last."""
    return [node_of(row) for row in connection.execute(_sql.nodes_of_instance, [instance_id])]


def find_node(connection: Writer, node_id: str) -> Node | None:
    found = connection.execute(_sql.node_by_id, [node_id]).fetchone()
    return None if found is None else node_of(found)


def roster_of(connection: Writer, host: str, instance_ids: Sequence[str] | None) -> list[Rostered]:
    """All instances of a host, or some."""
    rows = connection.execute(_sql.nodes_of_host, {"host": host, "ids": instance_ids}).fetchall()
    return [_rostered(list(of_one)) for _, of_one in groupby(rows, lambda row: row["id"])]


def insert_instance(connection: Writer, new: InstanceSpec) -> None:
    tags = [{"key": key, "value": value} for key, value in new.tags.items()]
    columns = msgspec.structs.asdict(new) | {
        "switch_strategy": new.switch_strategy or "",
        "tags": Jsonb(tags),
        "options": Jsonb(new.options),
        "growth": Jsonb(msgspec.structs.asdict(new.growth)) if new.growth else None,
        "parameters": Jsonb(new.parameters),
    }
    connection.execute(_sql.insert_instance, columns)


def insert_node(
    connection: Writer, node_id: str, instance_id: str, name: str, role: NodeRole, host: str, zone: str
) -> None:
    columns = {
        "id": node_id,
        "instance_id": instance_id,
        "name": name,
        "role": role,
        "host": host,
        "availability_zone": zone,
    }
    connection.execute(_sql.insert_node, columns)


def _rostered(rows: Sequence[Row]) -> Rostered:
    first = rows[0]
    return Rostered(
        instance_of(first), tuple(node_of(_part(row, "node_")) for row in rows), first["free"], first["now"]
    )


def _part(row: Row, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
