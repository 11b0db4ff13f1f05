"""What callers may say of their networks."""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest

from openrds.domain import network_rules as rules
from openrds.domain.errors import ErrorCode, Refusal

POOL = IPv4Network("127.64.0.0/16")


@pytest.mark.parametrize("text", ["", "10.0.0.0/8", "172.16.0.0/12", "192.168.9.0/28", "127.64.3.0/24"])
def test_ranges_of_vpcs(text: str) -> None:
    assert rules.check_vpc_cidr(text, POOL) == text


def subnet(text: str, vpc: str = "192.168.0.0/16", *others: str) -> str:
    return str(rules.check_subnet_cidr(text, vpc, POOL, others))


def test_ranges_of_subnets() -> None:
    assert subnet("192.168.1.0/24") == "192.168.1.0/24"
    assert subnet("192.168.0.0/16") == "192.168.0.0/16"
    assert subnet("10.1.0.0/24", "") == "10.1.0.0/24"
    assert subnet("192.168.1.0/24", "192.168.0.0/16", "192.168.0.0/24", "192.168.2.0/24")


def test_gateways() -> None:
    cidr = IPv4Network("192.168.1.0/24")
    assert rules.check_gateway(None, cidr) == "192.168.1.1"
    assert rules.check_gateway("192.168.1.254", cidr) == "192.168.1.254"


def test_rules_of_security_groups() -> None:
    assert [rules.check_direction(text) for text in ("ingress", "EGRESS")] == ["ingress", "egress"]
    assert [rules.check_ethertype(text) for text in (None, "", "ipv6", "IPv4")] == [
        *("IPv4", "IPv4", "IPv6", "IPv4")
    ]
    assert [rules.check_protocol(text) for text in (None, "", "any", "TCP", "6", "255")] == [
        *(None, None, None, "tcp", "6", "255")
    ]
    assert rules.check_ports("22,80-90,65535", "tcp") == "22,80-90,65535"
    assert rules.ports_of("22,80-90") == [range(22, 23), range(80, 91)]
    assert rules.ports_of("") == []
    assert rules.check_remote_prefix("10.0.0.7", "IPv4") == "10.0.0.7"
    assert rules.check_remote_prefix("::/0", "IPv6") == "::/0"
    assert rules.check_remote_prefix("", "IPv4") is None
    assert [rules.check_priority(number) for number in (None, 0, 1, 100)] == [1, 1, 1, 100]
    assert [rules.check_action(text) for text in (None, "deny")] == ["allow", "deny"]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no range": (lambda: rules.check_vpc_cidr("10.0.0", POOL), "range of IPv4"),
    "host bits": (lambda: rules.check_vpc_cidr("10.0.0.1/24", POOL), "begins with its first"),
    "public": (lambda: rules.check_vpc_cidr("8.8.8.0/24", POOL), "within one of"),
    "wider than private": (lambda: rules.check_vpc_cidr("10.0.0.0/7", POOL), "within one of"),
    "another loopback": (lambda: rules.check_vpc_cidr("127.65.0.0/16", POOL), "within one of"),
    "too small": (lambda: rules.check_vpc_cidr("10.0.0.0/29", POOL), "smaller than a /28"),
    "digits of another script": (lambda: rules.check_vpc_cidr("\u0661\u0660.0.0.0/8", POOL), "range of IPv4"),
    "no subnet range": (lambda: subnet(""), "required"),
    "outside the VPC": (lambda: subnet("10.0.0.0/24"), "that of its VPC, 192.168.0.0/16"),
    "overlapping": (lambda: subnet("192.168.1.0/24", "", "192.168.0.0/16"), "overlaps"),
    "gateway elsewhere": (
        lambda: rules.check_gateway("10.0.0.1", IPv4Network("192.168.1.0/24")),
        "gateway_ip must be an address of",
    ),
    "gateway is the network": (
        lambda: rules.check_gateway("192.168.1.0", IPv4Network("192.168.1.0/24")),
        "gateway_ip must be an address of",
    ),
    "no name server": (lambda: rules.check_name_servers(["dns"]), "IPv4 address"),
    "name servers": (lambda: rules.check_name_servers(["10.0.0.1"] * 6), "5 name servers"),
    "no name": (lambda: rules.check_network_name(""), "1 to 64"),
    "long name": (lambda: rules.check_network_name("n" * 65), "1 to 64"),
    "name of control": (lambda: rules.check_network_name("a\nb"), "1 to 64"),
    "long description": (lambda: rules.check_network_description("n" * 256), "255"),
    "marked description": (lambda: rules.check_network_description("<b>"), "255"),
    "direction": (lambda: rules.check_direction("both"), "direction must be one of"),
    "ethertype": (lambda: rules.check_ethertype("IPX"), "ethertype must be one of"),
    "protocol": (lambda: rules.check_protocol("tls"), "protocol must be one of"),
    "protocol number": (lambda: rules.check_protocol("256"), "protocol must be one of"),
    "port 0": (lambda: rules.check_ports("0", "tcp"), "1 to 65535"),
    "port 65536": (lambda: rules.check_ports("65536", "tcp"), "1 to 65535"),
    "range backwards": (lambda: rules.check_ports("90-80", "tcp"), "1 to 65535"),
    "half a range": (lambda: rules.check_ports("80-", "tcp"), "1 to 65535"),
    "ports of any": (lambda: rules.check_ports("80", None), "tcp and udp"),
    "many ports": (lambda: rules.check_ports(",".join(["80"] * 21), "tcp"), "20 ports"),
    "prefix": (lambda: rules.check_remote_prefix("everybody", "IPv4"), "IPv4 addresses"),
    "prefix of the other": (lambda: rules.check_remote_prefix("::/0", "IPv4"), "IPv4 addresses"),
    "action": (lambda: rules.check_action("ask"), "action must be one of"),
    "priority": (lambda: rules.check_priority(101), "1 to 100"),
    "negative priority": (lambda: rules.check_priority(-1), "1 to 100"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said(case: str) -> None:
    check, said = REFUSED[case]
    with pytest.raises(Refusal, match=said) as refused:
        check()
    assert refused.value.error is ErrorCode.PARAMETER
