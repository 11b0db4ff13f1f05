"""What a person is shown of an instance: all that is known of it, and what goes with it."""

from collections.abc import Iterator

from openrds.cli.client import Client, Json
from openrds.cli.client_programs import PROGRAMS
from openrds.domain.engine import RULES, EngineName

NODE_HEADER = ("NODE", "ROLE", "STATUS", "ZONE", "STREAMS", "LAG BYTES")

#: What an instance must be to get into the recycle bin.
_HAD_BACK = ("ACTIVE", "STORAGE FULL")


def facts(client: Client, instance: Json) -> dict[str, object]:
    return {
        "id": instance["id"],
        "name": instance["name"],
        "alias": instance["alias"],
        "status": instance["status"],
        "read-only": "yes" if instance.get("read_only_by_user") else "",
        "type": instance["type"],
        "engine": engine_of(instance),
        "address": ", ".join(instance["private_ips"]),
        "DNS name": ", ".join(instance["private_dns_names"]),
        "public address": ", ".join(instance["public_ips"]),
        "port": instance["port"],
        "TLS": tls_of(instance),
        "administrator": instance["db_user_name"],
        "url": url_of(instance),
        "flavor": f"{instance['flavor_ref']} ({instance['cpu']} vCPU, {instance['mem']} GB)",
        "volume": f"{volume_of(instance)}, {used_space(client, instance)} GB used",
        "replication": instance.get("ha", {}).get("replication_mode", ""),
        "replica of": ", ".join(_related(client, instance, "replica_of")),
        "read replicas": ", ".join(_related(client, instance, "replica")),
        "backups": _backups(instance),
        "maintenance window": f"{instance['maintenance_window']} UTC",
        "tags": ", ".join(f"{tag['key']}={tag['value']}" for tag in instance["tags"]),
        "created": instance["created"],
        "updated": instance["updated"],
    }


def node_rows(client: Client, instance: Json) -> Iterator[tuple[object, ...]]:
    """One for each of its servers; the lag is that of those who follow."""
    answer = client.get(f"instances/{instance['id']}/replication/status")
    followers = {node["id"]: node for node in answer["nodes"]}
    for node in instance["nodes"]:
        yield (
            node["id"],
            node["role"],
            node["status"],
            node["availability_zone"],
            *_seen(followers.get(node["id"])),
        )


def _seen(follower: Json | None) -> tuple[object, object]:
    """Nothing of one that nobody has looked at yet."""
    if follower is None or not follower["seen_at"]:
        return "", ""
    return "yes" if follower["streaming"] else "no", follower["lag_bytes"]


def what_goes_with(client: Client, instance: Json) -> Iterator[str]:
    """The lines that tell what a deletion takes along, and what it leaves."""
    query = {"instance_id": instance["id"], "limit": 1}
    automatic, manual = (
        client.get("backups", query | {"backup_type": kind})["total_count"] for kind in ("auto", "manual")
    )
    replicas = _related(client, instance, "replica")
    yield f"{instance['name']} is {instance['type']}, {engine_of(instance)}, on {volume_of(instance)}."
    yield "With it go:"
    yield f"  its read replicas: {', '.join(replicas) or 'it has none'}"
    yield f"  its automatic backups: {automatic or 'it has none'}, and every moment it could be restored to"
    if manual:
        yield f"Its manual backups stay: {manual}."
    days = client.get("instances/recycle-policy")["retention_period_in_days"]
    if days and instance["status"] in _HAD_BACK and instance["type"] != "Replica":
        yield f"It can be had back as it was last for {days} days: openrds recycle restore {instance['id']}"


def url_of(instance: Json) -> str:
    """Where a client connects as the administrator; "" while it has no address. It has no password in it."""
    if not instance["private_ips"]:
        return ""
    engine = EngineName(instance["datastore"]["type"])
    database = PROGRAMS[engine].database if engine in PROGRAMS else ""
    place = f"{instance['private_ips'][0]}:{instance['port']}"
    return f"{engine.lower()}://{instance['db_user_name']}@{place}/{database}"


def engine_of(instance: Json) -> str:
    return f"{instance['datastore']['type']} {_version_of(instance)}"


def demands_tls(instance: Json) -> bool:
    """Whether clients that do not come over TLS are refused."""
    rules = RULES[EngineName(instance["datastore"]["type"])]
    return bool(instance["enable_ssl"]) and rules.demands_tls(_version_of(instance))


def tls_of(instance: Json) -> str:
    if demands_tls(instance):
        return "demanded"
    return "for those who ask for it" if instance["enable_ssl"] else "off"


def volume_of(instance: Json) -> str:
    return f"{instance['volume']['type']} {instance['volume']['size']} GB"


def used_space(client: Client, instance: Json) -> str:
    """In GB, as last measured."""
    return str(client.get(f"instances/{instance['id']}/storage-used-space")["used"])


def _version_of(instance: Json) -> str:
    datastore = instance["datastore"]
    return str(datastore["complete_version"] or datastore["version"])


def _related(client: Client, instance: Json, kind: str) -> list[str]:
    """Names and ids."""
    ids = [related["id"] for related in instance["related_instance"] if related["type"] == kind]
    found = [one for id_ in ids for one in client.get("instances", {"id": id_})["instances"]]
    return [f"{one['name']} ({one['id']})" for one in found]


def _backups(instance: Json) -> str:
    policy = instance["backup_strategy"]
    if not policy["keep_days"]:
        return "none by itself"
    return f"{policy['start_time']} UTC, kept for {policy['keep_days']} days"
