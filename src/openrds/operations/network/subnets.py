"""Make, change and delete a subnet, which in Neutron's words is a network and its subnet. Done when it is answered.

Neutron makes it in three calls: the network, its range of addresses, and the router that has it, which is the VPC.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network import Subnet, Vpc, new_network_id
from openrds.domain.network_rules import (
    check_gateway,
    check_name_servers,
    check_network_description,
    check_network_name,
    check_subnet_cidr,
    refuse,
)
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.networks import default_of, find_vpc
from openrds.operations.intake.quotas import check_networks
from openrds.operations.network.unused import check_unused
from openrds.store.networks import subnet_of
from openrds.store.queries import Queries

_sql = Queries("networks")


class AddressRange(msgspec.Struct, frozen=True, kw_only=True):
    """What a subnet has of addresses; the gateway is the first of `cidr` where it is left out."""

    cidr: str
    gateway_ip: str | None = None
    dhcp_enable: bool = True
    dns_list: Sequence[str] = ()


def create(
    intake: Intake,
    vpc_id: str,
    name: str,
    addresses: AddressRange,
    *,
    description: str = "",
    availability_zone: str | None = None,
) -> Subnet:
    """A subnet of a VPC, at once with all that belongs to it."""
    vpc = find_vpc(intake, vpc_id)
    fields = {"name": check_network_name(name), "description": check_network_description(description)}
    return _insert(intake, availability_zone, **fields, **_ranged(intake, addresses, vpc))


def create_network(intake: Intake, name: str, description: str = "") -> Subnet:
    """A network without addresses, that no router has."""
    fields = {"name": check_network_name(name), "description": check_network_description(description)}
    none = {"cidr": "", "gateway_ip": "", "dhcp_enable": False, "dns_list": [], "vpc_id": ""}
    return _insert(intake, None, **fields, **none)


def give_addresses(intake: Intake, network_id: str, addresses: AddressRange) -> Subnet:
    """
    Raises:
        Refusal: NETWORK_IN_USE, the network has its subnet already.
    """
    found = lock(intake, network_id)
    if found.cidr:
        raise Refusal(
            ErrorCode.NETWORK_IN_USE,
            f"The network {found.id} has the subnet {found.neutron_subnet_id}, and can have no other.",
        )
    vpc = find_vpc(intake, found.vpc_id) if found.vpc_id else None
    check_networks(intake.connection, intake.project_id, intake.settings, "subnets", more=0)
    return _set(intake, found, **_ranged(intake, addresses, vpc))


def take_addresses(intake: Intake, subnet_id: str) -> None:
    """Delete what Neutron calls the subnet; the network stays.

    Raises:
        Refusal: NETWORK_IN_USE, a router or an instance has it.
    """
    found = lock(intake, subnet_id)
    if found.vpc_id:
        raise Refusal(
            ErrorCode.NETWORK_IN_USE, f"The subnet {subnet_id} is used by the router {found.vpc_id}."
        )
    check_unused(intake, _sql.users_of_subnet, found.id, "subnet")
    _set(intake, found, cidr="", gateway_ip="", dns_list=[], neutron_subnet_id=new_network_id())


def attach(intake: Intake, vpc_id: str, subnet_id: str) -> Subnet:
    """Have a subnet be one of a VPC."""
    vpc, found = find_vpc(intake, vpc_id), lock(intake, subnet_id)
    if not found.cidr:
        raise refuse(f"The network {found.id} has no subnet yet.")
    if found.vpc_id:
        raise Refusal(ErrorCode.NETWORK_IN_USE, f"The router {found.vpc_id} has the subnet {subnet_id}.")
    check_subnet_cidr(found.cidr, vpc.cidr, intake.settings.private_network, _others(intake, vpc))
    return _set(intake, found, vpc_id=vpc.id)


def detach(intake: Intake, vpc_id: str, subnet_id: str) -> Subnet:
    """
    Raises:
        Refusal: NETWORK_NOT_FOUND, the VPC has no such subnet; NETWORK_IN_USE, an instance is in it.
    """
    found = lock(intake, subnet_id)
    if found.vpc_id != vpc_id:
        raise Refusal(ErrorCode.NETWORK_NOT_FOUND, f"The router {vpc_id} has no subnet {subnet_id}.")
    check_unused(intake, _sql.users_of_subnet, found.id, "subnet")
    return _set(intake, found, vpc_id="")


def change(
    intake: Intake,
    subnet_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    dhcp_enable: bool | None = None,
    dns_list: Sequence[str] | None = None,
    vpc_id: str | None = None,
) -> Subnet:
    """What is None stays; `vpc_id` is the one that it must be of."""
    found = lock(intake, subnet_id, vpc_id)
    given = {
        "name": None if name is None else check_network_name(name),
        "description": None if description is None else check_network_description(description),
        "dhcp_enable": dhcp_enable,
        "dns_list": None if dns_list is None else check_name_servers(dns_list),
    }
    return _set(intake, found, **{field: value for field, value in given.items() if value is not None})


def delete(intake: Intake, subnet_id: str, *, vpc_id: str | None = None) -> None:
    """
    Raises:
        Refusal: NETWORK_IN_USE, an instance is in it.
    """
    found = lock(intake, subnet_id, vpc_id)
    check_unused(intake, _sql.users_of_subnet, found.id, "subnet")
    intake.connection.execute(_sql.delete_subnet, [found.id])


def lock(intake: Intake, subnet_id: str, vpc_id: str | None = None) -> Subnet:
    """By its id or Neutron's; `vpc_id` is the one that it must be of.

    Raises:
        Refusal: NETWORK_NOT_FOUND; NETWORK_IN_USE, it is the default one.
    """
    default = default_of(intake).subnet
    if subnet_id in (default.id, default.neutron_subnet_id):
        raise Refusal(ErrorCode.NETWORK_IN_USE, "The default subnet always exists, and stays as it is.")
    key = {"id": subnet_id, "project_id": intake.project_id}
    row = intake.connection.execute(_sql.lock_subnet, key).fetchone()
    if row is None or vpc_id not in (None, row["vpc_id"]):
        of_vpc = "" if vpc_id is None else f" in the VPC {vpc_id}"
        raise Refusal(ErrorCode.NETWORK_NOT_FOUND, f"There is no subnet {subnet_id}{of_vpc}.")
    return subnet_of(row)


def _ranged(intake: Intake, addresses: AddressRange, vpc: Vpc | None) -> dict[str, Any]:
    """The fields of a subnet that has these addresses, in a VPC or in none yet."""
    pool, others = intake.settings.private_network, _others(intake, vpc) if vpc else []
    cidr = check_subnet_cidr(addresses.cidr, vpc.cidr if vpc else "", pool, others)
    return {
        "cidr": str(cidr),
        "gateway_ip": check_gateway(addresses.gateway_ip, cidr),
        "dhcp_enable": addresses.dhcp_enable,
        "dns_list": check_name_servers(addresses.dns_list),
        "vpc_id": vpc.id if vpc else "",
    }


def _others(intake: Intake, vpc: Vpc) -> list[str]:
    """The ranges of a VPC's subnets. No other call makes one meanwhile."""
    check_networks(intake.connection, intake.project_id, intake.settings, "subnets", more=0)
    rows = intake.connection.execute(_sql.subnets, [intake.project_id]).fetchall()
    subnets = [default_of(intake).subnet, *map(subnet_of, rows)]
    return [subnet.cidr for subnet in subnets if subnet.vpc_id == vpc.id and subnet.cidr]


def _insert(intake: Intake, availability_zone: str | None, **fields: Any) -> Subnet:
    zones = intake.settings.availability_zones
    if availability_zone and availability_zone not in zones:
        raise Refusal(ErrorCode.AVAILABILITY_ZONE, f"availability_zone must be one of {', '.join(zones)}.")
    row = {
        "id": new_network_id(),
        "neutron_subnet_id": new_network_id(),
        "project_id": intake.project_id,
        "availability_zone": availability_zone or zones[0],
        **fields,
    }
    check_networks(intake.connection, intake.project_id, intake.settings, "subnets")
    (made,) = intake.connection.execute(_sql.insert_subnet, row).fetchall()
    return subnet_of(made)


def _set(intake: Intake, subnet: Subnet, **changes: Any) -> Subnet:
    row = {**msgspec.structs.asdict(subnet), **changes}
    (changed,) = intake.connection.execute(_sql.set_subnet, row).fetchall()
    return subnet_of(changed)
