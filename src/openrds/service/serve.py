"""`openrds serve`: one process that starts the store, the API and the worker, and keeps them running."""

import contextlib
import http.client
import logging
import os
import select
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

import psycopg

from openrds.api.wire.tls import CertificateError
from openrds.domain.settings import Settings
from openrds.engines.protocol import EngineError
from openrds.hosts import processes
from openrds.hosts.addresses import claim_listening, port_is_free
from openrds.hosts.errors import HostError, in_words
from openrds.hosts.users import ServerUsers
from openrds.service import child, places
from openrds.service.authority import AuthorityError, open_authority
from openrds.service.endpoint import certificate_of, endpoint_of
from openrds.service.identities import KeysError, ensure_accounts
from openrds.service.logs import set_up_logging
from openrds.service.means import check_means, choose_users
from openrds.service.private_store import PrivateStore, open_private_store, watch
from openrds.store.database import Store
from openrds.store.migrate import migrate

logger = logging.getLogger(__name__)

#: All of these in seconds. A stop takes less than 5: the children's grace, then a little more.
_STOP_TIMEOUT = 4.0
_START_TIMEOUT = 60.0
#: Between rounds that nothing asks for, and where the store does not run.
_ROUND = 10.0
_STORE_ROUND = 1.0
#: A child that ends is started again. One that keeps ending soon waits for so long, from its last start on.
_RESTART_DELAYS = (0.0, 0.2, 1.0, 2.0)
_STABLE_AFTER = 30.0
#: A private store that hangs keeps everybody waiting, so it is killed after `hang_timeout` and at most so long.
_STORE_HANG_TIMEOUT = 20.0


class ServeError(Exception):
    """The service cannot start; the message says why and what to do."""


@dataclass
class Child:
    """One of our processes, and how often in a row it ended too soon."""

    name: str
    forked: child.Forked
    failures: int = 0
    started_at: float = field(default_factory=time.monotonic)
    restart_at: float | None = None


#: Why a service does not start.
Refused = (
    ServeError,
    AuthorityError,
    CertificateError,
    places.DataDirectoryError,
    KeysError,
    HostError,
    EngineError,
    OSError,
)

_NAME_SERVER = "name server"

#: To ask our own API, whatever names its certificate has.
_OURSELVES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_OURSELVES.check_hostname = False
_OURSELVES.verify_mode = ssl.CERT_NONE


