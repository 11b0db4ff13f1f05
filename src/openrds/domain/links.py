"""Links that open one thing for whoever has them, for a while: signed with the keys of the account that asked for one.

An account that gets new keys closes those that it gave away.
"""

import base64
import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass

from openrds.domain.identity import Account, Accounts
from openrds.domain.texts import number_in

LIFETIME = dt.timedelta(minutes=15)

_PARTS = 4


class LinkError(Exception):
    """It was not made here, or no longer counts."""


@dataclass(frozen=True)
class Link:
    """What a link opens, a text of ASCII, and for whose account."""

    account: Account
    target: str


def sign_link(account: Account, target: str, now: dt.datetime) -> str:
    """A part of a path; `now` is aware."""
    expires = int((now + LIFETIME).timestamp())
    text = f"{account.access_key}.{expires}.{_encoded(target.encode('ascii'))}"
    return f"{text}.{_mac(account, text)}"


def read_link(value: str, accounts: Accounts, now: dt.datetime) -> Link:
    """
    Raises:
        LinkError: it was not made here, its account is gone or has new keys, or it has expired.
    """
    parts = value.split(".")
    account = accounts.with_access_key(parts[0])
    if account is None or len(parts) != _PARTS or not value.isascii():
        raise LinkError("There is no such link.")
    text, _, mac = value.rpartition(".")
    if not hmac.compare_digest(mac, _mac(account, text)):
        raise LinkError("There is no such link.")
    if (number_in(parts[1]) or 0) <= now.timestamp():
        raise LinkError("The link has expired; ask for another.")
    return Link(account, base64.urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4)).decode("ascii"))


def _mac(account: Account, text: str) -> str:
    key = hmac.digest(account.secret_key.encode(), b"openrds link 1", hashlib.sha256)
    return _encoded(hmac.digest(key, text.encode(), hashlib.sha256))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
