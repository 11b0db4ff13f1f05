"""The network that a project may name when it creates an instance. Read-only: it follows from the settings.

Source: contract, clients.md. The cloud has two vocabularies for the same things, and RDS mixes them: a VPC is
a Neutron router, and the `subnet_id` of an RDS request is the id of a Neutron network.
"""

import itertools
import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from openrds.domain.settings import Settings

VPC_NAME = "default-vpc"
SUBNET_NAME = "default-subnet"
SECURITY_GROUP_NAME = "default"
PUBLIC_ADDRESSES_OFFERED = 16

_NAMESPACE = uuid.UUID("6f70656e-7264-5000-8000-6e6574776f72")


@dataclass(frozen=True, slots=True)
class DefaultNetwork:
    """A project's VPC, subnet and security group.

    `vpc_id` is also the Neutron router's id, `subnet_id` also the Neutron network's;
    `neutron_subnet_id` is only Neutron's.
    """

    project_id: str
    vpc_id: str
    subnet_id: str
    neutron_subnet_id: str
    security_group_id: str
    cidr: IPv4Network
    availability_zones: tuple[str, ...]

    @property
    def gateway(self) -> IPv4Address:
        return next(self.cidr.hosts())


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """An address of the public pool, as offered to a project."""

    id: str
    project_id: str
    address: IPv4Address


def default_network(project_id: str, settings: Settings) -> DefaultNetwork:
    return DefaultNetwork(
        project_id=project_id,
        vpc_id=stable_id(project_id, f"vpc {VPC_NAME}"),
        subnet_id=stable_id(project_id, f"subnet {SUBNET_NAME}"),
        neutron_subnet_id=stable_id(project_id, f"neutron subnet {SUBNET_NAME}"),
        security_group_id=stable_id(project_id, f"security group {SECURITY_GROUP_NAME}"),
        cidr=settings.private_network,
        availability_zones=settings.availability_zones,
    )


def public_addresses(project_id: str, settings: Settings) -> tuple[PublicAddress, ...]:
    """The first addresses of the pool."""
    hosts = itertools.islice(settings.public_network.hosts(), PUBLIC_ADDRESSES_OFFERED)
    return tuple(PublicAddress(stable_id(project_id, f"eip {host}"), project_id, host) for host in hosts)


def stable_id(project_id: str, name: str) -> str:
    """The same id for the same project and name, on every host and after every restart."""
    return str(uuid.uuid5(_NAMESPACE, f"{project_id} {name}"))
