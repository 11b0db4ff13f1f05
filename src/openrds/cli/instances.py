"""`openrds instance`: create, list, show, change and delete instances."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.errors import UsageError
from openrds.cli.passwords import VARIABLE, choose_password
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName
from openrds.domain.instance import InstanceType

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Database instances.")

IdOrName: TypeAlias = Annotated[str, typer.Argument(metavar="ID_OR_NAME")]
EngineOption: TypeAlias = Annotated[EngineName, typer.Option(case_sensitive=False)]
PasswordStdin: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help=f"Read the password from stdin; else {VARIABLE}, a prompt, or a generated one.",
    ),
]
Wait: TypeAlias = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the task to its end.")]
Zone: TypeAlias = Annotated[
    str | None, typer.Option(help="Availability zone, or two, PRIMARY,STANDBY. Default: the first.")
]
Standby: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="MODE", help="With a standby: async or sync; for MySQL async or semisync."),
]
Tags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="May be given several times.")
]

_HEADER = ("ID", "NAME", "STATUS", "TYPE", "ENGINE", "ADDRESS", "PORT", "FLAVOR", "VOLUME")


@dataclass(frozen=True)
class Order:
    """What a new instance shall be; what is None is left to the service's offer."""

    name: str
    engine: EngineName
    password: str
    version: str | None = None
    flavor: str | None = None
    volume_type: str = "CLOUDSSD"
    size: int = 40
    port: int | None = None
    zone: str | None = None
    tags: tuple[Json, ...] = ()
    replication_mode: str | None = None


@client_command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    engine: EngineOption = EngineName.POSTGRESQL,
    version: Annotated[str | None, typer.Option(help="Default: the newest that the service has.")] = None,
    flavor: Annotated[str | None, typer.Option(help="Default: the smallest.")] = None,
    volume_type: str = "CLOUDSSD",
    size: Annotated[int, typer.Option(help="Of the volume, in GB.")] = 40,
    port: Annotated[int | None, typer.Option(help="Default: the engine's own.")] = None,
    zone: Zone = None,
    ha: Standby = None,
    tag: Tags = None,
    password_stdin: PasswordStdin = False,
    wait: Wait = True,
) -> None:
    """Create an instance."""
    tags = parse_tags(tag or [])
    password = choose_password(from_stdin=password_stdin)
    order = Order(name, engine, password, version, flavor, volume_type, size, port, zone, tags, ha)
    session.finish(create_instance(session.client, order), wait=wait)


@client_command(app, "list")
def list_(
    session: Session,
    *,
    id: Annotated[str | None, typer.Option(help="A leading * finds a part.")] = None,
    name: Annotated[str | None, typer.Option(help="A leading * finds a part.")] = None,
    type: Annotated[InstanceType | None, typer.Option(case_sensitive=False)] = None,
    engine: Annotated[EngineName | None, typer.Option(case_sensitive=False)] = None,
    tag: Tags = None,
    offset: int = 0,
    limit: int = 100,
) -> None:
    """List instances, newest first."""
    query = {
        "id": id,
        "name": name,
        "type": type,
        "datastore_type": engine,
        "tags": ",".join(tag) if tag else None,
        "offset": offset,
        "limit": limit,
    }
    answer = session.client.get("instances", query)
    session.output.rows(answer, _HEADER, map(_row, answer["instances"]))


@client_command(app, "show")
def show(session: Session, instance: IdOrName) -> None:
    """Show one instance."""
    found = lookups.find_instance(session.client, instance)
    session.output.facts(found, _facts(found))


