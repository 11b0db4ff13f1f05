"""Requests to where tenants point: only to addresses that they may have us connect to, and bounded in all they take.

A name is looked up once; each of its addresses is checked, and the connection is made to one of those. So nobody can
have it lead elsewhere between the check and the connection.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore

from openrds.domain.webhooks import Address, Network, is_allowed

#: Seconds in which an attempt must have been answered, and of these to look up the name and connect.
TIMEOUT = 15.0
_CONNECT_TIMEOUT = 10.0
#: Names that are looked up at a time. The system's own way blocks a thread, also when nobody waits for it any more.
_LOOKUPS = 100
#: Of what is said about an error.
_LONGEST_ERROR = 200


class NotAllowed(Exception):  # noqa: N818 - what was found, not a fault
    """A host has an address that we do not connect to."""


@dataclass(frozen=True)
class Outcome:
    """What came of a request; `status` is None where there was no answer, and `error` empty where there was."""

    status: int | None
    seconds: float
    error: str = ""


class Outgoing:
    """Sends requests from one event loop."""

    def __init__(self, opened: Sequence[Network] = (), tls: ssl.SSLContext | None = None) -> None:
        self._opened = opened
        self._given_tls = tls
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Of the answer only the head is read, and a redirect is an answer as any other."""
        begun = time.monotonic()
        status, error = None, ""
        try:
            async with asyncio.timeout(TIMEOUT):
                status = await self._post(url, headers, body)
        except TimeoutError:
            error = f"There was no answer within {TIMEOUT:.0f} s."
        except NotAllowed as refused:
            error = str(refused)
        except UnicodeError:
            error = "The host's name is none that can be looked up."
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as failed:
            error = f"{type(failed).__name__}: {failed}"[:_LONGEST_ERROR]
        return Outcome(status, time.monotonic() - begun, error)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        assert parts.hostname is not None
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        address = httpcore.URL(
            scheme=parts.scheme,
            host=parts.hostname,
            port=port,
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        )
        backend = _Checked(self)
        connection = httpcore.AsyncHTTPConnection(
            address.origin,
            ssl_context=self._tls if parts.scheme == "https" else None,
            network_backend=backend,
        )
        try:
            timeouts = {"timeout": {"connect": _CONNECT_TIMEOUT, "read": TIMEOUT, "write": TIMEOUT}}
            sent = [*headers.items(), ("host", parts.netloc), ("connection", "close")]
            async with connection.stream(
                "POST", address, headers=sent, content=body, extensions=timeouts
            ) as answer:
                return answer.status
        finally:
            await connection.aclose()
            await backend.close()

    async def addresses(self, host: str, port: int) -> list[str]:
        """Those of a host.

        Raises:
            NotAllowed: one of them is not for tenants.
            OSError: it has none.
        """
        found = await asyncio.get_running_loop().run_in_executor(
            self._lookups, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        texts = list(dict.fromkeys(str(one[4][0]) for one in found))
        for address in map(_address, texts):
            if not is_allowed(address, self._opened):
                raise NotAllowed(
                    "The host has an address that is neither public nor in webhook_allowed_networks."
                )
        return texts

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()


class _Checked(httpcore.AsyncNetworkBackend):
    """Makes the one connection of a request."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._backend = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception | None = None
        for address in await self._outgoing.addresses(host, port):
            try:
                self._stream = await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
                return self._stream
            except httpcore.ConnectError as error:
                failed = error
        raise failed or OSError("the host has no address")

    async def close(self) -> None:
        """Also where TLS was not agreed upon, which leaves it open."""
        if self._stream is not None:
            await self._stream.aclose()


def _address(text: str) -> Address:
    address = ip_address(text)
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address
