"""What commands look up before they act: an instance by its name, the defaults of a new one, and a yes."""

import sys

import typer

from openrds.cli.client import Client, Json
from openrds.cli.errors import CommandError, UsageError
from openrds.cli.output import table
from openrds.domain.engine import RULES, EngineName
from openrds.domain.instance import is_instance_id

_TELLING = ("ID", "TYPE", "STATUS", "ADDRESS", "CREATED")


def find_instance(client: Client, id_or_name: str) -> Json:
    """The instance as `GET instances` lists it.

    Raises:
        CommandError: there is none.
        UsageError: several have this name.
    """
    key = "id" if is_instance_id(id_or_name) else "name"
    listed = client.get("instances", {key: id_or_name})["instances"]
    # A leading `*` makes a pattern of it, which may match others.
    found: list[Json] = [instance for instance in listed if instance[key] == id_or_name]
    if not found:
        raise CommandError(f"There is no instance {id_or_name}.")
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} instances are named {id_or_name}; say which by its id:\n"
            + table(_TELLING, map(_telling, found))
        )
    return found[0]


def _telling(instance: Json) -> tuple[object, ...]:
    """What tells instances of one name apart."""
    address = ",".join(instance["private_ips"])
    return instance["id"], instance["type"], instance["status"], address, instance["created"]


def find_instance_id(client: Client, id_or_name: str) -> str:
    """An id is taken as it is, so that the service says what it knows of it."""
    return id_or_name if is_instance_id(id_or_name) else str(find_instance(client, id_or_name)["id"])


def newest_version(client: Client, engine: EngineName) -> str:
    """
    Raises:
        CommandError: the service has no server of this engine.
    """
    versions = client.get(f"datastores/{engine}")["dataStores"]
    if not versions:
        raise CommandError(
            f"This service has no {engine} server, so it cannot create {engine} instances; "
            "`openrds engine list` says how its host gets one."
        )
    return str(versions[-1]["name"])


def default_flavor(engine: EngineName, *, with_standby: bool = False) -> str:
    """The smallest: 1 vCPU and 2 GB."""
    return f"rds.{RULES[engine].flavor_token}.n1.medium.2{'.ha' if with_standby else ''}"


def choose_zones(client: Client, engine: EngineName, zone: str | None, *, with_standby: bool) -> str:
    """What was asked for, or the first zone there is; a standby is in the same one where only one is named."""
    zone = zone or first_zone(client, engine)
    return f"{zone},{zone}" if with_standby and "," not in zone else zone


def standby(replication_mode: str | None) -> Json | None:
    """The field `ha` of a new instance that has a standby."""
    return None if replication_mode is None else {"mode": "Ha", "replication_mode": replication_mode}


def first_zone(client: Client, engine: EngineName) -> str:
    """
    Raises:
        CommandError: no flavor is offered anywhere.
    """
    for flavor in client.get(f"flavors/{engine}")["flavors"]:
        for zone in flavor["az_status"]:
            return str(zone)
    raise CommandError(f"This service offers no flavor of {engine}.")


def default_network(client: Client) -> dict[str, str]:
    """The ids of the project's VPC, subnet and security group, as the body of a new instance names them."""
    vpc_id = _first_id(client.get("vpcs", version="v1"), "vpcs")
    subnets = client.get("subnets", {"vpc_id": vpc_id}, version="v1")
    groups = client.get("vpc/security-groups")
    return {
        "vpc_id": vpc_id,
        "subnet_id": _first_id(subnets, "subnets"),
        "security_group_id": _first_id(groups, "security_groups"),
    }


def confirm(question: str) -> None:
    """Ask on a terminal before something is lost; a no ends the command.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on; give --yes.")
    typer.confirm(question, abort=True, err=True)


def _first_id(answer: Json, kind: str) -> str:
    if not answer[kind]:
        raise CommandError(f"The project has no {kind.replace('_', ' ')}.")
    return str(answer[kind][0]["id"])
