"""Networks, subnets, routers and ports in the words of Neutron (v2.0). Source: contract, clients.md."""

from typing import Any

import msgspec

from openrds.api.cloud.network_reads import time_of
from openrds.domain.lengths import Several, Text
from openrds.domain.network import Subnet, Vpc, stable_id
from openrds.domain.network_rules import cidr_in


class Network(msgspec.Struct, kw_only=True):
    id: str
    name: str
    description: str
    tenant_id: str
    project_id: str
    subnets: list[str]
    availability_zones: list[str]
    created_at: str
    updated_at: str
    status: str = "ACTIVE"
    admin_state_up: bool = True
    shared: bool = False
    external: bool = msgspec.field(default=False, name="router:external")


class NetworkAnswer(msgspec.Struct):
    network: Network


class NetworksAnswer(msgspec.Struct):
    networks: list[Network]


class AllocationPool(msgspec.Struct):
    start: str
    end: str


class NeutronSubnet(msgspec.Struct, kw_only=True):
    id: str
    name: str
    description: str
    tenant_id: str
    project_id: str
    network_id: str
    cidr: str
    gateway_ip: str
    allocation_pools: list[AllocationPool]
    enable_dhcp: bool
    dns_nameservers: list[str]
    created_at: str
    updated_at: str
    ip_version: int = 4
    host_routes: list[str] = []


class NeutronSubnetAnswer(msgspec.Struct):
    subnet: NeutronSubnet


class NeutronSubnetsAnswer(msgspec.Struct):
    subnets: list[NeutronSubnet]


class GatewayInfo(msgspec.Struct):
    enable_snat: bool = False


class Router(msgspec.Struct, kw_only=True):
    id: str
    name: str
    description: str
    tenant_id: str
    project_id: str
    created_at: str
    updated_at: str
    status: str = "ACTIVE"
    admin_state_up: bool = True
    external_gateway_info: GatewayInfo = msgspec.field(default_factory=GatewayInfo)
    routes: list[str] = []


class RouterAnswer(msgspec.Struct):
    router: Router


class RoutersAnswer(msgspec.Struct):
    routers: list[Router]


class FixedIp(msgspec.Struct):
    subnet_id: str
    ip_address: str


class Port(msgspec.Struct, kw_only=True):
    """Where a router has a subnet: there are no other ports."""

    id: str
    network_id: str
    device_id: str
    fixed_ips: list[FixedIp]
    tenant_id: str
    project_id: str
    name: str = ""
    device_owner: str = "network:router_interface"
    status: str = "ACTIVE"
    admin_state_up: bool = True
    security_groups: list[str] = []


class PortAnswer(msgspec.Struct):
    port: Port


class PortsAnswer(msgspec.Struct):
    ports: list[Port]


class RouterInterface(msgspec.Struct, kw_only=True):
    """What of a subnet a router has, or had."""

    id: str
    tenant_id: str
    project_id: str
    subnet_id: str
    subnet_ids: list[str]
    port_id: str
    network_id: str


class Named(msgspec.Struct):
    """A new network or router."""

    name: Text
    description: Text | None = None


class CreateNetwork(msgspec.Struct):
    network: Named


class CreateRouter(msgspec.Struct):
    router: Named


class Renaming(msgspec.Struct):
    name: Text | None = None
    description: Text | None = None


class ChangeNetwork(msgspec.Struct):
    network: Renaming


class ChangeRouter(msgspec.Struct):
    router: Renaming


class NewSubnet(msgspec.Struct):
    network_id: Text
    cidr: Text
    name: Text = ""
    ip_version: int = 4
    gateway_ip: Text | None = None
    enable_dhcp: bool | None = None
    dns_nameservers: Several[Text] | None = None


class CreateSubnet(msgspec.Struct):
    subnet: NewSubnet


class SubnetChange(msgspec.Struct):
    name: Text | None = None
    description: Text | None = None
    enable_dhcp: bool | None = None
    dns_nameservers: Several[Text] | None = None


class ChangeSubnet(msgspec.Struct):
    subnet: SubnetChange


class InterfaceRef(msgspec.Struct):
    """Which subnet a router is to have: by its id, or that of its port."""

    subnet_id: Text | None = None
    port_id: Text | None = None


def network_body(subnet: Subnet) -> Network:
    return Network(
        id=subnet.id,
        **_common(subnet),
        subnets=[subnet.neutron_subnet_id] if subnet.cidr else [],
        availability_zones=[subnet.availability_zone],
    )


def subnet_body(subnet: Subnet) -> NeutronSubnet:
    """Of one that has addresses."""
    cidr = cidr_in("cidr", subnet.cidr)
    return NeutronSubnet(
        id=subnet.neutron_subnet_id,
        **_common(subnet),
        network_id=subnet.id,
        cidr=subnet.cidr,
        gateway_ip=subnet.gateway_ip,
        allocation_pools=[AllocationPool(str(cidr.network_address + 2), str(cidr.broadcast_address - 1))],
        enable_dhcp=subnet.dhcp_enable,
        dns_nameservers=list(subnet.dns_list),
    )


def router_body(vpc: Vpc) -> Router:
    return Router(id=vpc.id, **_common(vpc))


def port_body(subnet: Subnet) -> Port:
    """Of a subnet that a router has."""
    return Port(
        id=port_id_of(subnet),
        network_id=subnet.id,
        device_id=subnet.vpc_id,
        fixed_ips=[FixedIp(subnet.neutron_subnet_id, subnet.gateway_ip)],
        tenant_id=subnet.project_id,
        project_id=subnet.project_id,
    )


def interface_body(subnet: Subnet, router_id: str) -> RouterInterface:
    return RouterInterface(
        id=router_id,
        tenant_id=subnet.project_id,
        project_id=subnet.project_id,
        subnet_id=subnet.neutron_subnet_id,
        subnet_ids=[subnet.neutron_subnet_id],
        port_id=port_id_of(subnet),
        network_id=subnet.id,
    )


def port_id_of(subnet: Subnet) -> str:
    return stable_id(subnet.project_id, f"port {subnet.neutron_subnet_id}")


def _common(made: Vpc | Subnet) -> dict[str, Any]:
    return {
        "name": made.name,
        "description": made.description,
        "tenant_id": made.project_id,
        "project_id": made.project_id,
        "created_at": time_of(made.created_at),
        "updated_at": time_of(made.updated_at),
    }
