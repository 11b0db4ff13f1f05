"""The bodies of the network look-ups: one network in the words of Neutron (v2.0) and of VPC and EIP (v1, v3).

Only what clients read is told; the network cannot be changed. Source: contract, clients.md.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from openrds.domain.network import (
    SECURITY_GROUP_NAME,
    SUBNET_NAME,
    VPC_NAME,
    DefaultNetwork,
    PublicAddress,
    stable_id,
)


class NeutronNetwork(msgspec.Struct, kw_only=True):
    id: str
    name: str
    tenant_id: str
    project_id: str
    subnets: list[str]
    availability_zones: list[str]
    status: str = "ACTIVE"
    admin_state_up: bool = True
    shared: bool = False
    external: bool = msgspec.field(default=False, name="router:external")


class NeutronNetworkAnswer(msgspec.Struct):
    network: NeutronNetwork


class NeutronNetworksAnswer(msgspec.Struct):
    networks: list[NeutronNetwork]


class AddressRange(msgspec.Struct):
    start: str
    end: str


class NeutronSubnet(msgspec.Struct, kw_only=True):
    id: str
    name: str
    tenant_id: str
    project_id: str
    network_id: str
    cidr: str
    gateway_ip: str
    allocation_pools: list[AddressRange]
    ip_version: int = 4
    enable_dhcp: bool = False
    dns_nameservers: list[str] = []
    host_routes: list[str] = []


class NeutronSubnetAnswer(msgspec.Struct):
    subnet: NeutronSubnet


class NeutronSubnetsAnswer(msgspec.Struct):
    subnets: list[NeutronSubnet]


class GatewayInfo(msgspec.Struct):
    enable_snat: bool = False


class NeutronRouter(msgspec.Struct, kw_only=True):
    id: str
    name: str
    tenant_id: str
    project_id: str
    status: str = "ACTIVE"
    admin_state_up: bool = True
    external_gateway_info: GatewayInfo = msgspec.field(default_factory=GatewayInfo)
    routes: list[str] = []


class NeutronRouterAnswer(msgspec.Struct):
    router: NeutronRouter


class NeutronRoutersAnswer(msgspec.Struct):
    routers: list[NeutronRouter]


class SecurityGroupRule(msgspec.Struct, kw_only=True):
    """None of the ports and prefixes is restricted: an instance's own rules say who may connect."""

    id: str
    security_group_id: str
    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


class SecurityGroup(msgspec.Struct, kw_only=True):
    """In the words of Neutron and of VPC v3."""

    id: str
    name: str
    tenant_id: str
    project_id: str
    security_group_rules: list[SecurityGroupRule]
    description: str = "The default security group"
    enterprise_project_id: str = "0"


class SecurityGroupAnswer(msgspec.Struct):
    security_group: SecurityGroup


class SecurityGroupsAnswer(msgspec.Struct):
    security_groups: list[SecurityGroup]


class PageInfo(msgspec.Struct):
    """`next_marker` is absent on the last page."""

    current_count: int
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


class PagedSecurityGroupsAnswer(msgspec.Struct):
    security_groups: list[SecurityGroup]
    page_info: PageInfo
    request_id: str


class PortsAnswer(msgspec.Struct):
    """openrds has no Neutron ports."""

    ports: list[str] = []


class Vpc(msgspec.Struct, kw_only=True):
    id: str
    name: str
    cidr: str
    tenant_id: str
    status: str = "OK"
    description: str = ""
    routes: list[str] = []
    enable_shared_snat: bool = False
    enterprise_project_id: str = "0"


class VpcAnswer(msgspec.Struct):
    vpc: Vpc


class VpcsAnswer(msgspec.Struct):
    vpcs: list[Vpc]


class Subnet(msgspec.Struct, kw_only=True):
    id: str
    name: str
    cidr: str
    gateway_ip: str
    vpc_id: str
    availability_zone: str
    neutron_network_id: str
    neutron_subnet_id: str
    tenant_id: str
    status: str = "ACTIVE"
    description: str = ""
    dhcp_enable: bool = False
    primary_dns: str = ""
    secondary_dns: str = ""
    dns_list: list[str] = msgspec.field(default_factory=list, name="dnsList")


