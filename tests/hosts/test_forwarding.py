"""Each way of passing connections on, with the machine's nftables and HAProxy, between addresses of our own."""

import contextlib
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from openrds.hosts.errors import HostError
from openrds.hosts.forwarders import choose_forwarder, stop_forwarding
from openrds.hosts.forwarding import Forwarder, Route
from openrds.hosts.haproxy import Haproxy
from openrds.hosts.nftables import Nftables
from openrds.hosts.processes import find, records_below
from openrds.hosts.user import ServerUser

PORT = 5432
SECONDS = 5

_number = itertools.count(1)


@pytest.fixture(params=["nftables", "haproxy"])
def forwarder(request: pytest.FixtureRequest, folder: Path, user: ServerUser) -> Iterator[Forwarder]:
    try:
        yield choose_forwarder(request.param, folder, user)
    except HostError as error:
        pytest.skip(str(error))
    finally:
        stop_forwarding(folder)


@pytest.fixture(scope="module")
def network() -> str:
    """The first three numbers of addresses that only this test has."""
    return f"127.66.{secrets.randbelow(256)}"


@pytest.fixture
def address(network: str) -> str:
    return f"{network}.{next(_number)}"


class Server:
    """Answers each line with its name."""

    def __init__(self, address: str, name: str) -> None:
        self.address, self._name = address, name.encode()
        self._listener = socket.create_server((address, PORT))
        self._sessions: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                session = self._listener.accept()[0]
                self._sessions.append(session)
                threading.Thread(target=self._answer, args=(session,), daemon=True).start()

    def _answer(self, session: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while session.recv(100):
                session.sendall(self._name)

    def close(self) -> None:
        for one in (self._listener, *self._sessions):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def servers(network: str) -> Iterator[tuple[Server, Server]]:
    both = (Server(f"{network}.{next(_number)}", "first"), Server(f"{network}.{next(_number)}", "second"))
    yield both
    for server in both:
        server.close()


@contextlib.contextmanager
def client(address: str) -> Iterator[socket.socket]:
    with socket.create_connection((address, PORT), SECONDS) as connection:
        yield connection


def ask(connection: socket.socket) -> str:
    connection.sendall(b"who\n")
    return connection.recv(100).decode()


def ask_anew(address: str) -> str:
    with client(address) as connection:
        return ask(connection)


def is_cut(connection: socket.socket) -> bool:
    try:
        return ask(connection) == ""
    except ConnectionError:
        return True


def refuses(address: str) -> bool:
    try:
        with client(address):
            return False
    except ConnectionRefusedError:
        return True


def route(address: str, server: Server) -> Route:
    return Route(address, PORT, server.address, PORT)


def test_what_is_passed_on_follows_the_routes(
    forwarder: Forwarder, address: str, network: str, servers: tuple[Server, Server]
) -> None:
    first, second = servers
    staying = f"{network}.{next(_number)}"
    assert forwarder.routes() == frozenset()
    forwarder.apply([route(address, first), route(staying, first)])
    assert forwarder.routes() == {route(address, first), route(staying, first)}
    assert ask_anew(address) == ask_anew(staying) == "first"
    with client(address) as moving, client(staying) as undisturbed:
        assert ask(moving) == ask(undisturbed) == "first"
        forwarder.apply([route(address, second), route(staying, first)])
        assert is_cut(moving)
        assert ask_anew(address) == "second"
        with client(address) as ending:
            assert ask(ending) == "second"
            forwarder.apply([route(staying, first)])
            assert is_cut(ending)
            assert refuses(address)
        forwarder.apply([route(address, first), route(staying, first)])
        assert ask_anew(address) == "first"
        assert ask(undisturbed) == "first"


def test_the_same_routes_again_interrupt_nobody(
    forwarder: Forwarder, address: str, servers: tuple[Server, Server]
) -> None:
    forwarder.apply([route(address, servers[0])])
    with client(address) as connection:
        assert ask(connection) == "first"
        forwarder.apply([route(address, servers[0])])
        assert ask(connection) == "first"


def test_another_worker_finds_the_routes(
    forwarder: Forwarder, folder: Path, user: ServerUser, address: str, servers: tuple[Server, Server]
) -> None:
    forwarder.apply([route(address, servers[0])])
    with client(address) as connection:
        assert ask(connection) == "first"
        successor = choose_forwarder(forwarder.name, folder, user)
        assert successor.routes() == {route(address, servers[0])}
        successor.apply([route(address, servers[0])])
        assert ask(connection) == "first"


def test_stopping_leaves_nothing(forwarder: Forwarder, address: str, servers: tuple[Server, Server]) -> None:
    forwarder.apply([route(address, servers[0])])
    forwarder.stop()
    assert forwarder.routes() == frozenset()
    assert refuses(address)
    forwarder.stop()


def test_two_services_do_not_meet(
    forwarder: Forwarder, folder: Path, user: ServerUser, network: str, servers: tuple[Server, Server]
) -> None:
    addresses = [f"{network}.{next(_number)}" for _ in range(2)]
    (folder / "other").mkdir(mode=0o711)
    other = choose_forwarder(forwarder.name, folder / "other", user)
    try:
        forwarder.apply([route(addresses[0], servers[0])])
        other.apply([route(addresses[1], servers[1])])
        forwarder.stop()
        assert refuses(addresses[0])
        assert ask_anew(addresses[1]) == "second"
    finally:
        other.stop()


def test_changing_the_means_takes_the_other_away(
    folder: Path, user: ServerUser, address: str, servers: tuple[Server, Server]
) -> None:
    before, after = Haproxy(folder / "forwarder", user), Nftables(folder)
    if before.refusal or after.refusal:
        pytest.skip(before.refusal or after.refusal)
    before.apply([route(address, servers[0])])
    chosen = choose_forwarder("auto", folder, user)
    try:
        assert chosen.name == "nftables"
        assert before.routes() == frozenset()
        chosen.apply([route(address, servers[0])])
        assert ask_anew(address) == "first"
    finally:
        chosen.stop()


def test_no_means(folder: Path, user: ServerUser, address: str, servers: tuple[Server, Server]) -> None:
    chosen = choose_forwarder("none", folder, user)
    chosen.apply([])
    with pytest.raises(HostError, match="forwarding is none"):
        chosen.apply([route(address, servers[0])])


def test_a_means_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, folder: Path, user: ServerUser) -> None:
    for module in ("nftables", "haproxy"):
        monkeypatch.setattr(f"openrds.hosts.{module}.SYSTEM_PATH", str(folder))
    for name, program in (("nftables", "nft"), ("haproxy", "haproxy")):
        with pytest.raises(HostError, match=f"forwarding is {name}, but .* there is no program {program}"):
            choose_forwarder(name, folder, user)
    chosen = choose_forwarder("auto", folder, user)
    assert chosen.name == ""
    assert "no program nft" in chosen.refusal
    assert "no program haproxy" in chosen.refusal


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="for root, with setpriv")
def test_who_may_not_change_the_network_passes_on_by_haproxy(haproxy: Haproxy, folder: Path) -> None:
    """Root without the right, as in many a container."""
    program = (
        "import sys, pathlib; from openrds.hosts.forwarders import choose_forwarder; "
        "from openrds.hosts.user import ServerUser; "
        "print(choose_forwarder('auto', pathlib.Path(sys.argv[1]), ServerUser.choose()).name)"
    )
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_admin", sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "haproxy\n"


