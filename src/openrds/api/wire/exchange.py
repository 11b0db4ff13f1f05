"""One request and its answer, in the words of ASGI 3."""

import asyncio
import http
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Protocol

from litestar.types import ASGIApp

logger = logging.getLogger(__name__)

#: The key of `scope["extensions"]` under which the application finds the exchange.
EXTENSION = "openrds.exchange"
#: Bytes of a body that wait for the application before no more are read from the client.
HIGH_WATER = 64 * 2**10
#: A body of more bytes than this is written by itself, not behind a copy of the head.
_COPIED = 16 * 2**10

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}


class Wire(Protocol):
    """What an exchange needs of its connection."""

    def write(self, data: bytes) -> None: ...
    def read_more(self) -> None: ...
    def drained(self) -> "asyncio.Future[None] | None": ...
    def trust(self) -> None: ...
    def finish(self, exchange: "Exchange") -> None: ...


class Exchange:
    """The application calls `receive` and `send`; the connection calls the rest."""

    __slots__ = (
        "_answered",
        "_body",
        "_chunked",
        "_expects_continue",
        "_given",
        "_head",
        "_waiter",
        "_wire",
        "begun",
        "body_complete",
        "disconnected",
        "keep_alive",
        "scope",
        "trusted",
    )

    def __init__(self, wire: Wire, scope: Any, *, keep_alive: bool, expects_continue: bool) -> None:
        self._wire = wire
        self.scope: Any = scope
        self.keep_alive = keep_alive
        #: Whether a part of the answer was written.
        self.begun = False
        self.body_complete = False
        self.disconnected = False
        self._answered = False
        self.trusted = False
        self._expects_continue = expects_continue
        self._body = bytearray()
        self._given = False
        self._waiter: asyncio.Future[None] | None = None
        self._head: bytes | None = None
        self._chunked: bool | None = None

    async def run(self, app: ASGIApp) -> None:
        """Answer the request; what the application does not catch is logged, and the connection closed."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            logger.exception("the application failed")
            self.keep_alive = False
        finally:
            # The scope leads back to us: without this only the collector would find the two.
            self.scope["extensions"].clear()
            self._wire.finish(self)

    def trust(self) -> None:
        """Tell the door that who sent this request is authenticated."""
        self.trusted = True
        self._wire.trust()

    def add_body(self, data: bytes) -> int:
        """Hand on what came; how much is waiting now."""
        self._body += data
        self._wake()
        return len(self._body)

    def end_body(self) -> None:
        self.body_complete = True
        self._wake()

    def disconnect(self) -> None:
        self.disconnected = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Any:
        """The next part of the body; after the last one, and after the answer, only that the client is gone."""
        if self._expects_continue and not self.disconnected:
            self._expects_continue = False
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (
            self.disconnected or self._answered or self._body or (self.body_complete and not self._given)
        ):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.disconnected or self._answered:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        self._given = self.body_complete
        self._wire.read_more()
        return {"type": "http.request", "body": body, "more_body": not self.body_complete}

    async def send(self, message: Any) -> None:
        """Write a part of the answer, once the client has taken most of those before it."""
        while not self.disconnected and (drained := self._wire.drained()) is not None:
            await drained
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._head = self._begin(message)
            return
        data = message.get("body", b"")
        more = message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            data = b""
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            data += b"" if more else b"0\r\n\r\n"
        if self._head is not None:
            head, self._head = self._head, None
            self.begun = True
            if len(data) > _COPIED:
                # Not copied: many may wait for the same.
                self._wire.write(head)
            else:
                data = head + data
        if data:
            self._wire.write(data)
        if not more:
            # Who streams waits meanwhile to hear that the client is gone.
            self._answered = True
            self._wake()

    def _begin(self, message: Any) -> bytes:
        status = message["status"]
        parts = [_STATUS_LINES[status], _date_line()]
        sized = status in {204, 304}
        for name, value in message["headers"]:
            sized = sized or name == b"content-length"
            parts += (name, b": ", value.replace(b"\r", b" ").replace(b"\n", b" "), b"\r\n")
        if not sized and self.scope["http_version"] == "1.0":
            self.keep_alive = False
        elif not sized:
            self._chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        if not self.body_complete:
            # What the application did not want to read is not read for it.
            self.keep_alive = False
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        elif self.scope["http_version"] == "1.0":
            parts.append(b"connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)


def _dates() -> Callable[[], bytes]:
    second, line = 0, b""

    def date_line() -> bytes:
        nonlocal second, line
        now = int(time.time())
        if now != second:
            second, line = now, f"date: {formatdate(now, usegmt=True)}\r\n".encode()
        return line

    return date_line


_date_line = _dates()