class SubnetAnswer(msgspec.Struct):
    subnet: Subnet


class SubnetsAnswer(msgspec.Struct):
    subnets: list[Subnet]


class PublicIp(msgspec.Struct, kw_only=True):
    """DOWN is the cloud's word for "not bound". A bound address is ACTIVE, and says to what."""

    id: str
    public_ip_address: str
    tenant_id: str
    bandwidth_id: str
    status: str = "DOWN"
    type: str = "5_bgp"
    ip_version: int = 4
    bandwidth_name: str = "default"
    bandwidth_size: int = 0
    bandwidth_share_type: str = "PER"
    enterprise_project_id: str = "0"
    private_ip_address: str | UnsetType = UNSET
    associate_instance_type: str | UnsetType = UNSET
    associate_instance_id: str | UnsetType = UNSET


class PublicIpAnswer(msgspec.Struct):
    publicip: PublicIp


class PublicIpsAnswer(msgspec.Struct):
    publicips: list[PublicIp]


def neutron_network(network: DefaultNetwork) -> NeutronNetwork:
    return NeutronNetwork(
        id=network.subnet_id,
        name=SUBNET_NAME,
        tenant_id=network.project_id,
        project_id=network.project_id,
        subnets=[network.neutron_subnet_id],
        availability_zones=list(network.availability_zones),
    )


def neutron_subnet(network: DefaultNetwork) -> NeutronSubnet:
    return NeutronSubnet(
        id=network.neutron_subnet_id,
        name=SUBNET_NAME,
        tenant_id=network.project_id,
        project_id=network.project_id,
        network_id=network.subnet_id,
        cidr=str(network.cidr),
        gateway_ip=str(network.gateway),
        allocation_pools=[AddressRange(str(network.gateway + 1), str(network.cidr.broadcast_address - 1))],
    )


def neutron_router(network: DefaultNetwork) -> NeutronRouter:
    return NeutronRouter(
        id=network.vpc_id, name=VPC_NAME, tenant_id=network.project_id, project_id=network.project_id
    )


def security_group(network: DefaultNetwork) -> SecurityGroup:
    rules = [
        SecurityGroupRule(
            id=stable_id(network.project_id, f"rule {direction}"),
            security_group_id=network.security_group_id,
            direction=direction,
        )
        for direction in ("ingress", "egress")
    ]
    return SecurityGroup(
        id=network.security_group_id,
        name=SECURITY_GROUP_NAME,
        tenant_id=network.project_id,
        project_id=network.project_id,
        security_group_rules=rules,
    )


def vpc(network: DefaultNetwork) -> Vpc:
    return Vpc(id=network.vpc_id, name=VPC_NAME, cidr=str(network.cidr), tenant_id=network.project_id)


def subnet(network: DefaultNetwork) -> Subnet:
    return Subnet(
        id=network.subnet_id,
        name=SUBNET_NAME,
        cidr=str(network.cidr),
        gateway_ip=str(network.gateway),
        vpc_id=network.vpc_id,
        availability_zone=network.availability_zones[0],
        neutron_network_id=network.subnet_id,
        neutron_subnet_id=network.neutron_subnet_id,
        tenant_id=network.project_id,
    )


def public_ip(address: PublicAddress, binding: Mapping[str, Any] | None) -> PublicIp:
    """`binding` has `instance_id` and `endpoint` of the instance that it is bound to."""
    bound: dict[str, Any] = {}
    if binding is not None:
        bound = {
            "status": "ACTIVE",
            "private_ip_address": binding["endpoint"],
            "associate_instance_type": "RDS",
            "associate_instance_id": binding["instance_id"],
        }
    return PublicIp(
        **bound,
        id=address.id,
        public_ip_address=str(address.address),
        tenant_id=address.project_id,
        bandwidth_id=stable_id(address.project_id, f"bandwidth {address.address}"),
    )
