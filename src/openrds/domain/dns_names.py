"""Private DNS names of instances: a label of its own for each, in the zone of the service."""

import re

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import is_instance_id
from openrds.domain.settings import Settings

#: The only one of the API's kinds that there is.
PRIVATE = "private"
#: One that an instance left is its project's alone for so many days.
DAYS_HELD = 30
#: And so many of them, the last ones.
MOST_HELD = 100

#: Those of the service itself.
NAME_SERVER = "ns"
HOSTMASTER = "hostmaster"

#: The SDK says 8 to 64 characters; a label of DNS has 63 at most (RFC 1035, 2.3.4).
_LABEL = re.compile(r"[0-9a-z]{8,63}", re.ASCII)
#: What people and programs take for something else.
_RESERVED = frozenset(
    {HOSTMASTER, "broadcasthost", "localdomain", "localhost", "nameserver", "postmaster", "webmaster"}
)
_ZONE = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
#: So that a name of the zone has no more than the 253 characters that a name may have.
_LONGEST_ZONE = 253 - 64


def check_dns_type(dns_type: str) -> None:
    """
    Raises:
        Refusal: PARAMETER.
    """
    if dns_type != PRIVATE:
        raise Refusal(ErrorCode.PARAMETER, f"dns_type must be `{PRIVATE}`.")


def check_label(text: str, instance_id: str) -> str:
    """The label as DNS compares it, in lower case.

    What an instance is called by itself, its id, is nobody else's to take.

    Raises:
        Refusal: PARAMETER.
    """
    label = text.lower() if text.isascii() else text
    if not _LABEL.fullmatch(label):
        raise Refusal(
            ErrorCode.PARAMETER,
            "dns_name must have 8 to 63 characters, letters without accents and digits only; it is the first part of "
            "the name, before the zone.",
        )
    if label in _RESERVED or (is_instance_id(label) and label != instance_id):
        raise Refusal(ErrorCode.PARAMETER, f"dns_name: {label} is reserved; choose another.")
    return label


def is_zone(text: str) -> bool:
    """Whether names can be given in a zone that is called so, in lower case and without a dot at its end."""
    return len(text) <= _LONGEST_ZONE and _ZONE.fullmatch(text) is not None


def dns_name(label: str | None, settings: Settings) -> str | None:
    """The name that clients look up; None where there is none, or nobody answers for it."""
    return f"{label}.{settings.dns_zone}" if label and settings.dns_listen else None


def check_served(settings: Settings) -> None:
    """
    Raises:
        Refusal: NOT_OFFERED, the service has no name server.
    """
    if not settings.dns_listen:
        raise Refusal(
            ErrorCode.NOT_OFFERED,
            "This openrds gives no DNS names: its operator sets dns_listen (OPENRDS_DNS_LISTEN) to the address and "
            "port where it is to answer for them, such as 10.0.0.1:53, and restarts it.",
        )
