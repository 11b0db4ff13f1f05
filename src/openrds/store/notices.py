"""Hearing of NOTIFY without asking: the driver's own way wakes up ten times a second."""

import asyncio
import contextlib
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


class Telling:
    """Whether a connection was told anything, whatever it was, since it was last asked: also while a statement ran."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        #: Whether it was.
        self.told = False
        connection.add_notify_handler(self._note)

    def _note(self, _notification: psycopg.Notify) -> None:
        self.told = True

    async def wait(self, quiet: float) -> None:
        """Until it is; each so many seconds the connection is asked whether it lives, as it may be lost without a word.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        while not self.told:
            async with contextlib.aclosing(heard(self._connection, quiet)) as notices:
                async for _ in notices:
                    self.told = True
                    break
            if not self.told:
                await self._connection.execute("select 1")
