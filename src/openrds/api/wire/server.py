"""The listening socket, with the application behind it."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from litestar import Litestar

from openrds.api.wire.bounds import Bounds
from openrds.api.wire.connection import Connection
from openrds.api.wire.door import Door
from openrds.api.wire.tls import Certificate, greet_all

#: Seconds that requests under way may take when the service ends.
_GRACE = 1.0
#: How many connections the kernel may keep for us while we are busy with others.
_BACKLOG = 4096
#: Bytes of an answer that the kernel may hold for a client who does not take it; it would take megabytes.
_SEND_BUFFER = 128 * 2**10


async def serve(
    app: Litestar, host: str, port: int, bounds: Bounds, certificate: Certificate | None = None
) -> None:
    """Serve until cancelled; requests that are under way then get a moment to be answered. With a certificate
    clients have to speak TLS.
    """
    door = Door(bounds)
    tasks: set[asyncio.Task[None]] = set()

    def protocol() -> asyncio.Protocol:
        return Connection(app, door, tasks)

    async with app.lifespan():
        with _listening_on(host, port) as listening:
            try:
                if certificate is None:
                    await _serve_plain(listening, protocol)
                else:
                    await greet_all(listening, protocol, certificate, door)
            finally:
                listening.close()
                if tasks:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.wait(tasks, timeout=_GRACE)
                door.close()


async def _serve_plain(listening: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
    server = await asyncio.get_running_loop().create_server(protocol, sock=listening, backlog=_BACKLOG)
    try:
        await server.serve_forever()
    finally:
        server.close()


def _listening_on(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.create_server((address[0], port), family=family, backlog=_BACKLOG)
    listening.setblocking(False)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return listening