@pytest.fixture
def haproxy(folder: Path, user: ServerUser) -> Iterator[Haproxy]:
    found = Haproxy(folder / "forwarder", user)
    if found.refusal:
        pytest.skip(found.refusal)
    yield found
    found.stop()


def test_haproxy_runs_as_the_server_user(
    haproxy: Haproxy, user: ServerUser, address: str, servers: tuple[Server, Server]
) -> None:
    haproxy.apply([route(address, servers[0])])
    (process,) = filter(None, map(find, records_below(haproxy.root)))
    assert psutil.Process(process.pid).uids().real == user.uid
    assert os.getsid(process.pid) == process.pid


def test_haproxy_that_died_is_started_again(
    haproxy: Haproxy, address: str, servers: tuple[Server, Server]
) -> None:
    haproxy.apply([route(address, servers[0])])
    (process,) = filter(None, map(find, records_below(haproxy.root)))
    process.stop()
    assert haproxy.routes() == frozenset()
    haproxy.apply([route(address, servers[0])])
    assert ask_anew(address) == "first"


def test_haproxy_says_who_is_in_the_way_and_starts_the_others(
    haproxy: Haproxy, address: str, servers: tuple[Server, Server]
) -> None:
    first, second = servers
    with pytest.raises(HostError, match=f"{first.address}:{PORT} is in use"):
        haproxy.apply([route(first.address, second), route(address, second)])
    assert ask_anew(address) == "second"
    assert haproxy.routes() == {route(address, second)}
