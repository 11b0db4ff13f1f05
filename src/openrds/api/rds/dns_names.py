"""Private DNS names of instances. Source: reads.md 8, operations.md 16, SDK `create_dns_name` and its neighbours."""

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from openrds.api.changes import change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.dns_names import PRIVATE, check_dns_type, check_served, dns_name
from openrds.domain.errors import ErrorCode
from openrds.domain.instance_values import Instance
from openrds.operations.intake.intake import Intake
from openrds.operations.network import change_dns_name

_TAGS = ["Instances"]
#: What the contract's example calls one that can be looked up; there is no name without one, nor a status.
_NORMAL = "normal"


class DnsNameAnswer(msgspec.Struct):
    """`dns_name` and `status` are empty where the instance has no name."""

    instance_id: str
    dns_name: str
    dns_type: str
    ipv4_address: str
    status: str


class DnsNameIpv6Answer(msgspec.Struct):
    """Instances have no IPv6 address: that is empty."""

    instance_id: str
    dns_name: str
    dns_type: str
    ipv6_address: str
    status: str


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/create-dns",
    status_code=200,
    responses=refusals(ErrorCode.NOT_OFFERED, body=True, instance=True),
    tags=_TAGS,
)
async def create_name(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[change_dns_name.CreateDnsName],
) -> Response[JobIdAnswer]:
    """Give an instance a DNS name: its id, in the zone of the service."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(change_dns_name.submit_first(intake, instance_id, data)))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/modify-dns",
    responses=refusals(ErrorCode.NOT_OFFERED, body=True, instance=True),
    tags=_TAGS,
)
async def change_name(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[change_dns_name.ChangeDnsName],
) -> Response[JobIdAnswer]:
    """Give an instance another DNS name, of one's own choice."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(change_dns_name.submit(intake, instance_id, data)))

    return await change(request, work)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/dns",
    responses=refusals(ErrorCode.NOT_OFFERED, instance=True),
    tags=_TAGS,
)
async def show_name(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    dns_type: FromQuery[str] = PRIVATE,
) -> DnsNameAnswer:
    """The DNS name of an instance, and the address that it leads to."""
    instance, name = await _named(request, project_id, instance_id, dns_type)
    address = (instance.address or "") if name else ""
    return DnsNameAnswer(instance.id, name, PRIVATE, address, _NORMAL if name else "")


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/dns-ipv6",
    responses=refusals(ErrorCode.NOT_OFFERED, instance=True),
    tags=_TAGS,
)
async def show_name_for_ipv6(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    dns_type: FromQuery[str] = PRIVATE,
) -> DnsNameIpv6Answer:
    """The same for IPv6, in which no instance has an address."""
    instance, name = await _named(request, project_id, instance_id, dns_type)
    return DnsNameIpv6Answer(instance.id, name, PRIVATE, "", _NORMAL if name else "")


async def _named(
    request: ApiRequest, project_id: str, instance_id: str, dns_type: str
) -> tuple[Instance, str]:
    """An instance and its name, which is empty where it has none.

    Raises:
        Refusal: NOT_OFFERED, PARAMETER, or there is no such instance.
    """
    settings = service_of(request).settings
    instance = await find_instance(request, project_id, instance_id)
    check_served(settings)
    check_dns_type(dns_type)
    return instance, dns_name(instance.dns_label, settings) or ""


HANDLERS = [create_name, change_name, show_name, show_name_for_ipv6]
