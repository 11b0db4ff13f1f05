"""Security groups and their rules, in the words of VPC v1, v3 and Neutron at once. Source: contract, clients.md.

A rule has `multiport` for v3 and `port_range_min` and `port_range_max` for the others, which span all of its ranges.
"""

import msgspec

from openrds.api.cloud.network_reads import time_of
from openrds.api.cloud.vpc_bodies import PageInfo, Tags, check_no_tags
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import ForeignId, Text
from openrds.domain.network import SecurityGroup, SecurityGroupRule
from openrds.domain.network_rules import ports_of
from openrds.operations.network.security_groups import NewRule


class RuleBody(msgspec.Struct, kw_only=True):
    id: str
    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    multiport: str | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    action: str
    priority: int
    description: str
    tenant_id: str
    project_id: str
    created_at: str
    updated_at: str


class GroupBody(msgspec.Struct, kw_only=True):
    id: str
    name: str
    description: str
    enterprise_project_id: str
    tenant_id: str
    project_id: str
    created_at: str
    updated_at: str
    security_group_rules: list[RuleBody]
    tags: list[str] = []


class GroupAnswer(msgspec.Struct):
    security_group: GroupBody


class GroupsAnswer(msgspec.Struct):
    security_groups: list[GroupBody]


class GroupAnswerV3(msgspec.Struct):
    security_group: GroupBody
    request_id: str


class PagedGroupsAnswer(msgspec.Struct):
    security_groups: list[GroupBody]
    page_info: PageInfo
    request_id: str


class RuleAnswer(msgspec.Struct):
    security_group_rule: RuleBody


class RulesAnswer(msgspec.Struct):
    security_group_rules: list[RuleBody]


class RuleAnswerV3(msgspec.Struct):
    security_group_rule: RuleBody
    request_id: str


class PagedRulesAnswer(msgspec.Struct):
    security_group_rules: list[RuleBody]
    page_info: PageInfo
    request_id: str


class NewGroup(msgspec.Struct):
    """Of v1 and v3, and of Neutron, which knows no enterprise projects. A group is of no VPC here."""

    name: Text
    description: Text | None = None
    enterprise_project_id: ForeignId = "0"
    tags: Tags | None = None

    def check_offered(self) -> None:
        check_no_tags(self.tags)


class CreateGroup(msgspec.Struct):
    security_group: NewGroup


class GroupChange(msgspec.Struct):
    name: Text | None = None
    description: Text | None = None


class ChangeGroup(msgspec.Struct):
    security_group: GroupChange


class AskedRule(msgspec.Struct, kw_only=True):
    """A new rule in the words of any of the three."""

    security_group_id: Text
    direction: Text
    ethertype: Text | None = None
    protocol: Text | int | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    multiport: Text | None = None
    remote_ip_prefix: Text | None = None
    remote_group_id: Text | None = None
    remote_address_group_id: Text | None = None
    action: Text | None = None
    priority: int | None = None
    description: Text | None = None

    def meant(self) -> NewRule:
        """
        Raises:
            Refusal: PARAMETER, it has what is not offered here.
        """
        if self.remote_address_group_id:
            raise Refusal(
                ErrorCode.PARAMETER, "remote_address_group_id is not offered by this openrds; leave it out."
            )
        return NewRule(
            security_group_id=self.security_group_id,
            direction=self.direction,
            ethertype=self.ethertype,
            protocol=None if self.protocol is None else str(self.protocol),
            ports=self.multiport or self._port_range(),
            remote_ip_prefix=self.remote_ip_prefix,
            remote_group_id=self.remote_group_id,
            action=self.action,
            priority=self.priority,
            description=self.description,
        )

    def _port_range(self) -> str | None:
        """Clients leave ports out by None or by 0."""
        low, high = self.port_range_min or self.port_range_max, self.port_range_max or self.port_range_min
        return None if not low else f"{low}" if low == high else f"{low}-{high}"


class CreateRule(msgspec.Struct):
    security_group_rule: AskedRule


def rule_body(rule: SecurityGroupRule) -> RuleBody:
    ranges = ports_of(rule.ports)
    return RuleBody(
        id=rule.id,
        security_group_id=rule.security_group_id,
        direction=rule.direction,
        ethertype=rule.ethertype,
        protocol=rule.protocol,
        port_range_min=min((one.start for one in ranges), default=None),
        port_range_max=max((one.stop - 1 for one in ranges), default=None),
        multiport=rule.ports or None,
        remote_ip_prefix=rule.remote_ip_prefix,
        remote_group_id=rule.remote_group_id,
        action=rule.action,
        priority=rule.priority,
        description=rule.description,
        tenant_id=rule.project_id,
        project_id=rule.project_id,
        created_at=time_of(rule.created_at),
        updated_at=time_of(rule.updated_at),
    )


def group_body(group: SecurityGroup) -> GroupBody:
    return GroupBody(
        id=group.id,
        name=group.name,
        description=group.description,
        enterprise_project_id=group.enterprise_project_id,
        tenant_id=group.project_id,
        project_id=group.project_id,
        created_at=time_of(group.created_at),
        updated_at=time_of(group.updated_at),
        security_group_rules=[rule_body(rule) for rule in group.rules],
    )
