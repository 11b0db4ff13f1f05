"""TLS of the API: the certificate, read again when it was renewed, and connections until they speak it."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from openrds.api.wire.door import Address, Door

logger = logging.getLogger(__name__)

#: Seconds in which a renewed certificate is taken up.
_LOOK_INTERVAL = 10.0
#: Seconds after which connections are accepted again, when there were too many files open for one more.
_PAUSE = 0.1

Protocol = Callable[[], asyncio.Protocol]


class CertificateError(Exception):
    """The files cannot be used; the message says why."""


class Certificate:
    """What the service shows its clients: a chain and its key, as PEM."""

    def __init__(self, chain: Path, key: Path) -> None:
        """
        Raises:
            CertificateError: they cannot be used.
        """
        self._files = (chain, key)
        self._seen = self._changed()
        self._context = self._load()
        self._looked = 0.0

    def context(self, now: float) -> ssl.SSLContext:
        """For the next connection. New files that cannot be used are told of, and those before are shown on."""
        if now - self._looked > _LOOK_INTERVAL:
            self._looked = now
            changed = self._changed()
            if changed != self._seen:
                self._seen = changed
                self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            self._context = self._load()
        except CertificateError as error:
            logger.error("the certificate of the API was not renewed: %s", error)

    def _load(self) -> ssl.SSLContext:
        chain, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # A key with a password would ask for it on the terminal.
        try:
            context.load_cert_chain(chain, key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise CertificateError(f"tls_cert {chain} and tls_key {key} cannot be used: {reason}.") from None
        return context

    def _changed(self) -> tuple[int, ...]:
        try:
            return tuple(file.stat().st_mtime_ns for file in self._files)
        except OSError:
            return ()


def _no_password() -> str:
    raise ValueError("the key has a password; give one without")


class Greeting:
    """A connection that does not speak TLS yet: a stranger, who has as long for it as for a request's head."""

    def __init__(self, client: socket.socket, door: Door) -> None:
        self._client = client
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._name = str(client.getpeername()[0])
        self._task: asyncio.Task[None] | None = None
        self._address: Address | None = None
        self.held = 0

    def begin(self, protocol: Protocol, context: ssl.SSLContext) -> None:
        """Have it speak TLS, if there is room. Then it is what `protocol` makes of it, which enters the door itself."""
        self._address = self._door.enter(self, self._name)
        if self._address is None:
            self._client.close()
            return
        self._task = self._loop.create_task(self._greet(protocol, context))
        self._task.add_done_callback(self._end)

    def close(self) -> None:
        self._leave()
        if self._task is not None:
            self._task.cancel()

    def look(self, now: float) -> None:
        if now - self._since > self._door.bounds.patience:
            self.close()

    async def _greet(self, protocol: Protocol, context: ssl.SSLContext) -> None:
        await self._loop.connect_accepted_socket(
            lambda: _Greeted(self._leave, protocol),
            self._client,
            ssl=context,
            ssl_handshake_timeout=self._door.bounds.patience,
        )

    def _end(self, task: asyncio.Task[None]) -> None:
        """Whoever does not trust us, speaks something else or was sent away is no concern of the log."""
        self._leave()
        if task.cancelled() or task.exception() is not None:
            self._client.close()

    def _leave(self) -> None:
        if self._address is not None:
            self._door.leave(self, self._name, self._address)
            self._address = None


class _Greeted(asyncio.Protocol):
    """What a connection is in the moment in which it has come to speak TLS."""

    def __init__(self, leave: Callable[[], None], protocol: Protocol) -> None:
        self._leave = leave
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._leave()
        protocol = self._protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


async def greet_all(
    listening: socket.socket, protocol: Protocol, certificate: Certificate, door: Door
) -> None:
    """Accept connections until cancelled; the event loop would begin to greet before anybody knew who comes."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            client, _ = await loop.sock_accept(listening)
        except OSError as error:
            # A connection that was gone before we came to it; or there are as many files open as may be.
            if error.errno != errno.ECONNABORTED:
                await asyncio.sleep(_PAUSE)
            continue
        try:
            Greeting(client, door).begin(protocol, certificate.context(loop.time()))
        except OSError:  # it has gone
            client.close()