def serve(settings: Settings, on_ready: Callable[[], None] = lambda: None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Instances and the store go on without us."""
    set_up_logging(settings.log_level)
    try:
        Supervisor(settings, on_ready).run()
    except Refused as error:
        print(f"openrds: {in_words(error)}", file=sys.stderr)
        return 1
    return 0


class Supervisor:
    def __init__(self, settings: Settings, on_ready: Callable[[], None]) -> None:
        self._settings = settings
        self._on_ready = on_ready
        self._stop = threading.Event()
        self._children: dict[str, Child] = {}
        self._store: PrivateStore | None = None
        self._bodies: dict[str, child.Body] = {}
        self._lock = places.Lock(settings.data_dir)
        self._claim: socket.socket | None = None
        # A signal is written to the second by the interpreter, which wakes who reads the first.
        self._bell, self._rope = socket.socketpair()

    def run(self) -> None:
        self._rope.setblocking(False)
        signal.set_wakeup_fd(self._rope.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._prepare()
        try:
            for name in self._bodies:
                self._start(name)
            self._await_ready()
            if not self._stop.is_set():
                print(f"openrds ready on {endpoint_of(self._settings)}", flush=True)
                self._on_ready()
            while self._wait():
                self._keep_store_running()
                for one in list(self._children.values()):
                    self._keep_running(one)
        finally:
            self._stop_children()

    def _wait(self) -> bool:
        """Until a child or the store ends, or one is due to be started again, a round at most; whether to go on."""
        children = list(self._children.values())
        due = [one.restart_at - time.monotonic() for one in children if one.restart_at is not None]
        pids = [one.forked.pid for one in children if one.restart_at is None]
        if self._store is not None:
            running = processes.find(self._store.node.folder / processes.RECORD)
            due += [] if running else [_STORE_ROUND]
            pids += [running.pid] if running else []
        with contextlib.ExitStack() as stack:
            events = select.poll()
            events.register(self._bell, select.POLLIN)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):  # the store is no child of ours
                    descriptor = os.pidfd_open(pid)
                    stack.callback(os.close, descriptor)
                    events.register(descriptor, select.POLLIN)
            events.poll(1000 * max(0.0, min([_ROUND, *due])))
        return not self._stop.is_set()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _prepare(self) -> None:
        """All that must hold before the children start."""
        settings = self._settings
        users = choose_users(settings)
        with places.prepared(settings.data_dir, users, self._lock), _logging_to(settings.log_file):
            self._claim_address()
            # The worker chooses for itself; a setting that cannot be kept is better said here than by its log.
            check_means(settings, users)
            open_authority(settings)
            certificate_of(settings)
            socket_root = places.socket_root(settings.data_dir)
            dsn = settings.store or self._start_private_store(users)
            if settings.store:
                self._fill_store(dsn)
        # A private store that runs has made the data directory one, whatever comes now.
        if not settings.store:
            self._fill_store(dsn)
        self._bodies = _bodies_of(child.Brief(dsn, socket_root, settings), self._store)

    def _start_private_store(self, users: ServerUsers) -> str:
        self._store = open_private_store(self._settings, users)
        return self._store.dsn

    def _claim_address(self) -> None:
        """
        Raises:
            ServeError: another program listens there.
        """
        listen, names = self._settings.listen, self._settings.dns_listen
        host, _, port = listen.rpartition(":")
        self._claim = claim_listening(listen)
        if self._claim is None or not port_is_free(host, int(port)):
            raise ServeError(f"{listen} is in use by another program; choose another with --listen.")
        if names and not all(_is_free(names, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            raise ServeError(f"{names} is in use by another program; choose another dns_listen.")

    def _fill_store(self, dsn: str) -> None:
        """
        Raises:
            ServeError: the store cannot be used.
        """
        try:
            migrate(dsn)
            with Store(dsn, connections=1) as store:
                ensure_accounts(store, self._settings)
        except psycopg.Error as error:
            raise ServeError(f"the store cannot be used: {error}") from None

    def _start(self, name: str, failures: int = 0) -> None:
        title = f"openrds: {name} of {self._settings.data_dir}"
        forked = child.fork(title, self._bodies[name], self._let_go)
        self._children[name] = Child(name, forked, failures)

    def _let_go(self) -> None:
        """In a child: only as long as we live ourselves the data directory is served, and the others have a parent."""
        self._lock.let_go()
        for shared in (self._claim, self._bell, self._rope):
            if shared is not None:
                shared.close()
        for one in self._children.values():
            one.forked.let_go()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        if not self._children["worker"].forked.await_ready() and not self._stop.is_set():
            raise ServeError("the worker did not start; see the messages above.")
        names = self._children.get(_NAME_SERVER)
        if names and not names.forked.await_ready() and not self._stop.is_set():
            raise ServeError("the name server did not start; see the messages above.")
        while not self._answers():
            if self._stop.wait(0.01):
                return
            if self._children["api"].forked.has_ended() or time.monotonic() > deadline:
                raise ServeError("the API did not start; see the messages above.")

    def _answers(self) -> bool:
        host, _, port = self._settings.listen.rpartition(":")
        if self._settings.tls_cert is None:
            connection = http.client.HTTPConnection(host, int(port), timeout=5)
        else:
            connection = http.client.HTTPSConnection(host, int(port), timeout=5, context=_OURSELVES)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _keep_store_running(self) -> None:
        if self._store is not None and not self._store.is_running():
            logger.error("the store died and is started again")
            try:
                self._store.start()
            except EngineError:
                logger.exception("the store could not be started; trying again")

    def _keep_running(self, one: Child) -> None:
        if not one.forked.has_ended():
            return
        if one.restart_at is None:
            lived = time.monotonic() - one.started_at
            one.failures = 0 if lived > _STABLE_AFTER else one.failures + 1
            delay = _RESTART_DELAYS[min(one.failures, len(_RESTART_DELAYS)) - 1] if one.failures else 0.0
            one.restart_at = one.started_at + delay
            logger.error("the %s process ended (%s) and is started again", one.name, one.forked.exitcode)
        if time.monotonic() >= one.restart_at:
            one.forked.clean_up()
            del self._children[one.name]
            self._start(one.name, one.failures)

    def _stop_children(self) -> None:
        deadline = time.monotonic() + _STOP_TIMEOUT
        for one in self._children.values():
            one.forked.terminate()
        for one in self._children.values():
            one.forked.end(max(0.0, deadline - time.monotonic()))
            one.forked.clean_up()


def _bodies_of(brief: child.Brief, store: PrivateStore | None) -> dict[str, child.Body]:
    """What the children do, by their names."""
    # Late, so that what must not start is refused at once.
    from openrds.service.api_process import serve_api  # noqa: PLC0415
    from openrds.service.worker_process import work  # noqa: PLC0415

    bodies: dict[str, child.Body] = {"worker": partial(work, brief), "api": partial(serve_api, brief)}
    if brief.settings.dns_listen:
        from openrds.service.name_process import serve_names  # noqa: PLC0415

        bodies[_NAME_SERVER] = partial(serve_names, brief)
    timeout = brief.settings.hang_timeout
    if store is not None and timeout:
        bodies["store watch"] = partial(watch, store, min(timeout, _STORE_HANG_TIMEOUT))
    return bodies


def _is_free(listen: str, kind: socket.SocketKind) -> bool:
    host, _, port = listen.rpartition(":")
    return port_is_free(host, int(port), kind)


@contextlib.contextmanager
def _logging_to(file: Path | None) -> Iterator[None]:
    """From now on our standard error, and our children's, is the end of a file.

    If the body fails it is what it was: whoever waits for us reads there why.

    Raises:
        ServeError: the file cannot be written.
    """
    if file is None:
        yield
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServeError(f"The log file {file} cannot be written: {error.strerror}.") from None
    before = os.dup(sys.stderr.fileno())
    try:
        os.dup2(descriptor, sys.stderr.fileno())
        yield
    except BaseException:
        os.dup2(before, sys.stderr.fileno())
        raise
    finally:
        os.close(descriptor)
        os.close(before)
