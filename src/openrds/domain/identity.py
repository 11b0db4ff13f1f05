"""Who calls: projects, accounts, passwords and tokens.

A token is stateless: the access key, scope, times and session in clear text and an HMAC over them. Its key is derived
from the account's secret key and password hash, so that changing either ends all tokens of the account. Tokens that
were had for one another are of one session: they expire together, and are revoked together.
"""

import base64
import datetime as dt
import functools
import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

TOKEN_LIFETIME = dt.timedelta(hours=24)

_UPPER = string.ascii_uppercase + string.digits
_ALPHANUMERIC = string.ascii_letters + string.digits
_SESSION_BYTES = 16
#: Of a token, behind the access key: scope, two times, session, HMAC.
_TOKEN_PARTS = 5
_SCRYPT = (2**14, 8, 1)  # 16 MiB and some 50 ms


@dataclass(frozen=True, slots=True)
class Project:
    """What owns instances. `id` has 32 hex digits."""

    id: str
    name: str
    domain_id: str
    domain_name: str


@dataclass(frozen=True, slots=True)
class Account:
    """One user's access to one project."""

    access_key: str
    secret_key: str = field(repr=False)
    user_id: str
    user_name: str
    password_hash: str = field(repr=False)
    project: Project


class TokenScope(StrEnum):
    """What a token is good for; only project tokens may be used on a project's paths."""

    PROJECT = "project"
    DOMAIN = "domain"
    NONE = "none"


class Credential(StrEnum):
    """How a caller proved who it is."""

    SIGNATURE = "signature"
    TOKEN = "token"  # noqa: S105
    SESSION = "session"  # of the console


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token."""

    account: Account
    scope: TokenScope
    issued_at: dt.datetime
    expires_at: dt.datetime
    session: str


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of a request. `scope` is PROJECT for signatures."""

    account: Account
    credential: Credential
    scope: TokenScope = TokenScope.PROJECT

    @property
    def project(self) -> Project:
        return self.account.project


class TokenError(Exception):
    """The token cannot be read, or has expired."""


class Accounts:
    """All accounts of the service; several may belong to one user."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_access_key = {account.access_key: account for account in accounts}

    def with_access_key(self, access_key: str) -> Account | None:
        return self._by_access_key.get(access_key)

    def __iter__(self) -> Iterator[Account]:
        return iter(tuple(self._by_access_key.values()))

    def __len__(self) -> int:
        return len(self._by_access_key)


def new_id() -> str:
    """32 hex digits, for projects, domains and users."""
    return secrets.token_hex(16)


def new_access_key() -> str:
    return _random(_UPPER, 20)


def new_secret_key() -> str:
    return _random(_ALPHANUMERIC, 40)


def new_password() -> str:
    return _random(_ALPHANUMERIC, 20)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def hash_password(password: str) -> str:
    """`scrypt$<n>$<r>$<p>$<salt>$<key>`, salt and key in hex. Takes tens of milliseconds."""
    n, r, p = _SCRYPT
    salt = secrets.token_bytes(16)
    return f"scrypt${n}${r}${p}${salt.hex()}${_scrypt(password, salt, n, r, p).hex()}"


def verify_password(password: str, password_hash: str) -> bool:
    """False also when the hash is of no known format. Takes as long as `hash_password`."""
    try:
        name, n, r, p, salt, key = password_hash.split("$")
        expected, actual = bytes.fromhex(key), _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    except ValueError:
        return False
    return name == "scrypt" and hmac.compare_digest(expected, actual)


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, dklen=32)


def issue_token(
    account: Account, now: dt.datetime, scope: TokenScope = TokenScope.PROJECT, earlier: Token | None = None
) -> str:
    """A url-safe token, to the second: good for TOKEN_LIFETIME from `now` (aware).

    One that is had for an `earlier` token continues its session, and is good for as long as that.
    """
    issued = int(now.timestamp())
    expires = int((earlier.expires_at if earlier else now + TOKEN_LIFETIME).timestamp())
    session = earlier.session if earlier else secrets.token_urlsafe(_SESSION_BYTES)
    text = f"{account.access_key}.{scope}.{issued}.{expires}.{session}"
    return f"{text}.{_token_mac(account, text)}"


def read_token(value: str, accounts: Accounts, now: dt.datetime) -> Token:
    """Verify a token.

    Raises:
        TokenError: it was not issued here, its account is gone or has new keys, or it has expired.
    """
    access_key, *rest = value.split(".")
    account = accounts.with_access_key(access_key)
    if account is None or len(rest) != _TOKEN_PARTS or not value.isascii():
        raise TokenError("decrypt token fail")
    text, _, mac = value.rpartition(".")
    if not hmac.compare_digest(mac, _token_mac(account, text)):
        raise TokenError("decrypt token fail")
    scope, issued, expires, session, _ = rest
    issued_at, expires_at = (dt.datetime.fromtimestamp(int(time), dt.UTC) for time in (issued, expires))
    if now >= expires_at:
        raise TokenError(f"token expires, expires_at: {format_time(expires_at)}")
    return Token(account, TokenScope(scope), issued_at, expires_at, session)


def format_time(time: dt.datetime) -> str:
    """As IAM writes times: `2026-02-04T04:05:06.000000Z`."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _token_mac(account: Account, text: str) -> str:
    key = _token_key(account.secret_key, account.password_hash)
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).rstrip(b"=").decode()


@functools.lru_cache(maxsize=256)
def _token_key(secret_key: str, password_hash: str) -> bytes:
    return hmac.digest(secret_key.encode(), f"openrds token 2 {password_hash}".encode(), "sha256")
