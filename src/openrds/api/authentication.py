"""Who sent the request: signatures and tokens are checked here, before any handler runs.

Source: contract, auth-and-errors.md 2.2, 3 and 3.5.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPRequestEvent, HTTPScope, Receive, Scope, Send

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Account, Accounts, Caller, Credential, TokenError, TokenScope, read_token
from openrds.domain.signature import SignatureError, SignedRequest, parse_authorization, signed_at, verify
from openrds.domain.texts import number_in

MAX_BODY_BYTES = 12 * 1024 * 1024
CLOCK_WINDOW = dt.timedelta(minutes=15)
LOCK_TIME = dt.timedelta(minutes=5)
FAILURES_ALLOWED = 5

Clock: TypeAlias = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def unauthenticated(reason: str) -> Refusal:
    return Refusal(ErrorCode.UNAUTHENTICATED, f"Incorrect IAM authentication information: {reason}")


class Lockout:
    """Failed signatures in a row, per access key. In memory, so each server process counts for itself."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._locked_until: dict[str, dt.datetime] = {}

    def is_locked(self, access_key: str, now: dt.datetime) -> bool:
        until = self._locked_until.get(access_key)
        if until is None or now < until:
            return until is not None
        self.succeeded(access_key)
        return False

    def failed(self, access_key: str, now: dt.datetime) -> None:
        self._failures[access_key] = self._failures.get(access_key, 0) + 1
        if self._failures[access_key] > FAILURES_ALLOWED:
            self._locked_until[access_key] = now + LOCK_TIME

    def succeeded(self, access_key: str) -> None:
        self._failures.pop(access_key, None)
        self._locked_until.pop(access_key, None)


class Authenticator:
    """Tells the caller of a request. `accounts` may be replaced while the service runs."""

    def __init__(self, accounts: Accounts, clock: Clock = utc_now) -> None:
        self.accounts = accounts
        self.clock = clock
        self._lockout = Lockout()

    def authenticate(self, request: SignedRequest, project_id: str | None) -> Caller:
        """The caller, who may use the project of the path (None for paths without one).

        A signature wins over a token.

        Raises:
            Refusal: UNAUTHENTICATED, PROJECT_MISMATCH or TOKEN_INVALID.
        """
        authorization = request.header("authorization")
        caller = self._by_signature(request, authorization) if authorization else self._by_token(request)
        if project_id is not None:
            _check_project(caller, project_id, request.header("x-project-id"))
        return caller

    def _by_signature(self, request: SignedRequest, value: str) -> Caller:
        now = self.clock()
        try:
            authorization = parse_authorization(value)
            _check_date(request, now)
        except SignatureError as error:
            raise unauthenticated(str(error)) from error
        account = self._unlocked(authorization.access_key, now)
        try:
            genuine = verify(request, authorization, account.secret_key)
        except SignatureError as error:
            self._refuse_signature(account, str(error))
        if not genuine:
            self._refuse_signature(account, "verify aksk signature fail")
        self._lockout.succeeded(account.access_key)
        return Caller(account, Credential.SIGNATURE)

    def _unlocked(self, access_key: str, now: dt.datetime) -> Account:
        account = self.accounts.with_access_key(access_key)
        if account is None:
            raise unauthenticated("AK access key not exist")
        if self._lockout.is_locked(access_key, now):
            raise unauthenticated("AK access failed to reach the limit, forbidden")
        return account

    def _refuse_signature(self, account: Account, reason: str) -> NoReturn:
        self._lockout.failed(account.access_key, self.clock())
        raise unauthenticated(reason)

    def _by_token(self, request: SignedRequest) -> Caller:
        value = request.header("x-auth-token")
        if not value:
            raise unauthenticated("x-auth-token not found")
        try:
            token = read_token(value, self.accounts, self.clock())
        except TokenError as error:
            raise unauthenticated(str(error)) from error
        return Caller(token.account, Credential.TOKEN, token.scope)


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

    Skips handlers with `opt={"public": True}`. A signature covers the body, so the body is read here, up to
    MAX_BODY_BYTES, and handed on as one event.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with an authenticated scope.

        Raises:
            Refusal: as `Authenticator.authenticate`, and BODY_TOO_LARGE.
        """
        if scope["type"] == ScopeType.HTTP and not scope["route_handler"].opt.get("public"):
            receive = await self._authenticate(scope, receive)
        await self._app(scope, receive, send)

    async def _authenticate(self, scope: HTTPScope, receive: Receive) -> Receive:
        request = _request_without_body(scope)
        if _has_body(scope, request):
            body = await _read_body(request, receive)
            request = SignedRequest(request.method, request.path, request.query, request.headers, body)
            receive = _replay(body, receive)
        path_params: dict[str, Any] = scope["path_params"]
        caller = self._authenticator.authenticate(request, path_params.get("project_id"))
        scope["user"] = scope["auth"] = caller
        return receive


def _request_without_body(scope: HTTPScope) -> SignedRequest:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    # Some servers leave the query in raw_path.
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return SignedRequest(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


def _has_body(scope: HTTPScope, request: SignedRequest) -> bool:
    """False only where HTTP/1 says that there is none; HTTP/2 may send one without announcing it."""
    if not scope["http_version"].startswith("1") or "transfer-encoding" in request.headers:
        return True
    return request.header("content-length") not in {"", "0"}


async def _read_body(request: SignedRequest, receive: Receive) -> bytes:
    if (number_in(request.header("content-length")) or 0) > MAX_BODY_BYTES:
        raise Refusal(ErrorCode.BODY_TOO_LARGE)
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise Refusal(ErrorCode.BODY_SYNTAX, "The request body ended early.")
        chunks.append(event["body"])
        size += len(event["body"])
        if size > MAX_BODY_BYTES:
            raise Refusal(ErrorCode.BODY_TOO_LARGE)
        more = event.get("more_body", False)
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first gives the body as one event."""
    pending: list[HTTPRequestEvent] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return pending.pop() if pending else await receive()

    return replay
