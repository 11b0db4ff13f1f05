"""Queries by UDP and TCP, of anybody: what they can take of this machine is bounded."""

import asyncio
import contextlib
import socket
import time
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from openrds.names.zone import Zone, come_by_tcp

#: Answers a second by UDP to the addresses of one /24, who may be feigned; what is beyond is told to come by TCP.
ANSWERS_A_SECOND = 500
#: How many networks are told apart, whoever they are.
_PLACES = 4096
#: By TCP: connections at once, after which the one that was silent longest goes, and seconds for a query or an answer.
MOST_CONNECTIONS = 256
SILENCE = 10.0

_MOST_BYTES = 4096
#: Datagrams after which others have their turn.
_AT_ONCE = 64


class Budgets:
    """How many answers the addresses of each network may still have: of a second's worth, which comes back in one."""

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_second)
        self._clock = clock
        self._left = array("d", [self._most]) * _PLACES
        self._at = array("d", [clock()]) * _PLACES

    def take(self, address: str) -> bool:
        """Whether there is one left."""
        place = hash(address.rpartition(".")[0]) % _PLACES
        now = self._clock()
        left = min(self._most, self._left[place] + (now - self._at[place]) * self._most)
        self._at[place] = now
        self._left[place] = left if left < 1 else left - 1
        return left >= 1


@asynccontextmanager
async def serving(zone: Zone, host: str, port: int) -> AsyncIterator[None]:
    """Answer at an IPv4 address, for the time of the block.

    Raises:
        OSError: another program does, or it is none of ours.
    """
    with _udp(host, port) as datagrams:
        asyncio.get_running_loop().add_reader(datagrams, _Datagrams(zone, datagrams).answer)
        async with await asyncio.start_server(_Streams(zone).serve, host, port):
            yield


def _udp(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found


class _Datagrams:
    def __init__(self, zone: Zone, datagrams: socket.socket) -> None:
        self._zone = zone
        self._socket = datagrams
        self._budgets = Budgets(ANSWERS_A_SECOND)

    def answer(self) -> None:
        """Those that are there. An answer for which there is no room is lost, as any may be on its way."""
        for _ in range(_AT_ONCE):
            try:
                wire, sender = self._socket.recvfrom(_MOST_BYTES)
            except OSError:
                return
            reply = self._zone.answer(wire) if self._budgets.take(sender[0]) else come_by_tcp(wire)
            if reply is not None:
                with contextlib.suppress(OSError):
                    self._socket.sendto(reply, sender)


class _Streams:
    """Each connection has one query at a time; those that asked last are the last of `_open`."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            longest_silent = next(iter(self._open))
            del self._open[longest_silent]
            longest_silent.transport.abort()
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.pop(writer, None)
            writer.transport.abort() if writer.is_closing() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether to go on."""
        self._open.pop(writer, None)
        self._open[writer] = None
        async with asyncio.timeout(SILENCE):
            size = int.from_bytes(await reader.readexactly(2))
            if size > _MOST_BYTES:
                return False
            reply = self._zone.answer(await reader.readexactly(size))
            if reply is None:
                return False
            writer.write(len(reply).to_bytes(2) + reply)
            await writer.drain()
        return True
