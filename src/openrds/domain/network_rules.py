"""What callers may say of their networks. Every check raises a Refusal with PARAMETER."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network import gateway_of
from openrds.domain.texts import number_in

#: Where a VPC may be, beside the service's own pool of addresses.
PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
#: The smallest range of a VPC or a subnet.
_LONGEST_PREFIX = 28
_MOST_NAME_SERVERS = 5
_NAME = re.compile(r"[^\x00-\x1f\x7f<>]{1,64}")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f<>]{0,255}")
_DIRECTIONS = ("ingress", "egress")
_ETHERTYPES = {"ipv4": "IPv4", "ipv6": "IPv6"}
_ACTIONS = ("allow", "deny")
_PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6")
_PRIORITIES = range(1, 101)
_PORT_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_PORTS = range(1, 65536)
_MOST_PORT_RANGES = 20


def refuse(message: str) -> Refusal:
    return Refusal(ErrorCode.PARAMETER, message)


def check_network_name(name: str) -> str:
    """Of a VPC, a subnet or a security group, whichever API names it."""
    if not _NAME.fullmatch(name):
        raise refuse("name must have 1 to 64 characters, none of them `<`, `>` or a control character.")
    return name


def check_network_description(description: str) -> str:
    if not _PRINTABLE.fullmatch(description):
        raise refuse(
            "description may have up to 255 characters, none of them `<`, `>` or a control character."
        )
    return description


def cidr_in(field: str, text: str) -> IPv4Network:
    """A range that is written as its first address and the length of its prefix."""
    try:
        return IPv4Network(text)
    except ValueError:
        raise refuse(
            f"{field} must be a range of IPv4 addresses that begins with its first, such as 192.168.0.0/16."
        ) from None


def check_vpc_cidr(text: str, own_pool: IPv4Network) -> str:
    """Empty leaves it open."""
    if text:
        cidr = cidr_in("cidr", text)
        places = (*PRIVATE, own_pool)
        if not any(cidr.subnet_of(place) for place in places) or cidr.prefixlen > _LONGEST_PREFIX:
            where = ", ".join(map(str, places))
            raise refuse(f"cidr must be within one of {where}, and not smaller than a /{_LONGEST_PREFIX}.")
    return text


def check_subnet_cidr(text: str, vpc_cidr: str, own_pool: IPv4Network, others: Iterable[str]) -> IPv4Network:
    """A subnet's range is a private one, within that of its VPC, and no other of the VPC's overlaps it."""
    if not text:
        raise refuse("cidr is required.")
    check_vpc_cidr(text, own_pool)
    cidr = IPv4Network(text)
    if vpc_cidr and not cidr.subnet_of(IPv4Network(vpc_cidr)):
        raise refuse(f"cidr must be within that of its VPC, {vpc_cidr}.")
    for other in others:
        if cidr.overlaps(IPv4Network(other)):
            raise refuse(f"cidr overlaps that of another subnet of the VPC, {other}.")
    return cidr


def check_gateway(text: str | None, cidr: IPv4Network) -> str:
    """The first address of the range where none is said."""
    if not text:
        return str(gateway_of(cidr))
    address = address_in("gateway_ip", text)
    if address not in cidr or address in (cidr.network_address, cidr.broadcast_address):
        raise refuse(f"gateway_ip must be an address of {cidr}.")
    return str(address)


def check_name_servers(addresses: Iterable[str]) -> list[str]:
    found = [str(address_in("the address of a name server", address)) for address in addresses]
    if len(found) > _MOST_NAME_SERVERS:
        raise refuse(f"A subnet may have {_MOST_NAME_SERVERS} name servers.")
    return found


def address_in(field: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise refuse(f"{field} must be an IPv4 address.") from None


def check_direction(text: str) -> str:
    return _one_of("direction", text, _DIRECTIONS)


def check_ethertype(text: str | None) -> str:
    return _ETHERTYPES[_one_of("ethertype", text or "ipv4", tuple(_ETHERTYPES))]


def check_protocol(text: str | None) -> str | None:
    """None is any."""
    if not text or text.lower() == "any":
        return None
    number = number_in(text)
    if text.lower() not in _PROTOCOLS and (number is None or number > 255):
        raise refuse(f"protocol must be one of {', '.join(_PROTOCOLS)}, any, or a number up to 255.")
    return text.lower()


def check_ports(text: str | None, protocol: str | None) -> str:
    """Ports and ranges of them, parted by commas; empty is any. Only TCP and UDP have ports."""
    if not text:
        return ""
    parts = text.split(",")
    if protocol not in ("tcp", "udp"):
        raise refuse("Ports can be named for the protocols tcp and udp.")
    if len(parts) > _MOST_PORT_RANGES:
        raise refuse(f"A rule may name {_MOST_PORT_RANGES} ports or ranges of them.")
    for part in parts:
        match = _PORT_RANGE.fullmatch(part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if low not in _PORTS or high not in _PORTS or low > high:
            raise refuse(
                "Ports are numbers from 1 to 65535, or ranges of them such as 80-90, parted by commas."
            )
    return text


def ports_of(text: str) -> list[range]:
    """The ranges of ports that a checked text names."""
    bounds = [part.partition("-") for part in text.split(",") if part]
    return [range(int(low), int(high or low) + 1) for low, _, high in bounds]


def check_remote_prefix(text: str | None, ethertype: str) -> str | None:
    """As it was written; None is everybody."""
    if not text:
        return None
    kind = IPv4Network if ethertype == "IPv4" else IPv6Network
    try:
        kind(text, strict=False)
    except ValueError:
        raise refuse(f"remote_ip_prefix must be a range of {ethertype} addresses.") from None
    return text


def check_action(text: str | None) -> str:
    return _one_of("action", text or "allow", _ACTIONS)


def check_priority(priority: int | None) -> int:
    """1, which counts first, where none is said."""
    if priority not in (None, 0) and priority not in _PRIORITIES:
        raise refuse("priority must be 1 to 100.")
    return priority or 1


def _one_of(field: str, text: str, values: tuple[str, ...]) -> str:
    if text.lower() not in values:
        raise refuse(f"{field} must be one of {', '.join(values)}.")
    return text.lower()
