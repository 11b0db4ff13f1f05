"""`openrds instance bind|unbind|port|address|dns|ssl|remote-connection|stop|start`, and `openrds public-ip list`."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.errors import CommandError
from openrds.cli.instances import IdOrName, Wait
from openrds.cli.session import Session, client_command

app = typer.Typer()

public_ips = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Public addresses, to be bound to instances."
)


@client_command(app, "bind")
def bind(
    session: Session,
    instance: IdOrName,
    address: Annotated[str | None, typer.Argument(help="Default: the first that is free.")] = None,
    wait: Wait = True,
) -> None:
    """Bind a public address to an instance."""
    id_ = lookups.find_instance_id(session.client, instance)
    public = _find_address(session.client, address)
    body = {"is_bind": True, "public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
    session.finish(session.client.put(f"instances/{id_}/public-ip", body), wait=wait)


@client_command(app, "unbind")
def unbind(session: Session, instance: IdOrName, wait: Wait = True) -> None:
    """Unbind the public address of an instance."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.put(f"instances/{id_}/public-ip", {"is_bind": False}), wait=wait)


@client_command(app, "port")
def port(
    session: Session,
    instance: IdOrName,
    port: Annotated[int, typer.Argument(metavar="PORT")],
    wait: Wait = True,
) -> None:
    """Change the port of an instance; its server is restarted."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.put(f"instances/{id_}/port", {"port": port}), wait=wait)


@client_command(app, "address")
def address(
    session: Session,
    instance: IdOrName,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A free one of the pool private_cidr.")],
    wait: Wait = True,
) -> None:
    """Move an instance to another address; its server is restarted."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.put(f"instances/{id_}/ip", {"new_ip": address}), wait=wait)


@client_command(app, "dns")
def dns(
    session: Session,
    instance: IdOrName,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="8 to 63 letters and digits, before the zone. Default: its id."
        ),
    ] = None,
    wait: Wait = True,
) -> None:
    """Give an instance a private DNS name, or another one; `instance show` says it in full."""
    id_ = lookups.find_instance_id(session.client, instance)
    if name is None:
        answer = session.client.post(f"instances/{id_}/create-dns", {"dns_type": "private"})
    else:
        answer = session.client.put(f"instances/{id_}/modify-dns", {"dns_name": name})
    session.finish(answer, wait=wait)


@client_command(app, "ssl")
def ssl(
    session: Session,
    instance: IdOrName,
    *,
    on: Annotated[bool, typer.Option("--on/--off", help="For clients that ask for it, or for nobody.")],
    wait: Wait = True,
) -> None:
    """Offer TLS to the clients of an instance, or none; its servers are restarted where that changes something."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.put(f"instances/{id_}/ssl", {"ssl_option": on}), wait=wait)


@client_command(app, "remote-connection")
def remote_connection(
    session: Session,
    instance: IdOrName,
    *,
    is_open: Annotated[bool, typer.Option("--open/--close", help="From everywhere, or from here only.")],
    wait: Wait = True,
) -> None:
    """Let the administrator of a MySQL or MariaDB instance log in from outside, or not."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.put(f"instances/{id_}/remote-connection", {"is_open": is_open})
    session.finish(answer, wait=wait)


@client_command(app, "stop")
def stop(session: Session, instance: IdOrName, wait: Wait = True) -> None:
    """Stop an instance with its read replicas; the data stays."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.post(f"instances/{id_}/action/shutdown", {}), wait=wait)


@client_command(app, "start")
def start(session: Session, instance: IdOrName, wait: Wait = True) -> None:
    """Start an instance that was stopped."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.post(f"instances/{id_}/action/startup", {}), wait=wait)


@client_command(public_ips, "list")
def list_(session: Session) -> None:
    """List the public addresses, and to which instance each is bound."""
    answer = session.client.get("publicips", version="v1")
    session.output.rows(answer, ("ID", "ADDRESS", "STATUS", "INSTANCE"), map(_row, answer["publicips"]))


def _row(public: Json) -> tuple[object, ...]:
    return (
        public["id"],
        public["public_ip_address"],
        public["status"],
        public.get("associate_instance_id", ""),
    )


def _find_address(client: Client, address: str | None) -> Json:
    """The one with this address, or the first that is free."""
    offered = client.get("publicips", version="v1")["publicips"]
    for public in offered:
        if public["public_ip_address"] == address or (address is None and public["status"] == "DOWN"):
            found: Json = public
            return found
    raise CommandError(
        "No public address is free." if address is None else f"There is no public address {address}."
    )
