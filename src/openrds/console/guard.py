"""Before a page of the console: who is signed in, and whether the request is from a page of ours."""

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from openrds.api.access.rates import Rates
from openrds.api.cloud.iam import base_url
from openrds.api.wire.exchange import EXTENSION, Exchange
from openrds.console.sessions import AnyRequest, cookie_name, sessions_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Caller, Credential

#: The `opt` of what is shown to everybody.
OPEN: Mapping[str, Any] = {"open": True}

HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SignedOut(Exception):  # noqa: N818 - what a browser is, not a fault
    """Nobody is signed in, or not any more."""


class Guard:
    """Puts the Caller where the API's handlers look for it, though no signature and no token made it one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in.

        Raises:
            SignedOut: it has no session that lasts.
            Refusal: FORBIDDEN, it comes from a page that is not ours; THROTTLED.
        """
        if scope["type"] == ScopeType.HTTP:
            request: AnyRequest = Request(scope)
            if scope["method"] not in {"GET", "HEAD"}:
                _check_origin(request)
            if not scope["route_handler"].opt.get("open"):
                await _admit(request)
        await self._app(scope, receive, send)


def _check_origin(request: AnyRequest) -> None:
    """Browsers that tell where a request comes from always do, and no page can have them say otherwise."""
    site = request.headers.get("sec-fetch-site")
    ours = site == "same-origin" if site else request.headers.get("origin") == base_url(request)
    if not ours:
        raise Refusal(ErrorCode.FORBIDDEN, "The request was not sent by a page of this console.")


async def _admit(request: AnyRequest) -> None:
    id_ = request.cookies.get(cookie_name(request), "")
    # What a page loads by itself, as long as it is open, is no sign of life.
    session = await sessions_of(request).find(id_, sees=not is_stream(request))
    if session is None:
        raise SignedOut
    rates: Rates = request.app.state.service.rates
    rates.take(session.account.project.id)
    request.scope["user"] = request.scope["auth"] = Caller(session.account, Credential.SESSION)
    request.scope["state"]["console_session"] = session
    exchange: Exchange | None = (request.scope.get("extensions") or {}).get(EXTENSION)  # type: ignore[assignment]
    if exchange is not None:
        exchange.trust()


def is_stream(request: AnyRequest) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")
