"""The networks of a project: VPCs, subnets, security groups, and public addresses.

Each project has a default one of the first three, which follow from the settings. Source: contract, clients.md. The
cloud has two vocabularies for the same things, and RDS mixes them: a VPC is a Neutron router, and the `subnet_id` of
an RDS request is the id of a Neutron network.
"""

import datetime as dt
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import msgspec

from openrds.domain.settings import Settings

#: As the cloud calls its own (clients.md).
VPC_NAME = "vpc-default"
SUBNET_NAME = "subnet-default"
SECURITY_GROUP_NAME = "default"
PUBLIC_ADDRESSES_OFFERED = 16
#: What a filter by enterprise project says for "any" (clients.md).
ALL_ENTERPRISE_PROJECTS = "all_granted_eps"

_NAMESPACE = uuid.UUID("6f70656e-7264-5000-8000-6e6574776f72")
_ALWAYS = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What every part of a network has. A default one was always there, and cannot be deleted."""

    id: str
    project_id: str
    name: str
    description: str = ""
    created_at: dt.datetime = _ALWAYS
    updated_at: dt.datetime = _ALWAYS
    is_default: bool = False


class Vpc(Made, frozen=True, kw_only=True):
    """`id` is also the Neutron router's; `cidr` is empty where it was left open."""

    cidr: str
    enterprise_project_id: str = "0"


class Subnet(Made, frozen=True, kw_only=True):
    """`id` is also the Neutron network's; `neutron_subnet_id` is only Neutron's.

    `vpc_id` is empty while no router has the network, `cidr` while it has no subnet, in Neutron's words.
    """

    neutron_subnet_id: str
    vpc_id: str
    cidr: str
    gateway_ip: str
    dhcp_enable: bool = False
    dns_list: Sequence[str] = ()
    availability_zone: str


class SecurityGroupRule(msgspec.Struct, frozen=True, kw_only=True):
    """Who may connect. `ports` are numbers and ranges such as `22,80-90`; empty, as `protocol` None, is any.

    Without `remote_ip_prefix` and `remote_group_id` it is about everybody. Of the rules that a connection meets that of
    the lowest `priority` counts, and of those of one priority first what they deny.
    """

    id: str
    project_id: str
    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None = None
    ports: str = ""
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    action: str = "allow"
    priority: int = 1
    description: str = ""
    created_at: dt.datetime = _ALWAYS
    updated_at: dt.datetime = _ALWAYS


class SecurityGroup(Made, frozen=True, kw_only=True):
    enterprise_project_id: str = "0"
    rules: Sequence[SecurityGroupRule] = ()


@dataclass(frozen=True, slots=True)
class DefaultNetwork:
    """What a project always has; the security group with the rules that it always has."""

    vpc: Vpc
    subnet: Subnet
    security_group: SecurityGroup


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """An address of the public pool, as offered to a project."""

    id: str
    project_id: str
    address: IPv4Address


def default_network(project_id: str, settings: Settings) -> DefaultNetwork:
    """Its range is the pool of private addresses. The ids stay as they were when it had other names."""
    cidr = settings.private_network
    vpc = Vpc(
        id=stable_id(project_id, "vpc default-vpc"),
        project_id=project_id,
        name=VPC_NAME,
        cidr=str(cidr),
        is_default=True,
    )
    subnet = Subnet(
        id=stable_id(project_id, "subnet default-subnet"),
        neutron_subnet_id=stable_id(project_id, "neutron subnet default-subnet"),
        project_id=project_id,
        vpc_id=vpc.id,
        name=SUBNET_NAME,
        cidr=str(cidr),
        gateway_ip=str(gateway_of(cidr)),
        availability_zone=settings.availability_zones[0],
        is_default=True,
    )
    return DefaultNetwork(vpc, subnet, _default_security_group(project_id))


def _default_security_group(project_id: str) -> SecurityGroup:
    """It lets everybody in: the cloud's lets in only its own members, which clients of a service here never are."""
    group_id = stable_id(project_id, f"security group {SECURITY_GROUP_NAME}")
    rules = tuple(
        SecurityGroupRule(
            id=stable_id(project_id, f"rule {direction}"),
            project_id=project_id,
            security_group_id=group_id,
            direction=direction,
            ethertype="IPv4",
        )
        for direction in ("ingress", "egress")
    )
    return SecurityGroup(
        id=group_id,
        project_id=project_id,
        name=SECURITY_GROUP_NAME,
        description="The default security group: it lets everybody in.",
        rules=rules,
        is_default=True,
    )


def first_rules(group: SecurityGroup) -> tuple[SecurityGroupRule, ...]:
    """What a new security group lets through, as in the cloud: what goes out, and in what comes from members."""
    return tuple(
        SecurityGroupRule(
            id=new_network_id(),
            project_id=group.project_id,
            security_group_id=group.id,
            direction=direction,
            ethertype=ethertype,
            remote_group_id=group.id if direction == "ingress" else None,
            priority=100,
        )
        for direction in ("egress", "ingress")
        for ethertype in ("IPv4", "IPv6")
    )


def gateway_of(cidr: IPv4Network) -> IPv4Address:
    return next(iter(cidr.hosts()))


def public_addresses(project_id: str, settings: Settings) -> tuple[PublicAddress, ...]:
    """The first addresses of the pool."""
    hosts = itertools.islice(settings.public_network.hosts(), PUBLIC_ADDRESSES_OFFERED)
    return tuple(PublicAddress(stable_id(project_id, f"eip {host}"), project_id, host) for host in hosts)


def new_network_id() -> str:
    """Of a VPC, a subnet, a security group or a rule: a UUID, as the cloud's are."""
    return str(uuid.uuid4())


def stable_id(project_id: str, name: str) -> str:
    """The same id for the same project and name, on every host and after every restart."""
    return str(uuid.uuid5(_NAMESPACE, f"{project_id} {name}"))