@client_command(app, "restart")
def restart(
    session: Session,
    instance: IdOrName,
    delay: Annotated[bool, typer.Option("--delay", help="In its maintenance window.")] = False,
    wait: Wait = True,
) -> None:
    """Restart an instance."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.post(f"instances/{id_}/action", {"restart": {"delay": True} if delay else {}})
    if delay:
        session.output.said(answer, f"scheduled task {answer['job_id']} waits for the maintenance window")
    else:
        session.finish(answer, wait=wait)


@client_command(app, "delete")
def delete(
    session: Session,
    instance: IdOrName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = True,
) -> None:
    """Delete an instance with its data."""
    id_ = lookups.find_instance_id(session.client, instance)
    if not yes:
        lookups.confirm(f"Delete instance {instance} with its data?")
    session.finish(session.client.delete(f"instances/{id_}"), wait=wait)


@client_command(app, "rename")
def rename(
    session: Session, instance: IdOrName, name: Annotated[str, typer.Argument(metavar="NEW_NAME")]
) -> None:
    """Give an instance another name."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.output.said(
        session.client.put(f"instances/{id_}/name", {"name": name}), f"{instance} is now {name}"
    )


@client_command(app, "password")
def password(session: Session, instance: IdOrName, password_stdin: PasswordStdin = False) -> None:
    """Give the administrator of an instance another password."""
    id_ = lookups.find_instance_id(session.client, instance)
    body = {"db_user_pwd": choose_password(from_stdin=password_stdin)}
    session.output.said(
        session.client.post(f"instances/{id_}/password", body), f"{instance} has the new password"
    )


def create_instance(client: Client, order: Order) -> Json:
    """Order an instance in the project's network; the answer of `POST instances`."""
    version = order.version or lookups.newest_version(client, order.engine)
    ha = order.replication_mode
    body: dict[str, Any] = {
        "name": order.name,
        "datastore": {"type": order.engine, "version": version},
        "flavor_ref": order.flavor or lookups.default_flavor(order.engine, with_standby=ha is not None),
        "volume": {"type": order.volume_type, "size": order.size},
        "region": client.credentials.region,
        "availability_zone": lookups.choose_zones(
            client, order.engine, order.zone, with_standby=ha is not None
        ),
        "password": order.password,
        **lookups.default_network(client),
    }
    optional = {
        "port": None if order.port is None else str(order.port),
        "tags": list(order.tags) or None,
        "ha": lookups.standby(ha),
    }
    return client.post(
        "instances", body | {name: value for name, value in optional.items() if value is not None}
    )


def parse_tags(tags: list[str]) -> tuple[Json, ...]:
    """
    Raises:
        UsageError: one has no `=`.
    """
    pairs = [tag.partition("=") for tag in tags]
    for key, equals, _ in pairs:
        if not equals or not key:
            raise UsageError(f"--tag must be KEY=VALUE, not {key}.")
    return tuple({"key": key, "value": value} for key, _, value in pairs)


def _row(instance: Json) -> tuple[object, ...]:
    return (
        instance["id"],
        instance["name"],
        instance["status"],
        instance["type"],
        _engine(instance),
        ",".join(instance["private_ips"]),
        instance["port"],
        instance["flavor_ref"],
        _volume(instance),
    )


def _facts(instance: Json) -> dict[str, object]:
    return {
        "id": instance["id"],
        "name": instance["name"],
        "alias": instance["alias"],
        "status": instance["status"],
        "type": instance["type"],
        "engine": _engine(instance),
        "address": ", ".join(instance["private_ips"]),
        "public address": ", ".join(instance["public_ips"]),
        "port": instance["port"],
        "administrator": instance["db_user_name"],
        "flavor": f"{instance['flavor_ref']} ({instance['cpu']} vCPU, {instance['mem']} GB)",
        "volume": _volume(instance),
        "zones": ", ".join(node["availability_zone"] for node in instance["nodes"]),
        "tags": ", ".join(f"{tag['key']}={tag['value']}" for tag in instance["tags"]),
        "created": instance["created"],
        "updated": instance["updated"],
    }


def _engine(instance: Json) -> str:
    datastore = instance["datastore"]
    return f"{datastore['type']} {datastore['complete_version'] or datastore['version']}"


def _volume(instance: Json) -> str:
    return f"{instance['volume']['type']} {instance['volume']['size']} GB"
