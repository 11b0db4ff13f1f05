"""What projects made of their networks, as the store has it: here alone its rows become values."""

from collections.abc import Iterable, Sequence
from itertools import chain

from openrds.domain.network import SecurityGroup, SecurityGroupRule, Subnet, Vpc
from openrds.store.database import Row


def vpc_of(row: Row) -> Vpc:
    return Vpc(**row)


def subnet_of(row: Row) -> Subnet:
    return Subnet(**row)


def rule_of(row: Row) -> SecurityGroupRule:
    return SecurityGroupRule(**row)


def security_group_of(row: Row, rules: Iterable[SecurityGroupRule] = ()) -> SecurityGroup:
    """`rules` may be those of all groups."""
    return SecurityGroup(**row, rules=tuple(rule for rule in rules if rule.security_group_id == row["id"]))


def security_groups_of(
    default: SecurityGroup, groups: Iterable[Row], rules: Iterable[Row]
) -> list[SecurityGroup]:
    """All of a project, the default one first, each with its rules."""
    by_group: dict[str, list[SecurityGroupRule]] = {}
    for rule in map(rule_of, rules):
        by_group.setdefault(rule.security_group_id, []).append(rule)
    made = (SecurityGroup(**row, rules=tuple(by_group.get(row["id"], ()))) for row in groups)
    return [with_rules(default, by_group.get(default.id, ())), *made]


def with_rules(default: SecurityGroup, rules: Sequence[SecurityGroupRule]) -> SecurityGroup:
    """The default group with the rules that were added to those that it always has."""
    return SecurityGroup(
        **{name: getattr(default, name) for name in default.__struct_fields__ if name != "rules"},
        rules=tuple(chain(default.rules, rules)),
    )
