"""What the rules of a security group mean for those who come to one port."""

from typing import Any

import pytest

from openrds.domain.filtering import Verdict, verdicts
from openrds.domain.network import SecurityGroupRule

MEMBERS = {"mates": ["127.64.0.9", "127.64.0.2"]}


def rule(id_: str = "r", **changes: Any) -> SecurityGroupRule:
    fields: dict[str, Any] = {
        "id": id_,
        "project_id": "p",
        "security_group_id": "g",
        "direction": "ingress",
        "ethertype": "IPv4",
    }
    return SecurityGroupRule(**{**fields, **changes})


def lets_in(*sources: str) -> tuple[Verdict, ...]:
    return tuple(Verdict(source, lets_in=True) for source in sources)


@pytest.mark.parametrize(
    ("changes", "meant"),
    [
        ({}, lets_in("0.0.0.0/0")),
        ({"remote_ip_prefix": "10.1.2.3/8"}, lets_in("10.0.0.0/8")),
        ({"remote_ip_prefix": "10.1.2.3"}, lets_in("10.1.2.3/32")),
        ({"remote_group_id": "mates"}, lets_in("127.64.0.2/32", "127.64.0.9/32")),
        ({"remote_group_id": "nobody"}, ()),
        ({"protocol": "tcp", "ports": "80,5000-5500"}, lets_in("0.0.0.0/0")),
        ({"protocol": "6"}, lets_in("0.0.0.0/0")),
        ({"protocol": "tcp", "ports": "80,5433-5500"}, ()),
        ({"protocol": "udp"}, ()),
        ({"direction": "egress"}, ()),
        ({"ethertype": "IPv6"}, ()),
        ({"action": "deny"}, (Verdict("0.0.0.0/0", lets_in=False),)),
    ],
)
def test_what_a_rule_says_of_port_5432(changes: dict[str, Any], meant: tuple[Verdict, ...]) -> None:
    assert verdicts([rule(**changes)], 5432, MEMBERS) == meant


def test_the_lowest_priority_counts_and_of_one_what_is_denied() -> None:
    rules = [
        rule("a", priority=5, remote_ip_prefix="10.0.0.0/8"),
        rule("b", priority=5, remote_ip_prefix="10.1.0.0/16", action="deny"),
        rule("c", priority=1, remote_ip_prefix="10.1.1.0/24"),
        rule("d", priority=9, remote_ip_prefix="10.1.1.0/24"),
    ]
    assert verdicts(rules, 5432, {}) == (
        Verdict("10.1.1.0/24", lets_in=True),
        Verdict("10.1.0.0/16", lets_in=False),
        Verdict("10.0.0.0/8", lets_in=True),
    )
    assert verdicts([], 5432, {}) == ()
