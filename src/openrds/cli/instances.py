"""`openrds instance`: create, list, show, change and delete instances."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import typer

from openrds.cli import completion, instance_view, lookups
from openrds.cli.client import Client, Json
from openrds.cli.errors import CommandError, UsageError
from openrds.cli.output import note
from openrds.cli.passwords import VARIABLE, choose_password, generate_password
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName
from openrds.domain.errors import Refusal
from openrds.domain.instance import InstanceStatus, InstanceType
from openrds.domain.statuses import Action, check_allowed

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Database instances.")

IdOrName: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID_OR_NAME", autocompletion=completion.instance_names)
]
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
    order = Order(name, engine, version, flavor, volume_type, size, port, zone, tags, ha)
    client = session.client
    body = order_body(client, order)
    password = choose_password(
        engine,
        from_stdin=password_stdin,
        before_asking=lambda: client.post(
            "instances", body | {"password": generate_password(), "dry_run": True}
        ),
    )
    answer = client.post("instances", body | {"password": password.text})
    password.tell()
    session.finish(answer, wait=wait)


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
    """Show one instance: where it answers, its nodes, what is kept of it and when it is looked after."""
    client = session.client
    found = lookups.find_instance(client, instance)
    if session.output.is_json:
        session.output.facts(found, {})
        return
    session.output.facts(found, instance_view.facts(client, found))
    session.output.rows(found, instance_view.NODE_HEADER, instance_view.node_rows(client, found))


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
    """Delete an instance with its data, its automatic backups and its read replicas."""
    client = session.client
    id_ = lookups.find_instance_id(client, instance)
    if not yes:
        found = lookups.find_instance(client, id_)
        note("\n".join(instance_view.what_goes_with(client, found)))
        lookups.confirm(f"Delete instance {found['name']} ({id_}) with its data?")
    session.finish(client.delete(f"instances/{id_}"), wait=wait)


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
    client = session.client
    found = lookups.find_instance(client, instance)
    engine = EngineName(found["datastore"]["type"])
    password = choose_password(
        engine, from_stdin=password_stdin, before_asking=lambda: _check_takes_password(found)
    )
    answer = client.post(f"instances/{found['id']}/password", {"db_user_pwd": password.text})
    password.tell()
    session.output.said(answer, f"{instance} has the new password")


def order_body(client: Client, order: Order) -> Json:
    """The body of `POST instances` for an instance in the project's network, all but the password."""
    with_standby = order.replication_mode is not None
    body: dict[str, Any] = {
        "name": order.name,
        "datastore": {
            "type": order.engine,
            "version": order.version or lookups.newest_version(client, order.engine),
        },
        "flavor_ref": order.flavor or lookups.default_flavor(order.engine, with_standby=with_standby),
        "volume": {"type": order.volume_type, "size": order.size},
        "region": client.credentials.region,
        "availability_zone": lookups.choose_zones(
            client, order.engine, order.zone, with_standby=with_standby
        ),
        **lookups.default_network(client),
    }
    optional = {
        "port": None if order.port is None else str(order.port),
        "tags": list(order.tags) or None,
        "ha": lookups.standby(order.replication_mode),
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def _check_takes_password(instance: Json) -> None:
    """
    Raises:
        CommandError: the service would refuse it now.
    """
    try:
        check_allowed(Action.RESET_PASSWORD, InstanceStatus(instance["status"]))
    except Refusal as refusal:
        raise CommandError(str(refusal)) from None


def parse_tags(tags: list[str], option: str = "--tag") -> tuple[Json, ...]:
    """
    Raises:
        UsageError: one has no `=`.
    """
    pairs = [tag.partition("=") for tag in tags]
    for key, equals, _ in pairs:
        if not equals or not key:
            raise UsageError(f"{option} must be KEY=VALUE, not {key}.")
    return tuple({"key": key, "value": value} for key, _, value in pairs)


def _row(instance: Json) -> tuple[object, ...]:
    return (
        instance["id"],
        instance["name"],
        instance["status"],
        instance["type"],
        instance_view.engine_of(instance),
        ",".join(instance["private_ips"]),
        instance["port"],
        instance["flavor_ref"],
        instance_view.volume_of(instance),
    )
