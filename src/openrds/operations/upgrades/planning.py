"""Which newer versions there are for an instance, and what hinders it from getting one."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace

from openrds.domain.engine import RULES, numbers_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceType
from openrds.domain.instance_values import Instance
from openrds.engines.protocol import NodeSpec
from openrds.hosts.folders import used_bytes
from openrds.operations.steps.resources import Resources
from openrds.store.database import Row, Writer
from openrds.store.instances import nodes_of
from openrds.store.queries import Queries

_sql = Queries("instances")

_GB = 2**30
#: A folder of a node while data of a newer version is made for it.
_UPGRADING = "upgrading"


def newest_minor(connection: Writer, instance: Instance) -> str | None:
    """The complete version that its host has of its version, if that is newer than what it runs."""
    offered = _of_its_host(connection, instance).get(instance.version)
    if offered is None or numbers_of(offered["complete_version"]) <= numbers_of(instance.complete_version):
        return None
    # Clients that were offered TLS are not to lose it.
    return None if instance.ssl and not offered["tls"] else str(offered["complete_version"])


def newer_majors(connection: Writer, instance: Instance) -> Mapping[str, str]:
    """What it can be upgraded to: complete versions by what requests name, oldest first."""
    return newer_of(instance, _of_its_host(connection, instance).values())


def newer_of(instance: Instance, installations: Iterable[Row]) -> Mapping[str, str]:
    """The same, of what a host has of any engine."""
    if not RULES[instance.engine].upgrades or instance.type is InstanceType.REPLICA:
        return {}
    newer = {
        one["version"]: one["complete_version"]
        for one in installations
        if one["engine"] == instance.engine and numbers_of(one["version"]) > numbers_of(instance.version)
    }
    return {version: newer[version] for version in sorted(newer, key=numbers_of)}


def target_of(connection: Writer, instance: Instance, asked: str) -> tuple[str, str]:
    """A newer version that is asked for, and the complete one.

    Raises:
        Refusal: INSTANCE_TYPE, DATASTORE_VERSION.
    """
    if instance.type is InstanceType.REPLICA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"A read replica gets another version with its primary; upgrade that, {instance.replica_of}.",
        )
    if not RULES[instance.engine].upgrades:
        raise Refusal(
            ErrorCode.DATASTORE_VERSION,
            f"{instance.engine} is not upgraded to another version; dump its data into a new instance.",
        )
    newer = newer_majors(connection, instance)
    for version, complete in newer.items():
        if asked in (version, complete):
            return version, complete
    there_is = f"there is {', '.join(newer)}" if newer else "there is none: `openrds engine install` gets one"
    raise Refusal(
        ErrorCode.DATASTORE_VERSION,
        f"The host of the instance has no {instance.engine} {asked[:64]} that is newer than {instance.version}; "
        f"{there_is}.",
    )


def apart(resources: Resources, node: NodeSpec, version: str, complete: str, name: str) -> NodeSpec:
    """The same node of another version, beside it; `name` tells it from all others. No client reaches it."""
    return replace(
        node,
        node_id=name,
        address="",
        upstream=None,
        installation=resources.host.installation(node.engine, version, complete),
        folder=node.folder / _UPGRADING,
        socket_dir=resources.host.socket_dir(name),
        archive=node.folder / _UPGRADING / "archive",
        parameters={},
        confirmed_by=(),
        tls=None,
    )


def what_hinders(resources: Resources, instance_id: str, new: NodeSpec) -> str:
    """Why an instance that serves cannot be upgraded to the version of `new`; empty where it can."""
    instance, old = resources.view.instance(instance_id), resources.primary_server(instance_id).node
    if instance.ssl and old.installation.speaks_tls and not new.installation.speaks_tls:
        return (
            f"the host's {new.engine} {new.installation.version} was built without TLS, which the instance offers: "
            "get another with `openrds engine install`, or switch SSL off first"
        )
    needed = used_bytes(old.data_dir)
    free = shutil.disk_usage(old.folder).free
    if 2 * needed > instance.volume_size * _GB or needed > free:
        return (
            f"its data takes {needed / _GB:.2f} GB, and is copied: there is no room for that on a volume of "
            f"{instance.volume_size} GB; enlarge it first"
        )
    return resources.engine(instance_id).upgrades.check(old, new)


def _of_its_host(connection: Writer, instance: Instance) -> dict[str, Row]:
    """What there is of its engine, by versions as requests name them."""
    primary, *_ = nodes_of(connection, instance.id)
    rows: list[Row] = connection.execute(_sql.host, [primary.host]).fetchall()
    return {
        one["version"]: one
        for row in rows
        for one in row["installations"]
        if one["engine"] == instance.engine
    }
