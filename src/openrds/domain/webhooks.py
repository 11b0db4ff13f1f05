"""Webhooks: where they may lead, how they are signed, and when they are tried again.

Signed as the Standard Webhooks specification says: https://www.standardwebhooks.com, version 1.0.0.
"""

import base64
import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from openrds.domain.errors import ErrorCode, Refusal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Seconds from each failed attempt to the next; all together less than the day for which deliveries are kept.
INTERVALS = (5, 30, 120, 600, 3600, 3 * 3600, 6 * 3600, 10 * 3600)
#: An interval is longer by up to this share, so that what failed together does not come again together.
JITTER = 0.1
#: For how long the deliveries of a webhook fail before it is disabled.
PATIENCE = dt.timedelta(days=3)
#: For how long a delivery is kept, and how many of a webhook: of those that have ended, and of those that wait.
KEPT = dt.timedelta(days=1)
MOST_ENDED = 1000
MOST_WAITING = 10_000

_SECRET_PREFIX = "whsec_"  # noqa: S105
_SECRET_BYTES = 32
_LONGEST_URL = 1024
_URL = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*)(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*\.?")
_PORTS = {"http": 80, "https": 443}
#: Below are the ports of other services, which are not to be talked to by a webhook.
_FIRST_FREE_PORT = 1024
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f<>]{0,255}")

#: What Python may call global, and is not for tenants: services of the machine's own cloud, and ways around to IPv4.
_NOT_FOR_TENANTS: tuple[Network, ...] = (
    IPv4Network("168.63.129.16/32"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.0.0.0/24"),
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2001::/32"),
    IPv6Network("2002::/16"),
)
#: Where all global addresses of IPv6 are.
_GLOBAL_IPV6 = IPv6Network("2000::/3")


def new_webhook_id() -> str:
    return secrets.token_hex(16)


def new_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; `timestamp` in seconds."""
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def is_allowed(address: Address, opened: Iterable[Network]) -> bool:
    """Whether tenants may have the service connect there: to global addresses, and to networks that are opened."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_allowed(address.ipv4_mapped, opened)
        # Without the interface, which may stand behind it.
        address = IPv6Address(int(address))
    if any(address in network for network in opened if network.version == address.version):
        return True
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    forbidden = any(address in network for network in _NOT_FOR_TENANTS if network.version == address.version)
    return address.is_global and not address.is_multicast and not forbidden


def check_url(url: str, opened: Iterable[Network]) -> str:
    """A name is looked up, and its addresses checked, only when something is delivered.

    Raises:
        Refusal: PARAMETER, it says what a URL must be.
    """
    if len(url) > _LONGEST_URL or not _URL.fullmatch(url) or "\\" in url:
        raise _refuse(f"have at most {_LONGEST_URL} visible ASCII characters, and no backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refuse("be a URL, such as https://hooks.example.com/openrds") from None
    if parts.scheme not in _PORTS:
        raise _refuse("begin with https:// or http://")
    if "@" in parts.netloc:
        raise _refuse("have no user name or password; deliveries are signed instead")
    if parts.fragment or url.endswith("#"):
        raise _refuse("have no fragment")
    if port is not None and port not in _PORTS.values() and port < _FIRST_FREE_PORT:
        raise _refuse(f"have the port 80, 443, or one from {_FIRST_FREE_PORT} on")
    _check_host(host, opened)
    return url


def _check_host(host: str, opened: Iterable[Network]) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise _refuse("name a host, such as https://hooks.example.com/openrds") from None
        return
    if not is_allowed(address, opened):
        raise _refuse("lead to a public address, or to one in webhook_allowed_networks")


def check_description(text: str) -> str:
    if not _PRINTABLE.fullmatch(text):
        raise Refusal(
            ErrorCode.PARAMETER,
            "description may have up to 255 characters, none of them `<`, `>` or a control character.",
        )
    return text


def _refuse(must: str) -> Refusal:
    return Refusal(ErrorCode.PARAMETER, f"url must {must}.")
