"""Who is signed in: sessions in the store, a cookie in the browser."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import hmac
import ipaddress
import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from litestar import Request
from litestar.datastructures import Cookie, State

from openrds.api.access.authentication import Authenticator, client_address
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Account
from openrds.store.database import Reads, Store
from openrds.store.queries import Queries
from openrds.tasks.events import Following

AnyRequest: TypeAlias = Request[Any, Any, State]

_sql = Queries("console")

#: A session ends when nothing was asked for so long, and so long after the sign-in in any case.
IDLE = dt.timedelta(minutes=30)
LIFE = dt.timedelta(hours=12)
#: The most sessions of an account; the oldest end.
_MOST = 50
_ID_BYTES = 32
_ID_LENGTHS = range(40, 50)


@dataclass(frozen=True)
class Session:
    """`id` is what the browser has. It is never kept, nor logged."""

    id: str = field(repr=False)
    account: Account

    @property
    def id_hash(self) -> bytes:
        return _hash_of(self.id)


class Sessions:
    """Of the one API process there is. Used from its event loop."""

    def __init__(self, reads: Reads, store: Store, authenticator: Authenticator) -> None:
        self._reads = reads
        self._store = store
        self._authenticator = authenticator
        self._streams: defaultdict[bytes, set[Following]] = defaultdict(set)

    async def begin(self, account: Account) -> Session:
        """A new one, with an id that nobody has had."""
        session = Session(secrets.token_urlsafe(_ID_BYTES), account)
        values = {
            "id_hash": session.id_hash,
            "access_key": account.access_key,
            "mark": _mark_of(account),
            "most": _MOST - 1,
        }
        await asyncio.to_thread(self._store.rows, _sql.begin_session, values)
        return session

    async def find(self, id_: str, *, sees: bool = True) -> Session | None:
        """The session that has the id and has not ended. With `sees` it is not idle now."""
        if len(id_) not in _ID_LENGTHS:
            return None
        key = {"id_hash": _hash_of(id_), "idle": IDLE, "life": LIFE}
        row = await self._reads.row(_sql.find_session, key)
        if row is None:
            return None
        account = self._authenticator.accounts.with_access_key(row["access_key"])
        if account is None or not hmac.compare_digest(row["mark"], _mark_of(account)):
            return None
        if sees and row["seen_long_ago"]:
            await asyncio.to_thread(self._store.rows, _sql.see_session, [key["id_hash"]])
        return Session(id_, account)

    async def end(self, session: Session) -> None:
        """When this returns it has ended, and so do its streams."""
        await asyncio.to_thread(self._store.rows, _sql.end_session, [session.id_hash])
        for stream in self._streams.get(session.id_hash, ()):
            stream.cut()

    @contextlib.contextmanager
    def streaming(self, session: Session, stream: Following) -> Iterator[None]:
        streams = self._streams[session.id_hash]
        streams.add(stream)
        try:
            yield
        finally:
            streams.discard(stream)
            if not streams:
                self._streams.pop(session.id_hash, None)


def sessions_of(request: AnyRequest) -> Sessions:
    return cast("Sessions", request.app.state.console_sessions)


def session_of(request: AnyRequest) -> Session:
    """Of a request that the guard has let in."""
    return cast("Session", request.scope["state"]["console_session"])


def cookie_name(request: AnyRequest) -> str:
    """Over TLS one that only this very host may set, and only so."""
    return "__Host-openrds" if request.scope["scheme"] == "https" else "openrds"


def cookie_of(request: AnyRequest, value: str) -> Cookie:
    """The cookie that holds a session; with "" one that ends it.

    Raises:
        Refusal: FORBIDDEN, where others could read it on its way.
    """
    secure = request.scope["scheme"] == "https"
    if not secure and not _is_on_this_machine(request):
        raise Refusal(
            ErrorCode.FORBIDDEN,
            "The console is for TLS, or for a browser on the service's own machine: passwords are sent to it. "
            "Give openrds a certificate, or come through an SSH tunnel.",
        )
    return Cookie(
        key=cookie_name(request),
        value=value,
        path="/" if secure else "/console",
        max_age=int(LIFE.total_seconds()) if value else 0,
        httponly=True,
        secure=secure,
        samesite="lax",
    )


def form_token(session: Session) -> str:
    """What proves that a form is from a page of this session. Each form has its own, and is taken once."""
    nonce = secrets.token_hex(16)
    return f"{nonce}.{_sign(session, nonce)}"


def nonce_of(session: Session, token: str) -> str:
    """
    Raises:
        Refusal: FORBIDDEN.
    """
    nonce, _, proof = token.partition(".")
    if not hmac.compare_digest(proof.encode(), _sign(session, nonce).encode()):
        raise Refusal(ErrorCode.FORBIDDEN, "The form is not of this session; load its page anew.")
    return nonce


def _sign(session: Session, nonce: str) -> str:
    return hmac.new(session.id.encode(), f"form {nonce}".encode(), "sha256").hexdigest()


def _hash_of(id_: str) -> bytes:
    """The id has 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(id_.encode("utf-8", "surrogatepass")).digest()


def _mark_of(account: Account) -> bytes:
    return hashlib.sha256(f"{account.secret_key}\0{account.password_hash}".encode()).digest()


def _is_on_this_machine(request: AnyRequest) -> bool:
    try:
        return ipaddress.ip_address(client_address(request.scope)).is_loopback
    except ValueError:
        return False
