"""A small application behind a real door."""

import asyncio
import contextlib
import socket
import threading
from typing import Any

from iam_app import build
from litestar import get, post
from litestar.params import FromPath, RawBody

from openrds.api.wire.bounds import Bounds
from openrds.api.wire.server import serve
from support.service import free_port, wait_for

BOUNDS = Bounds(
    connections=40,
    connections_of_address=20,
    patience=2.0,
    idle=6.0,
    linger=0.5,
    held=600_000,
    held_of_address=300_000,
)
LARGE = b"x" * 3_000_000


@get("/large", opt={"public": True}, sync_to_thread=False)
def large() -> bytes:
    return LARGE


@get("/v3/{project_id:str}/who", sync_to_thread=False)
def who(project_id: FromPath[str]) -> str:
    return project_id


@post("/v3/{project_id:str}/size")
async def size(project_id: FromPath[str], body: RawBody) -> int:
    return len(body)


class Server:
    """The door on an event loop in a thread."""

    def __init__(self, bounds, *handlers, certificate=None, loop=None):
        self.port = free_port()
        self._loop = loop or asyncio.new_event_loop()
        self._certificate = certificate
        self._app = build(large, who, size, *handlers)
        self._task: Any = None
        self._bounds = bounds
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        self._task = self._loop.create_task(
            serve(self._app, "127.0.0.1", self.port, self._bounds, self._certificate)
        )
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def __enter__(self):
        self._thread.start()
        wait_for(self._listens, 10)
        return self

    def _listens(self):
        with contextlib.suppress(OSError):
            self.connect().close()
            return True

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)

    def connect(self, source="127.0.0.1", receive_buffer=None):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.bind((source, 0))
        connection.settimeout(10)
        try:
            connection.connect(("127.0.0.1", self.port))
        except OSError:
            connection.close()
            raise
        return connection

    def ask(self, data, source="127.0.0.1"):
        """All that is answered until the connection is closed."""
        with contextlib.closing(self.connect(source)) as connection:
            connection.sendall(data)
            return rest(connection)


def rest(connection):
    """All that still comes; what a reset cuts off does not."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            got += data
    return got
