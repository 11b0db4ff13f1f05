"""`openrds serve`: one process that starts the store, the API and the worker, and keeps them running."""

import contextlib
import http.client
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from types import FrameType

import psycopg

from openrds.domain.settings import Settings
from openrds.engines.protocol import EngineError
from openrds.hosts.addresses import claim_listening, port_is_free
from openrds.hosts.errors import HostError
from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.users import ServerUsers
from openrds.service import child, places
from openrds.service.identities import ensure_accounts
from openrds.service.means import choose_limits, choose_users, choose_volumes
from openrds.service.private_store import PrivateStore, open_private_store
from openrds.store.database import Store
from openrds.store.migrate import migrate

logger = logging.getLogger(__name__)

_CHILDREN = {"worker": "openrds.service.worker_process", "api": "openrds.service.api_process"}
#: All of these in seconds. A stop takes less than 5: the children's grace, then a little more.
_STOP_TIMEOUT = 4.0
_START_TIMEOUT = 60.0
_ROUND = 1.0
#: A child that ends is started again. One that keeps ending soon waits for so long, from its last start on.
_RESTART_DELAYS = (0.0, 0.2, 1.0, 2.0)
_STABLE_AFTER = 30.0


class ServeError(Exception):
    """The service cannot start; the message says why and what to do."""


@dataclass
class Child:
    """One of our processes, and how often in a row it ended too soon."""

    name: str
    process: "subprocess.Popen[bytes]"
    failures: int = 0
    started_at: float = field(default_factory=time.monotonic)
    restart_at: float | None = None


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Instances and the store go on without us."""
    child.set_up_logging(settings.log_level)
    try:
        Supervisor(settings).run()
    except (ServeError, places.DataDirectoryError, HostError, EngineError) as error:
        print(f"openrds: {error}", file=sys.stderr)
        return 1
    return 0


class Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._children: dict[str, Child] = {}
        self._store: PrivateStore | None = None
        self._brief: child.Brief | None = None
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
            for name in _CHILDREN:
                self._start(name)
            self._await_ready()
            if not self._stop.is_set():
                print(f"openrds ready on http://{self._settings.listen}", flush=True)
            while self._wait():
                self._keep_store_running()
                for one in list(self._children.values()):
                    self._keep_running(one)
        finally:
            self._stop_children()

    def _wait(self) -> bool:
        """Until a child ends or is due to be started again, a round at most; whether to go on."""
        children = list(self._children.values())
        due = [one.restart_at - time.monotonic() for one in children if one.restart_at is not None]
        with contextlib.ExitStack() as stack:
            events = select.poll()
            events.register(self._bell, select.POLLIN)
            for one in children:
                if one.restart_at is None:
                    descriptor = os.pidfd_open(one.process.pid)
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
        places.prepare(settings.data_dir, users)
        self._lock.acquire()
        host, _, port = settings.listen.rpartition(":")
        self._claim = claim_listening(settings.listen)
        if self._claim is None or not port_is_free(host, int(port)):
            raise ServeError(f"{settings.listen} is in use by another program; choose another with --listen.")
        # The worker chooses for itself; a setting that cannot be kept is better said here than by its log.
        choose_volumes(settings)
        choose_limits(settings)
        choose_forwarder(settings.forwarding, settings.data_dir, users.forwarder)
        socket_root = places.socket_root(settings.data_dir)
        dsn = settings.store or self._start_private_store(users)
        try:
            migrate(dsn)
            with Store(dsn, connections=1) as store:
                ensure_accounts(store, settings)
        except psycopg.Error as error:
            raise ServeError(f"the store cannot be used: {error}") from None
        self._brief = child.Brief(dsn, socket_root, settings)

    def _start_private_store(self, users: ServerUsers) -> str:
        self._store = open_private_store(self._settings, users)
        return self._store.dsn

    def _start(self, name: str, failures: int = 0) -> None:
        assert self._brief is not None
        process = subprocess.Popen(
            [sys.executable, "-m", _CHILDREN[name]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert process.stdin is not None
        # Its standard input stays open: that it ends is how a child knows that we are gone.
        process.stdin.write(self._brief.encode())
        process.stdin.flush()
        self._children[name] = Child(name, process, failures)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        worker = self._children["worker"].process
        assert worker.stdout is not None
        if worker.stdout.readline().decode().strip() != child.READY and not self._stop.is_set():
            raise ServeError("the worker did not start; see the messages above.")
        while not self._answers():
            if self._stop.wait(0.01):
                return
            if self._children["api"].process.poll() is not None or time.monotonic() > deadline:
                raise ServeError("the API did not start; see the messages above.")

    def _answers(self) -> bool:
        host, _, port = self._settings.listen.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
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
        code = one.process.poll()
        if code is None:
            return
        if one.restart_at is None:
            lived = time.monotonic() - one.started_at
            one.failures = 0 if lived > _STABLE_AFTER else one.failures + 1
            delay = _RESTART_DELAYS[min(one.failures, len(_RESTART_DELAYS)) - 1] if one.failures else 0.0
            one.restart_at = one.started_at + delay
            logger.error("the %s process ended (%s) and is started again", one.name, code)
        if time.monotonic() >= one.restart_at:
            _clean_up_after(one.process)
            self._start(one.name, one.failures)

    def _stop_children(self) -> None:
        deadline = time.monotonic() + _STOP_TIMEOUT
        for one in self._children.values():
            one.process.terminate()
        for one in self._children.values():
            try:
                one.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
            _clean_up_after(one.process)


def _clean_up_after(process: "subprocess.Popen[bytes]") -> None:
    """Also end what a child had running for itself, such as initdb; servers have sessions of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
