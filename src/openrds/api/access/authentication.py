"""Who sent the request: signatures and tokens are checked here, before any handler runs.

Source: contract, auth-and-errors.md 2.2, 3 and 3.5.
"""

import datetime as dt
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPRequestEvent, HTTPScope, Receive, Scope, Send

from openrds.api.access.lockout import Lockout
from openrds.api.wire.exchange import EXTENSION, Exchange
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import (
    Account,
    Accounts,
    Caller,
    Credential,
    Token,
    TokenError,
    TokenScope,
    read_token,
)
from openrds.domain.signature import (
    Authorization,
    SignatureError,
    SignedRequest,
    parse_authorization,
    signed_at,
    verify,
)
from openrds.domain.texts import number_in

#: The largest body that an operation has a use for is that of a restore of some thousand tables.
MAX_BODY_BYTES = 2**20
PUBLIC_BODY_BYTES = 16 * 2**10
_TOO_LARGE = "The request body is larger than {} bytes."
CLOCK_WINDOW = dt.timedelta(minutes=15)

Clock: TypeAlias = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def unauthenticated(reason: str) -> Refusal:
    return Refusal(ErrorCode.UNAUTHENTICATED, f"Incorrect IAM authentication information: {reason}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request say of its sender: a token that holds, or a signature that is to be verified."""

    account: Account
    token: Token | None = None
    authorization: Authorization | None = None


class Authenticator:
    """Tells the caller of a request. `accounts` may be replaced while the service runs.

    `revoked` are the sessions of tokens that no longer count.
    """

    def __init__(
        self, accounts: Accounts, clock: Clock = utc_now, revoked: Container[str] = frozenset()
    ) -> None:
        self.accounts = accounts
        self.clock = clock
        self.revoked = revoked
        self._lockout = Lockout()

    def authenticate(self, request: SignedRequest, project_id: str | None, address: str = "") -> Caller:
        """The caller, who may use the project of the path (None for paths without one).

        A signature wins over a token. `address` is where the request came from.

        Raises:
            Refusal: UNAUTHENTICATED, PROJECT_MISMATCH or TOKEN_INVALID.
        """
        return self.prove(self.recognise(request, address), request, project_id, address)

    def recognise(self, request: SignedRequest, address: str) -> Claim:
        """All that can be told without the body.

        Raises:
            Refusal: UNAUTHENTICATED.
        """
        authorization = request.header("authorization")
        if authorization:
            return self._by_signature(request, authorization, address)
        value = request.header("x-auth-token")
        if not value:
            raise unauthenticated("x-auth-token not found")
        token = self.token(value)
        return Claim(token.account, token=token)

    def prove(self, claim: Claim, request: SignedRequest, project_id: str | None, address: str) -> Caller:
        """The caller, now that the body is there. Raises as `authenticate` does."""
        if claim.authorization is not None:
            self._verify(claim.account, claim.authorization, request, address)
        caller = _caller(claim)
        if project_id is not None:
            _check_project(caller, project_id, request.header("x-project-id"))
        return caller

    def token(self, value: str) -> Token:
        """What a token says.

        Raises:
            Refusal: UNAUTHENTICATED, for one that does not hold or was revoked.
        """
        try:
            token = read_token(value, self.accounts, self.clock())
        except TokenError as error:
            raise unauthenticated(str(error)) from error
        if token.session in self.revoked:
            raise unauthenticated("the token was revoked")
        return token

    def holds(self, token: Token) -> bool:
        """Whether a token that held still does."""
        return token.session not in self.revoked and self.clock() < token.expires_at

    def _by_signature(self, request: SignedRequest, value: str, address: str) -> Claim:
        now = self.clock()
        try:
            authorization = parse_authorization(value)
            _check_date(request, now)
        except SignatureError as error:
            raise unauthenticated(str(error)) from error
        account = self.accounts.with_access_key(authorization.access_key)
        if account is None:
            raise unauthenticated("AK access key not exist")
        if self._lockout.is_locked((account.access_key, address), now):
            raise unauthenticated("AK access failed to reach the limit, forbidden")
        return Claim(account, authorization=authorization)

    def _verify(
        self, account: Account, authorization: Authorization, request: SignedRequest, address: str
    ) -> None:
        who = (account.access_key, address)
        reason = "verify aksk signature fail"
        try:
            if verify(request, authorization, account.secret_key):
                self._lockout.succeeded(who)
                return
        except SignatureError as error:
            reason = str(error)
        self._lockout.failed(who, self.clock())
        raise unauthenticated(reason)


def _caller(claim: Claim) -> Caller:
    if claim.token is not None:
        return Caller(claim.account, Credential.TOKEN, claim.token.scope)
    return Caller(claim.account, Credential.SIGNATURE)


def _check_date(request: SignedRequest, now: dt.datetime) -> None:
    if abs(now - signed_at(request)) > CLOCK_WINDOW:
        raise SignatureError("signature expired, x-sdk-date is more than 15 minutes off")


def _check_project(caller: Caller, project_id: str, named: str) -> None:
    """`named` is the X-Project-Id header, which some clients sign and others do not; "" if there is none."""
    by_token = caller.credential is Credential.TOKEN
    if caller.project.id != project_id or caller.scope is not TokenScope.PROJECT:
        raise Refusal(ErrorCode.TOKEN_INVALID if by_token else ErrorCode.PROJECT_MISMATCH)
    if named and named != project_id:
        raise Refusal(ErrorCode.PROJECT_MISMATCH, "X-Project-Id is not the path's project.")


class AuthenticationMiddleware:
    """Puts the Caller into `scope["user"]` and `scope["auth"]`.

    A signature covers the body, so the body is read here, up to MAX_BODY_BYTES, and handed on as one event; but not
    before the headers have said all that they can. Handlers with `opt={"public": True}` ask nobody who calls, and get
    no more than PUBLIC_BODY_BYTES.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with an authenticated scope.

        Raises:
            Refusal: as `Authenticator.authenticate`, and BODY_TOO_LARGE.
        """
        if scope["type"] == ScopeType.HTTP:
            request = _request_without_body(scope)
            if scope["route_handler"].opt.get("public"):
                _, receive = await _with_body(request, receive, PUBLIC_BODY_BYTES)
            else:
                receive = await self._authenticate(scope, request, receive)
        await self._app(scope, receive, send)

    async def _authenticate(self, scope: HTTPScope, request: SignedRequest, receive: Receive) -> Receive:
        address = client_address(scope)
        claim = self._authenticator.recognise(request, address)
        request, receive = await _with_body(request, receive, MAX_BODY_BYTES)
        path_params: dict[str, Any] = scope["path_params"]
        caller = self._authenticator.prove(claim, request, path_params.get("project_id"), address)
        scope["user"] = scope["auth"] = caller
        exchange: Exchange | None = (scope.get("extensions") or {}).get(EXTENSION)  # type: ignore[assignment]
        if exchange is not None:
            exchange.trust()
        return receive


def client_address(scope: HTTPScope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _request_without_body(scope: HTTPScope) -> SignedRequest:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return SignedRequest(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


def _has_body(request: SignedRequest) -> bool:
    return "transfer-encoding" in request.headers or request.header("content-length") not in {"", "0"}


async def _with_body(request: SignedRequest, receive: Receive, limit: int) -> tuple[SignedRequest, Receive]:
    """The request with its body, and a `receive` that gives it again."""
    if not _has_body(request):
        return request, receive
    body = await _read_body(request, receive, limit)
    return replace(request, body=body), _replay(body, receive)


async def _read_body(request: SignedRequest, receive: Receive, limit: int) -> bytes:
    if (number_in(request.header("content-length")) or 0) > limit:
        raise Refusal(ErrorCode.BODY_TOO_LARGE, _TOO_LARGE.format(limit))
    body, more = bytearray(), True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise Refusal(ErrorCode.BODY_SYNTAX, "The request body ended early.")
        body += event["body"]
        if len(body) > limit:
            raise Refusal(ErrorCode.BODY_TOO_LARGE, _TOO_LARGE.format(limit))
        more = event.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first gives the body as one event."""
    pending: list[HTTPRequestEvent] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return pending.pop() if pending else await receive()

    return replay
