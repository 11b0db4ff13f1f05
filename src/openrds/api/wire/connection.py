"""One connection of a client: HTTP/1.1 by llhttp, within the bounds of the door."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections import deque
from enum import Enum, auto
from typing import Any, cast
from urllib.parse import unquote

import httptools
import msgspec
from litestar.types import ASGIApp

from openrds.api.errors import ErrorBody, new_request_id
from openrds.api.wire.door import Address, Door
from openrds.api.wire.exchange import EXTENSION, HIGH_WATER, Exchange
from openrds.domain.errors import ErrorCode

_VERSIONS = {"1.0", "1.1"}
#: No address is longer in text.
_ADDRESS_LENGTH = 64
#: For SO_LINGER: on, and for no time.
_DISCARD = struct.pack("ii", 1, 0)


class Stage(Enum):
    """What a connection is at: between requests, in one's head, in its body, being answered, or being let go."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    WORK = auto()
    LINGER = auto()


class Connection(asyncio.Protocol):
    """Parses what comes, and runs the application on it, one request after the other.

    Nothing is kept of a request that exceeds the bounds: it is refused as soon as that is seen.
    """

    __slots__ = (
        "_address",
        "_app",
        "_bounds",
        "_door",
        "_exchange",
        "_head_size",
        "_headers",
        "_in_head",
        "_is_known",
        "_is_tls",
        "_last",
        "_loop",
        "_name",
        "_parser",
        "_peer",
        "_queue",
        "_reading",
        "_server",
        "_since",
        "_stage",
        "_tasks",
        "_transport",
        "_unread",
        "_url",
        "_writable",
        "held",
    )

    def __init__(self, app: ASGIApp, door: Door, tasks: "set[asyncio.Task[None]]") -> None:
        self._app = app
        self._door = door
        self._tasks = tasks
        self._bounds = door.bounds
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        # What a client sends after its last request is thrown away, not an error.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._queue: deque[Exchange] = deque()
        self._exchange: Exchange | None = None
        self._address: Address | None = None
        self._writable: asyncio.Future[None] | None = None
        self._stage = Stage.IDLE
        self._since = self._loop.time()
        self._reading = True
        self._last = False
        self._is_known = False
        self._is_tls = False
        self._in_head = False
        self._unread = 0
        self._head_size = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self.held = 0

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername") or ("", 0)
        self._server = transport.get_extra_info("sockname")
        self._name = str(self._peer[0])
        self._is_tls = transport.get_extra_info("ssl_object") is not None
        self._address = self._door.enter(self, self._name)
        if self._address is None:
            self._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        for exchange in (self._exchange, *self._queue):
            if exchange is not None:
                exchange.disconnect()
        self._queue.clear()
        self.resume_writing()
        # It leads back to us, and the collector does not see that.
        del self._parser

    def eof_received(self) -> bool:
        """A client that is done with sending may still read, unless it was in the middle of a request.

        TLS knows no half of a connection.
        """
        newest = self._newest()
        if newest is None or not newest.body_complete or self._is_tls:
            return False
        newest.keep_alive = False
        self._last = True
        return True

    def data_received(self, data: bytes) -> None:
        if self._address is None or self._is_over():
            return
        self._hold(self.held + len(data))
        if self._transport.is_closing():
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last = True
        except httptools.HttpParserError as error:
            # What the callbacks refuse comes as the context of the parser's own error.
            context = error.__context__
            self._refuse(context if isinstance(context, _Refused) else _Refused("it is not HTTP/1.1"))
        if self._stage is Stage.HEAD:
            # The parser keeps a header to itself until it is complete.
            self._head_size += len(data)
            if self._head_size > self._bounds.head:
                self._refuse(_Refused("its head is too long"))

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()
        self._hold(self._transport.get_write_buffer_size())
        self._file()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None
            self._file()
            self._go_on()

    # The parser's calls.

    def on_message_begin(self) -> None:
        if self._is_over():
            return
        self._url = b""
        self._headers = []
        self._head_size = 0
        self._in_head = True
        if self._stage is Stage.IDLE:
            self._enter(Stage.HEAD)
        else:
            # Answers go out in the order of their requests, and no more are read meanwhile.
            self._pause_reading()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            # Behind the chunks of a body: nobody vouches for what comes after the head was looked at.
            return
        if len(self._headers) >= self._bounds.headers:
            raise _Refused(f"it has more than {self._bounds.headers} headers")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._is_over():
            return
        self._in_head = False
        if len(self._queue) >= self._bounds.pipeline:
            raise _Refused("too many requests were sent ahead")
        size = len(self._url) + sum(len(name) + len(value) for name, value in self._headers)
        if size > self._bounds.head:
            raise _Refused("its head is too long")
        parser = self._parser
        self._last = not parser.should_keep_alive() or parser.should_upgrade()
        exchange = Exchange(
            self,
            self._scope(),
            keep_alive=not self._last,
            expects_continue=(b"expect", b"100-continue") in self._headers,
        )
        if self._exchange is None:
            self._start(exchange)
        else:
            self._queue.append(exchange)

    def on_body(self, body: bytes) -> None:
        exchange = self._newest()
        if exchange is not None and not exchange.body_complete and exchange.add_body(body) > HIGH_WATER:
            self._pause_reading()

    def on_message_complete(self) -> None:
        exchange = self._newest()
        if exchange is not None and not exchange.body_complete:
            exchange.end_body()
            if exchange is self._exchange:
                self._enter(Stage.WORK)

    def _is_over(self) -> bool:
        """Whether the last request has come, so that nothing of what still comes matters."""
        newest = self._newest()
        return self._stage is Stage.LINGER or (self._last and (newest is None or newest.body_complete))

    def _newest(self) -> Exchange | None:
        return self._queue[-1] if self._queue else self._exchange

    def _scope(self) -> dict[str, Any]:
        parser = self._parser
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise _Refused("it is not HTTP/1.1")
        try:
            url = httptools.parse_url(self._url)
            raw_path = url.path or b"/"
            path = raw_path.decode("ascii")
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            raise _Refused("its URL is malformed") from None
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self._server,
            "client": self._client(),
            "scheme": self._scheme(),
            "root_path": "",
            "method": parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": url.query or b"",
            "headers": self._headers,
            "extensions": {},
        }

    def _scheme(self) -> str:
        """How the caller reaches us: behind a trusted proxy, as that says."""
        if self._name in self._bounds.trusted_proxies:
            said = [value for name, value in self._headers if name == b"x-forwarded-proto"]
            if said and said[-1].strip().lower() == b"https":
                return "https"
        return "https" if self._is_tls else "http"

    def _client(self) -> tuple[str, int]:
        """Who called: behind a trusted proxy, the last one that it was told of by one."""
        proxies = self._bounds.trusted_proxies
        if self._name not in proxies:
            return (self._name, self._peer[1])
        forwarded = b",".join(value for name, value in self._headers if name == b"x-forwarded-for")
        for one in reversed(forwarded.decode("latin-1").split(",")):
            name = one.strip()[:_ADDRESS_LENGTH]
            if name and name not in proxies:
                return (name, 0)
        return (self._name, self._peer[1])

    # The exchanges' calls.

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def read_more(self) -> None:
        behind = self._exchange is not None and self._in_head
        if not self._reading and not self._queue and not behind:
            self._reading = True
            self._transport.resume_reading()

    def drained(self) -> "asyncio.Future[None] | None":
        return self._writable

    def trust(self) -> None:
        """The one who is being served is known: what it holds is no stranger's any more."""
        self._is_known = True
        self._hold(0)
        self._file()

    def finish(self, exchange: Exchange) -> None:
        """The answer is written: go on with the next request, or let the client go."""
        self._exchange = None
        if self._address is None or self._stage is Stage.LINGER:
            return
        self._is_known = exchange.trusted
        if not exchange.keep_alive:
            self._let_go(nothing_comes=exchange.body_complete)
            return
        self._hold(self._transport.get_write_buffer_size())
        if not self._queue:
            self._enter(Stage.HEAD if self._in_head else Stage.IDLE)
        self._go_on()

    def _go_on(self) -> None:
        """Begin with the next request, once the client has taken most of the answers before it."""
        if self._exchange is None and self._writable is None and self._address is not None:
            if self._queue:
                self._start(self._queue.popleft())
            elif not self._last:
                self.read_more()

    def _start(self, exchange: Exchange) -> None:
        exchange.scope["extensions"][EXTENSION] = exchange
        self._exchange = exchange
        self._enter(Stage.WORK if exchange.body_complete else Stage.BODY)
        task = self._loop.create_task(exchange.run(self._app))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The door's calls.

    def close(self) -> None:
        self._leave()
        self._abort()

    def look(self, now: float) -> None:
        if self._address is None:
            return
        unread = self._transport.get_write_buffer_size()
        if unread or self._unread:
            self._look_at_unread(unread, now)
            return
        waited = now - self._since
        if self._stage is Stage.IDLE:
            if waited > (self._bounds.idle if self._is_known else self._bounds.patience):
                self._end()
        elif self._stage is Stage.LINGER:
            if waited > self._bounds.linger and (waited > self._bounds.patience or not self._untaken()):
                self._end()
        elif self._stage is not Stage.WORK and waited > self._bounds.patience:
            self._refuse(_Refused(f"it did not come within {self._bounds.patience:g} s"))

    def _look_at_unread(self, unread: int, now: float) -> None:
        """A stranger has to take an answer in time; a known client, to go on taking it."""
        if not unread or not self._unread or (self._is_known and unread < self._unread):
            self._since = now
        self._unread = unread
        if now - self._since > self._bounds.patience:
            self._abort()
        else:
            self._hold(unread)

    # Our own.

    def _hold(self, size: int) -> None:
        """Note how much we hold; what is held for a known client is nobody's concern."""
        if self._address is not None and (self.held or not self._is_known):
            self._door.hold(self, self._address, (0 if self._is_known else size) - self.held)

    def _untaken(self) -> int:
        """Bytes of answers that the kernel has and the client has not."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

    def _end(self) -> None:
        """Close a connection on which nothing happens any more."""
        if self._untaken():
            self._abort()
        else:
            self._transport.close()

    def _abort(self) -> None:
        """Close at once; the kernel keeps nothing of it either, such as what was not taken of an answer."""
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
        self._transport.abort()

    def _leave(self) -> None:
        if self._address is not None:
            self._door.leave(self, self._name, self._address)
            self._address = None

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        self._since = self._loop.time()
        self._file()

    def _file(self) -> None:
        """Into the queue of those who wait, or out of it."""
        address = self._address
        if address is None:
            return
        waits = self._stage is not Stage.WORK or self._writable is not None
        own, other = (
            (address.known, address.strangers) if self._is_known else (address.strangers, address.known)
        )
        other.pop(self, None)
        if not waits:
            own.pop(self, None)
        elif self not in own:
            own[self] = None

    def _pause_reading(self) -> None:
        if self._reading and self._address is not None:
            self._reading = False
            self._transport.pause_reading()

    def _refuse(self, refused: "_Refused") -> None:
        """Answer a request that no application answers any more, and let the client go.

        Requests before it are answered; then it learns only that there is no more.
        """
        newest = self._newest()
        if newest is not None and not newest.body_complete and newest is not self._exchange:
            self._queue.pop()
            newest = self._newest()
        if newest is not None and newest.body_complete:
            self._last = True
            newest.keep_alive = False
            return
        if newest is None or not newest.begun:
            self.write(_refusal(refused))
        if newest is not None:
            newest.disconnect()
        self._let_go()

    def _let_go(self, *, nothing_comes: bool = False) -> None:
        """There is no further request; what the client still sends is thrown away, so that it comes to reading."""
        self._last = True
        self._enter(Stage.LINGER)
        self.read_more()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        elif nothing_comes:
            self._transport.close()


class _Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is refused here; the message completes "The request cannot be served: ..."."""


def _refusal(refused: _Refused) -> bytes:
    error = ErrorCode.BAD_REQUEST
    body = msgspec.json.encode(ErrorBody(error.code, f"The request cannot be served: {refused}."))
    head = (
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-request-id: {new_request_id()}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
