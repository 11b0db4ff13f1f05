"""Strangers who hold connections to a service: `Strangers(...)` runs them in a process of their own.

Each kind holds them in its way: `idle` says nothing, `head` and `body` never come to an end of what they send, `reader`
does not take its answer.
"""

import datetime as dt
import json
import random
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from types import TracebackType

KINDS = ("idle", "head", "body", "reader")
ONE_ADDRESS = ("127.0.9.1",)
FORTY_ADDRESSES = tuple(f"127.0.9.{number}" for number in range(1, 41))

_DRIP_INTERVAL = 1.0
#: Seconds between looks, and for how long who was sent away stays away.
_STEP = 0.05
_AWAY = (1.0, 5.0)
#: Of a body, what comes at once; the rest comes in drops.
_FIRST_PART = 100_000


@dataclass(frozen=True)
class Plan:
    """`access_key` is one that they know, without its secret. With `again` who is sent away comes back."""

    host: str
    port: int
    kind: str
    count: int
    addresses: tuple[str, ...]
    access_key: str
    again: bool = False


class Strangers:
    """Hold connections inside of a `with`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __enter__(self) -> "Strangers":
        command = [sys.executable, __file__, json.dumps(asdict(self._plan))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def held(self) -> int:
        """How many connections are open now."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class _Crowd:
    """The connections, in the process of the strangers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._selector = selectors.EpollSelector()
        self._open: dict[socket.socket, str] = {}
        #: When who was sent away comes back, and from which address.
        self._back: list[tuple[float, str]] = []

    def run(self) -> None:
        for number in range(self._plan.count):
            self._connect(self._plan.addresses[number % len(self._plan.addresses)])
        print("ready", flush=True)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        next_drip = time.monotonic()
        while self._look(_STEP):
            self._come_back()
            if time.monotonic() >= next_drip:
                next_drip = time.monotonic() + _DRIP_INTERVAL
                for connection in list(self._open):
                    self._drip(connection)

    def _come_back(self) -> None:
        due = [one for one in self._back if one[0] <= time.monotonic()]
        self._back = [one for one in self._back if one not in due]
        for _, address in due:
            self._connect(address)

    def _connect(self, address: str) -> None:
        connection = socket.socket()
        if self._plan.kind == "reader":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.bind((address, 0))
        connection.settimeout(10)
        try:
            connection.connect((self._plan.host, self._plan.port))
            connection.sendall(self._greeting())
        except OSError:
            connection.close()
            return
        connection.setblocking(False)
        self._open[connection] = address
        # A reader is told by a look at each drop, as it must not read.
        if self._plan.kind != "reader":
            self._selector.register(connection, selectors.EVENT_READ)

    def _greeting(self) -> bytes:
        if self._plan.kind == "idle":
            return b""
        if self._plan.kind == "reader":
            return 8 * b"GET /schema/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        if self._plan.kind == "head":
            return b"GET /v3/projects HTTP/1.1\r\nHost: x\r\nX-Long: "
        date = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        head = (
            "POST /v3/projects/instances HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"X-Sdk-Date: {date}\r\nContent-Length: 1000000\r\nAuthorization: SDK-HMAC-SHA256 "
            f"Access={self._plan.access_key}, SignedHeaders=x-sdk-date, Signature={64 * '0'}\r\n\r\n"
        )
        return head.encode() + _FIRST_PART * b" "

    def _drip(self, connection: socket.socket) -> None:
        try:
            if self._plan.kind == "idle":
                return
            if self._plan.kind in {"head", "body"}:
                connection.send(b" ")
            elif connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or not connection.recv(1):
                # What was received before a reset could still be read.
                self._gone(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._gone(connection)

    def _look(self, seconds: float) -> bool:
        for key, _ in self._selector.select(seconds):
            if key.fileobj == sys.stdin:
                if not sys.stdin.readline():
                    return False
                print(len(self._open), flush=True)
            elif isinstance(key.fileobj, socket.socket):
                self._take(key.fileobj)
        return True

    def _take(self, connection: socket.socket) -> None:
        try:
            if connection.recv(1 << 16):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._gone(connection)

    def _gone(self, connection: socket.socket) -> None:
        address = self._open.pop(connection)
        if self._plan.kind != "reader":
            self._selector.unregister(connection)
        connection.close()
        if self._plan.again:
            self._back.append((time.monotonic() + random.uniform(*_AWAY), address))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    _Crowd(Plan(**{**given, "addresses": tuple(given["addresses"])})).run()
