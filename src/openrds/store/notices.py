"""Hearing of NOTIFY without asking: the driver's own way wakes up ten times a second."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import psycopg


async def heard(connection: psycopg.AsyncConnection[Any], quiet: float) -> AsyncGenerator[bytes, None]:
    """The payloads of notifications, until there were none for so many seconds.

    What the connection was told while it executed a statement is not among them; its notify handlers are called for
    that.

    Raises:
        psycopg.OperationalError: the connection is lost.
    """
    readable = asyncio.Event()
    loop, socket = asyncio.get_running_loop(), connection.fileno()
    loop.add_reader(socket, readable.set)
    try:
        while True:
            async with asyncio.timeout(quiet):
                await readable.wait()
            readable.clear()
            connection.pgconn.consume_input()
            while (notification := connection.pgconn.notifies()) is not None:
                yield notification.extra
    except TimeoutError:
        return
    finally:
        loop.remove_reader(socket)
