"""What the rules of a security group mean for those who come to one port."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from openrds.domain.network import SecurityGroupRule
from openrds.domain.network_rules import ports_of

#: TCP by its name and by its number.
_TCP = ("tcp", "6")


@dataclass(frozen=True, order=True)
class Verdict:
    """Whether those from a range of addresses are let in."""

    source: str
    lets_in: bool


def verdicts(
    rules: Iterable[SecurityGroupRule], port: int, members: Mapping[str, Sequence[str]]
) -> tuple[Verdict, ...]:
    """In the order in which they count; whom none of them is about is not let in.

    `members` are the addresses of the instances in each group that a rule may name.
    """
    ours = [rule for rule in rules if _is_about(rule, port)]
    ordered = sorted(ours, key=lambda rule: (rule.priority, rule.action != "deny", rule.id))
    found = (
        Verdict(source, rule.action == "allow") for rule in ordered for source in _sources(rule, members)
    )
    return tuple(dict.fromkeys(found))


def _is_about(rule: SecurityGroupRule, port: int) -> bool:
    ports = ports_of(rule.ports)
    return (
        (rule.direction, rule.ethertype) == ("ingress", "IPv4")
        and rule.protocol in (None, *_TCP)
        and (not ports or any(port in one for one in ports))
    )


def _sources(rule: SecurityGroupRule, members: Mapping[str, Sequence[str]]) -> list[str]:
    if rule.remote_group_id:
        return sorted(f"{address}/32" for address in members.get(rule.remote_group_id, ()))
    return [str(IPv4Network(rule.remote_ip_prefix or "0.0.0.0/0", strict=False))]
