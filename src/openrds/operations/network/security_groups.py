"""Make, change and delete a security group and its rules. Done when it is answered."""

from typing import Any

import msgspec

from openrds.domain import network_rules as rules
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network import SecurityGroup, SecurityGroupRule, first_rules, new_network_id
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.networks import default_of
from openrds.operations.intake.quotas import check_networks
from openrds.operations.network.unused import check_unused
from openrds.store.networks import rule_of, security_group_of
from openrds.store.queries import Queries

_sql = Queries("networks")


class NewRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as a caller asks for it; what is left out is any."""

    security_group_id: str
    direction: str
    ethertype: str | None = None
    protocol: str | None = None
    ports: str | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    action: str | None = None
    priority: int | None = None
    description: str | None = None


def create(
    intake: Intake, name: str, *, description: str = "", enterprise_project_id: str = "0"
) -> SecurityGroup:
    """It has the rules that new ones have in the cloud."""
    row = {
        "id": new_network_id(),
        "project_id": intake.project_id,
        "name": rules.check_network_name(name),
        "description": rules.check_network_description(description),
        "enterprise_project_id": enterprise_project_id,
    }
    check_networks(intake.connection, intake.project_id, intake.settings, "security_groups")
    (made,) = intake.connection.execute(_sql.insert_security_group, row).fetchall()
    group = security_group_of(made)
    first = first_rules(group)
    check_networks(intake.connection, intake.project_id, intake.settings, "security_group_rules", len(first))
    return security_group_of(made, [_insert(intake, rule) for rule in first])


def change(intake: Intake, group_id: str, *, name: str | None, description: str | None) -> SecurityGroup:
    """What is None stays."""
    found = _lock(intake, group_id)
    row = {
        "id": found.id,
        "name": found.name if name is None else rules.check_network_name(name),
        "description": found.description
        if description is None
        else rules.check_network_description(description),
    }
    (changed,) = intake.connection.execute(_sql.set_security_group, row).fetchall()
    key = {"id": found.id, "project_id": intake.project_id}
    of_group = intake.connection.execute(_sql.rules_of_security_group, key).fetchall()
    return security_group_of(changed, map(rule_of, of_group))


def delete(intake: Intake, group_id: str) -> None:
    """With its rules.

    Raises:
        Refusal: NETWORK_IN_USE, an instance is in it, or a rule of another group names it.
    """
    found = _lock(intake, group_id)
    check_unused(intake, _sql.users_of_security_group, found.id, "security group")
    intake.connection.execute(_sql.delete_security_group, {"id": found.id})


def create_rule(intake: Intake, new: NewRule) -> SecurityGroupRule:
    """Also of the default group, which lets everybody in all the same."""
    if new.remote_ip_prefix and new.remote_group_id:
        raise rules.refuse("remote_ip_prefix and remote_group_id cannot both be said of a rule.")
    ethertype, protocol = rules.check_ethertype(new.ethertype), rules.check_protocol(new.protocol)
    rule = SecurityGroupRule(
        id=new_network_id(),
        project_id=intake.project_id,
        security_group_id=_hold(intake, new.security_group_id),
        direction=rules.check_direction(new.direction),
        ethertype=ethertype,
        protocol=protocol,
        ports=rules.check_ports(new.ports, protocol),
        remote_ip_prefix=rules.check_remote_prefix(new.remote_ip_prefix, ethertype),
        remote_group_id=_hold(intake, new.remote_group_id) if new.remote_group_id else None,
        action=rules.check_action(new.action),
        priority=rules.check_priority(new.priority),
        description=rules.check_network_description(new.description or ""),
    )
    check_networks(intake.connection, intake.project_id, intake.settings, "security_group_rules")
    return _insert(intake, rule)


def delete_rule(intake: Intake, rule_id: str) -> None:
    """
    Raises:
        Refusal: NETWORK_NOT_FOUND; NETWORK_IN_USE, the default group always has it.
    """
    if any(rule.id == rule_id for rule in default_of(intake).security_group.rules):
        raise Refusal(ErrorCode.NETWORK_IN_USE, "The default security group always has this rule.")
    key = {"id": rule_id, "project_id": intake.project_id}
    if intake.connection.execute(_sql.delete_security_group_rule, key).fetchone() is None:
        raise Refusal(ErrorCode.NETWORK_NOT_FOUND, f"There is no security group rule {rule_id}.")


def _insert(intake: Intake, rule: SecurityGroupRule) -> SecurityGroupRule:
    row: dict[str, Any] = msgspec.structs.asdict(rule)
    (made,) = intake.connection.execute(_sql.insert_security_group_rule, row).fetchall()
    return rule_of(made)


def _hold(intake: Intake, group_id: str) -> str:
    """The id of a group of the project, which is not deleted meanwhile."""
    key = {"id": group_id, "project_id": intake.project_id}
    is_default = group_id == default_of(intake).security_group.id
    if not is_default and intake.connection.execute(_sql.hold_security_group, key).fetchone() is None:
        raise Refusal(ErrorCode.NETWORK_NOT_FOUND, f"There is no security group {group_id}.")
    return group_id


def _lock(intake: Intake, group_id: str) -> SecurityGroup:
    """
    Raises:
        Refusal: NETWORK_NOT_FOUND; NETWORK_IN_USE, it is the default one.
    """
    if group_id == default_of(intake).security_group.id:
        raise Refusal(
            ErrorCode.NETWORK_IN_USE, "The default security group always exists, and stays as it is."
        )
    key = {"id": group_id, "project_id": intake.project_id}
    row = intake.connection.execute(_sql.lock_security_group, key).fetchone()
    if row is None:
        raise Refusal(ErrorCode.NETWORK_NOT_FOUND, f"There is no security group {group_id}.")
    return security_group_of(row)
