"""The listening socket, with the application behind it."""

import asyncio
import contextlib
import socket

from litestar import Litestar

from openrds.api.wire.bounds import Bounds
from openrds.api.wire.connection import Connection
from openrds.api.wire.door import Door

#: Seconds that requests under way may take when the service ends.
_GRACE = 1.0
#: How many connections the kernel may keep for us while we are busy with others.
_BACKLOG = 4096
#: Bytes of an answer that the kernel may hold for a client who does not take it; it would take megabytes.
_SEND_BUFFER = 128 * 2**10


async def serve(app: Litestar, host: str, port: int, bounds: Bounds) -> None:
    """Serve until cancelled; requests that are under way then get a moment to be answered."""
    door = Door(bounds)
    tasks: set[asyncio.Task[None]] = set()
    async with app.lifespan():
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(app, door, tasks), host, port, backlog=_BACKLOG
        )
        for listening in server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            await server.serve_forever()
        finally:
            server.close()
            if tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait(tasks, timeout=_GRACE)
            door.close()
