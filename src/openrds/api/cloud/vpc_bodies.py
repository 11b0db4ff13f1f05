"""VPCs and subnets in the words of VPC v1 and v3. Source: contract, clients.md."""

from collections.abc import Sequence

import msgspec

from openrds.api.cloud.network_reads import time_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import ForeignId, Several, Text
from openrds.domain.network import Subnet, Vpc


class PageInfo(msgspec.Struct):
    """`next_marker` is absent on the last page."""

    current_count: int
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


class VpcBody(msgspec.Struct, kw_only=True):
    id: str
    name: str
    cidr: str
    tenant_id: str
    project_id: str
    description: str
    enterprise_project_id: str
    created_at: str
    updated_at: str
    status: str
    routes: list[str] = []
    extend_cidrs: list[str] = []
    tags: list[str] = []
    enable_shared_snat: bool = False


class VpcAnswer(msgspec.Struct):
    vpc: VpcBody


class VpcsAnswer(msgspec.Struct):
    vpcs: list[VpcBody]


class VpcAnswerV3(msgspec.Struct):
    vpc: VpcBody
    request_id: str


class PagedVpcsAnswer(msgspec.Struct):
    vpcs: list[VpcBody]
    page_info: PageInfo
    request_id: str


class Tag(msgspec.Struct):
    key: Text
    value: Text = ""


#: In v1 a tag of a new VPC is a text, `key*value`.
Tags = Several[Text | Tag]


class NewVpc(msgspec.Struct):
    name: Text = ""
    cidr: Text = ""
    description: Text = ""
    enterprise_project_id: ForeignId = "0"
    tags: Tags | None = None
    extend_cidrs: Several[Text] | None = None


class CreateVpc(msgspec.Struct):
    vpc: NewVpc


class VpcChange(msgspec.Struct):
    name: Text | None = None
    description: Text | None = None
    cidr: Text | None = None


class ChangeVpc(msgspec.Struct):
    vpc: VpcChange


class SubnetBody(msgspec.Struct, kw_only=True):
    id: str
    name: str
    cidr: str
    gateway_ip: str
    vpc_id: str
    availability_zone: str
    neutron_network_id: str
    neutron_subnet_id: str
    tenant_id: str
    description: str
    created_at: str
    updated_at: str
    dhcp_enable: bool
    primary_dns: str
    secondary_dns: str
    dns_list: list[str] = msgspec.field(name="dnsList")
    status: str = "ACTIVE"
    ipv6_enable: bool = False
    extra_dhcp_opts: list[str] = []
    tags: list[str] = []


class SubnetAnswer(msgspec.Struct):
    subnet: SubnetBody


class SubnetsAnswer(msgspec.Struct):
    subnets: list[SubnetBody]


class DhcpOption(msgspec.Struct):
    opt_name: Text
    opt_value: Text | None = None


class SubnetFields(msgspec.Struct, kw_only=True):
    """What may be said of a subnet at any time."""

    name: Text | None = None
    description: Text | None = None
    dhcp_enable: bool | None = None
    primary_dns: Text | None = None
    secondary_dns: Text | None = None
    dns_list: Several[Text] | None = msgspec.field(default=None, name="dnsList")
    ipv6_enable: bool | None = None
    extra_dhcp_opts: Several[DhcpOption] | None = None

    def name_servers(self) -> list[str] | None:
        """The list counts, where there is one; None where none of the fields is given."""
        if self.dns_list:
            return self.dns_list
        pair = (self.primary_dns, self.secondary_dns)
        return [address for address in pair if address] if any(pair) else self.dns_list

    def check_offered(self) -> None:
        """
        Raises:
            Refusal: PARAMETER.
        """
        options = [one.opt_name for one in self.extra_dhcp_opts or [] if one.opt_value]
        if self.ipv6_enable or options:
            what = "ipv6_enable" if self.ipv6_enable else f"extra_dhcp_opts ({', '.join(options)})"
            raise Refusal(ErrorCode.PARAMETER, f"{what} is not offered by this openrds; leave it out.")


class NewSubnet(SubnetFields, kw_only=True):
    name: Text
    cidr: Text
    vpc_id: Text
    gateway_ip: Text | None = None
    availability_zone: Text | None = None
    tags: Tags | None = None


class CreateSubnet(msgspec.Struct):
    subnet: NewSubnet


class ChangeSubnet(msgspec.Struct):
    subnet: SubnetFields


class TagsAnswer(msgspec.Struct):
    tags: list[Tag] = []


def check_no_tags(tags: Sequence[object] | None) -> None:
    """Only instances have tags here.

    Raises:
        Refusal: PARAMETER.
    """
    if tags:
        raise Refusal(
            ErrorCode.PARAMETER, "tags of networks are not offered by this openrds; leave them out."
        )


def check_no_more_ranges(extend_cidrs: Sequence[str] | None) -> None:
    """
    Raises:
        Refusal: PARAMETER.
    """
    if extend_cidrs:
        raise Refusal(ErrorCode.PARAMETER, "extend_cidrs is not offered by this openrds; leave it out.")


def vpc_body(vpc: Vpc, *, status: str = "OK") -> VpcBody:
    """`status` is OK in v1, and ACTIVE in v3."""
    return VpcBody(
        id=vpc.id,
        name=vpc.name,
        cidr=vpc.cidr,
        tenant_id=vpc.project_id,
        project_id=vpc.project_id,
        description=vpc.description,
        enterprise_project_id=vpc.enterprise_project_id,
        created_at=time_of(vpc.created_at),
        updated_at=time_of(vpc.updated_at),
        status=status,
    )


def subnet_body(subnet: Subnet) -> SubnetBody:
    first, second, *_ = *subnet.dns_list, "", ""
    return SubnetBody(
        id=subnet.id,
        name=subnet.name,
        cidr=subnet.cidr,
        gateway_ip=subnet.gateway_ip,
        vpc_id=subnet.vpc_id,
        availability_zone=subnet.availability_zone,
        neutron_network_id=subnet.id,
        neutron_subnet_id=subnet.neutron_subnet_id,
        tenant_id=subnet.project_id,
        description=subnet.description,
        created_at=time_of(subnet.created_at),
        updated_at=time_of(subnet.updated_at),
        dhcp_enable=subnet.dhcp_enable,
        primary_dns=first,
        secondary_dns=second,
        dns_list=list(subnet.dns_list),
    )
