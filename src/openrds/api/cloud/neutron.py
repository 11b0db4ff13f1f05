"""Networks and their subnets, by Neutron v2.0. Source: contract, clients.md.

Neutron makes what VPC v1 calls a subnet of a network, its subnet, and the router, the VPC, that has it.
"""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.cloud import neutron_bodies as bodies
from openrds.api.cloud.lists import one, select
from openrds.api.cloud.network_reads import subnets_of
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode
from openrds.domain.network_rules import refuse
from openrds.operations.intake.intake import Intake
from openrds.operations.network import subnets

_OF_ONE = (ErrorCode.NETWORK_NOT_FOUND, ErrorCode.NETWORK_IN_USE)
_IPV4 = 4


async def _subnets(request: ApiRequest) -> list[bodies.NeutronSubnet]:
    return [bodies.subnet_body(subnet) for subnet in await subnets_of(request) if subnet.cidr]


async def _ports(request: ApiRequest) -> list[bodies.Port]:
    return [bodies.port_body(subnet) for subnet in await subnets_of(request) if subnet.vpc_id and subnet.cidr]


@get("/v2.0/networks", responses=refusals())
async def list_networks(request: ApiRequest) -> bodies.NetworksAnswer:
    found = [bodies.network_body(subnet) for subnet in await subnets_of(request)]
    return bodies.NetworksAnswer(select(found, request))


@get("/v2.0/networks/{network_id:str}", responses=refusals())
async def show_network(request: ApiRequest, network_id: FromPath[str]) -> bodies.NetworkAnswer:
    return bodies.NetworkAnswer(bodies.network_body(one(await subnets_of(request), network_id)))


@post("/v2.0/networks", status_code=201, responses=refusals(ErrorCode.QUOTA, body=True))
async def create_network(
    request: ApiRequest, data: JSONBody[bodies.CreateNetwork]
) -> Response[bodies.NetworkAnswer]:
    """A network that has no subnet yet, and is of no router."""

    def work(intake: Intake) -> bodies.NetworkAnswer:
        new = data.network
        made = subnets.create_network(intake, new.name, new.description or "")
        return bodies.NetworkAnswer(bodies.network_body(made))

    return await change(request, work, status=201)


@put("/v2.0/networks/{network_id:str}", responses=refusals(*_OF_ONE, body=True))
async def change_network(
    request: ApiRequest, network_id: FromPath[str], data: JSONBody[bodies.ChangeNetwork]
) -> Response[bodies.NetworkAnswer]:
    def work(intake: Intake) -> bodies.NetworkAnswer:
        asked = data.network
        changed = subnets.change(intake, network_id, name=asked.name or None, description=asked.description)
        return bodies.NetworkAnswer(bodies.network_body(changed))

    return await change(request, work)


@delete("/v2.0/networks/{network_id:str}", status_code=204, responses=refusals(*_OF_ONE))
async def delete_network(request: ApiRequest, network_id: FromPath[str]) -> Response[None]:
    """With its subnet."""
    return await change(request, lambda intake: subnets.delete(intake, network_id), status=204)


@get("/v2.0/subnets", responses=refusals())
async def list_neutron_subnets(request: ApiRequest) -> bodies.NeutronSubnetsAnswer:
    return bodies.NeutronSubnetsAnswer(select(await _subnets(request), request))


@get("/v2.0/subnets/{subnet_id:str}", responses=refusals())
async def show_neutron_subnet(request: ApiRequest, subnet_id: FromPath[str]) -> bodies.NeutronSubnetAnswer:
    return bodies.NeutronSubnetAnswer(one(await _subnets(request), subnet_id))


@post("/v2.0/subnets", status_code=201, responses=refusals(*_OF_ONE, body=True))
async def create_neutron_subnet(
    request: ApiRequest, data: JSONBody[bodies.CreateSubnet]
) -> Response[bodies.NeutronSubnetAnswer]:
    """The one subnet of a network."""

    def work(intake: Intake) -> bodies.NeutronSubnetAnswer:
        new = data.subnet
        if new.ip_version != _IPV4:
            raise refuse("ip_version must be 4.")
        addresses = subnets.AddressRange(
            cidr=new.cidr,
            gateway_ip=new.gateway_ip,
            dhcp_enable=new.enable_dhcp is not False,
            dns_list=new.dns_nameservers or (),
        )
        made = subnets.give_addresses(intake, new.network_id, addresses)
        return bodies.NeutronSubnetAnswer(bodies.subnet_body(made))

    return await change(request, work, status=201)


@put("/v2.0/subnets/{subnet_id:str}", responses=refusals(*_OF_ONE, body=True))
async def change_neutron_subnet(
    request: ApiRequest, subnet_id: FromPath[str], data: JSONBody[bodies.ChangeSubnet]
) -> Response[bodies.NeutronSubnetAnswer]:
    """Its name and description are those of its network."""

    def work(intake: Intake) -> bodies.NeutronSubnetAnswer:
        asked = data.subnet
        changed = subnets.change(
            intake,
            subnet_id,
            name=asked.name or None,
            description=asked.description,
            dhcp_enable=asked.enable_dhcp,
            dns_list=asked.dns_nameservers,
        )
        return bodies.NeutronSubnetAnswer(bodies.subnet_body(changed))

    return await change(request, work)


@delete("/v2.0/subnets/{subnet_id:str}", status_code=204, responses=refusals(*_OF_ONE))
async def delete_neutron_subnet(request: ApiRequest, subnet_id: FromPath[str]) -> Response[None]:
    """Not while a router has it; the network stays."""
    return await change(request, lambda intake: subnets.take_addresses(intake, subnet_id), status=204)


@get("/v2.0/ports", responses=refusals())
async def list_ports(request: ApiRequest) -> bodies.PortsAnswer:
    """Where routers have subnets: there are no others."""
    return bodies.PortsAnswer(select(await _ports(request), request))


@get("/v2.0/ports/{port_id:str}", responses=refusals())
async def show_port(request: ApiRequest, port_id: FromPath[str]) -> bodies.PortAnswer:
    return bodies.PortAnswer(one(await _ports(request), port_id))


HANDLERS = [
    list_networks,
    show_network,
    create_network,
    change_network,
    delete_network,
    list_neutron_subnets,
    show_neutron_subnet,
    create_neutron_subnet,
    change_neutron_subnet,
    delete_neutron_subnet,
    list_ports,
    show_port,
]
