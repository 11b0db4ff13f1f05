"""`openrds instance`: read replicas."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.instances import IdOrName, Tags, Wait, parse_tags
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName
from openrds.domain.flavor import counterpart
from openrds.domain.instance import InstanceType

app = typer.Typer()


@client_command(app, "replicate")
def replicate(
    session: Session,
    instance: IdOrName,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    flavor: Annotated[str | None, typer.Option(help="Default: the size of the primary.")] = None,
    volume_type: str = "CLOUDSSD",
    zone: Annotated[str | None, typer.Option(help="Availability zone. Default: the first.")] = None,
    tag: Tags = None,
    wait: Wait = True,
) -> None:
    """Create a read replica of an instance."""
    primary = lookups.find_instance(session.client, instance)
    engine = EngineName(primary["datastore"]["type"])
    like_primary = counterpart(engine, primary["flavor_ref"], InstanceType.REPLICA)
    body = {
        "name": name,
        "replica_of_id": primary["id"],
        "flavor_ref": flavor or (like_primary.spec_code if like_primary else ""),
        "volume": {"type": volume_type},
        "availability_zone": zone or lookups.first_zone(session.client, engine),
        "tags": list(parse_tags(tag or [])),
    }
    session.finish(session.client.post("instances", body), wait=wait)


@client_command(app, "replication")
def replication(session: Session, instance: IdOrName) -> None:
    """Show how far the standby and the read replicas of an instance are behind."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.get(f"instances/{id_}/replication/status", {})
    header = ("NODE", "INSTANCE", "ROLE", "STREAMS", "LAG BYTES", "LAG SECONDS", "SEEN")
    keys = ("id", "instance_id", "role", "streaming", "lag_bytes", "lag_seconds", "seen_at")
    session.output.rows(answer, header, [tuple(node[key] for key in keys) for node in answer["nodes"]])
