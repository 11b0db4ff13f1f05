"""Every engine on real servers: each installation of this host, in folders and on addresses of our own."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest

from openrds.domain.engine import RULES, EngineName
from openrds.domain.settings import Settings
from openrds.engines.protocol import Engine, Installation, NodeSpec, Server, Tls
from openrds.hosts.addresses import port_is_free
from openrds.hosts.folders import make_home
from openrds.hosts.processes import RECORD, find, records_below, stop_recorded, wait_until
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers
from openrds.hosts.volumes import FolderVolumes
from openrds.service.authority import Authority, open_authority
from support.dialects import DIALECTS, Dialect, Session
from support.dialects.dialect import PASSWORD
from support.engines import build
from support.folders import short_folder

#: The engine that is fast, which has the rules that all have in common beside PostgreSQL; another one has those that
#: are marked with `every_engine`.
_COMMON = (EngineName.POSTGRESQL, EngineName.MARIADB)

#: All servers of the tests are of one family.
SECRET = secrets.token_urlsafe(24)


@cache
def home() -> Path:
    """A short path, for Unix sockets, that the server user can pass through."""
    path = short_folder()
    return path


def settings() -> Settings:
    return Settings(data_dir=home())


@cache
def authority() -> Authority:
    """Who signs the certificates of all servers of the tests."""
    return open_authority(settings())


@cache
def users() -> ServerUsers:
    return ServerUsers.choose(home())


@cache
def instance_user() -> ServerUser:
    """Whom all servers of the tests run as, so that their data directories can be copies of one."""
    return users().any()


@cache
def found_engine(name: EngineName) -> Engine | None:
    data_dir = home() / name
    data_dir.mkdir(mode=0o711, exist_ok=True)
    return build(name, data_dir, users())


def engine_of(name: EngineName) -> Engine:
    engine = found_engine(name)
    assert engine is not None
    return engine


@cache
def template_of(installation: Installation) -> Path:
    folder = home() / f"template-{installation.engine}-{installation.version}"
    make_home(folder)
    engine_of(installation.engine).initialise(node_of(installation, folder))
    return folder / "data"


def node_of(installation: Installation, folder: Path, **changes: Any) -> NodeSpec:
    """The node of a folder, with nothing to say about its network."""
    node = NodeSpec(
        node_id=folder.name,
        user=instance_user(),
        installation=installation,
        folder=folder,
        socket_dir=folder / "s",
        archive=folder / "archive",
        address="",
        port=RULES[installation.engine].default_port,
        memory_mb=2048,
        vcpus=1,
        secret=SECRET,
    )
    return replace(node, **changes)


@cache
def installations(name: EngineName) -> tuple[Installation, ...]:
    """Of PostgreSQL all that there are, of others the newest."""
    engine = found_engine(name)
    found = engine.installations() if engine else ()
    return found if name == EngineName.POSTGRESQL else found[-1:]


def engines_for(definition: pytest.Item) -> list[EngineName]:
    """Those that a test is about: its own `of_engines`, all with `every_engine`, else those that stand for all."""
    if marker := definition.get_closest_marker("of_engines"):
        return [EngineName(name) for name in marker.args]
    if definition.get_closest_marker("every_engine"):
        return list(DIALECTS)
    return list(_COMMON)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "installed" in metafunc.fixturenames:
        found = [one for name in engines_for(metafunc.definition) for one in installations(name)]
        ids = [f"{one.engine}-{one.complete_version}" for one in found]
        metafunc.parametrize("installed", found, ids=ids, scope="module")


def pytest_sessionfinish() -> None:
    if home.cache_info().currsize:
        shutil.rmtree(home())


@dataclass
class Trial:
    """An installation under test, and what a test makes of it. Everything is in `folder`.

    Data directories are copies of one, which takes a tenth of the time, unless a test is about making them.
    """

    dialect: Dialect
    installation: Installation
    engine: Engine
    folder: Path
    user: ServerUser
    copies: bool = True

    @property
    def settings(self) -> Settings:
        """Of the CA that signs the certificates of the tests' servers."""
        return settings()

    def node(self, **changes: Any) -> NodeSpec:
        name = f"n{secrets.token_hex(3)}"
        make_home(self.folder / "s")
        node = node_of(
            self.installation,
            FolderVolumes(self.folder / "instances").create(name, 40),
            socket_dir=self.folder / "s" / name,
            archive=self.folder / "archives" / name / "wal",
            address=free_address(self.dialect.port),
            port=self.dialect.port,
        )
        node = replace(node, **changes)
        if node.address and self.installation.speaks_tls and "tls" not in changes:
            node = replace(node, tls=Tls((node.address,), authority()))
        return node

    def initialised(self, **changes: Any) -> Server:
        node = self.node(**changes)
        if self.copies:
            subprocess.run(["cp", "-a", template_of(self.installation), node.data_dir], check=True)
        else:
            self.engine.initialise(node)
        server = self.engine.server(node)
        server.configure()
        return server

    def started(self, **changes: Any) -> Server:
        server = self.initialised(**changes)
        server.start()
        server.set_administrator("root", self.engine.seal_password(PASSWORD))
        self.client(server).close()  # with some engines the first client makes the database
        return server

    def beside(self, primary: Server) -> Server:
        """One that may change roles with a primary, and has no data yet."""
        upstream = primary.node.as_upstream(is_equal=True)
        return self.engine.server(self.node(upstream=upstream, archive=primary.node.archive))

    def standby_of(self, primary: Server) -> Server:
        """The same, streaming."""
        server = self.beside(primary)
        server.replication.copy_upstream()
        server.replication.follow()
        return server

    def query(self, server: Server, statement: str, **options: Any) -> Any:
        return self.dialect.query(server.node, statement, **options)

    def client(self, server: Server) -> Session:
        return self.dialect.connect(server.node.address, server.node.port)

    def refused_writing(self) -> "pytest.RaisesExc[Exception]":
        return pytest.raises(self.dialect.Error, match=self.dialect.read_only)

    def pid(self, server: Server) -> int:
        process = find(server.node.folder / RECORD)
        assert process is not None
        return process.pid

    def kill(self, server: Server) -> int:
        """As a crash does, and only the main process; returns its pid."""
        process = find(server.node.folder / RECORD)
        assert process is not None
        process.send(signal.SIGKILL)
        assert process.wait(10)
        return process.pid

    def with_reserve(self, spares: int) -> "Trial":
        data_dir = self.folder / "reserve"
        data_dir.mkdir(mode=0o711)
        engine = build(self.dialect.engine, data_dir, users(), spares)
        assert engine is not None
        engine.installations = lambda: (self.installation,)  # type: ignore[method-assign] # not of all versions
        return replace(self, engine=engine, copies=False)


@contextlib.contextmanager
def trial_of(installation: Installation) -> Iterator[Trial]:
    folder = home() / secrets.token_hex(3)
    folder.mkdir(mode=0o711)
    try:
        name = installation.engine
        yield Trial(DIALECTS[name], installation, engine_of(name), folder, instance_user())
    finally:
        left = end_all(folder)
        shutil.rmtree(folder)
    assert not left, f"left running: {left}"


def end_all(folder: Path) -> list[psutil.Process]:
    """Stop the servers of a folder by their records; returns what ran besides, which is killed."""
    for record in records_below(folder):
        stop_recorded(record, 5)
    # One that a test has just killed may take a moment to die.
    wait_until(lambda: not processes_naming(folder), 2)
    left = processes_naming(folder)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert wait_until(lambda: not processes_naming(folder), 20)
    return left


@pytest.fixture(scope="module")
def module_trial(installed: Installation) -> Iterator[Trial]:
    """For what the tests of a module share."""
    with trial_of(installed) as trial:
        yield trial


@pytest.fixture
def trial(installed: Installation) -> Iterator[Trial]:
    with trial_of(installed) as trial:
        yield trial


@pytest.fixture(scope="module")
def shared(module_trial: Trial) -> tuple[Trial, Server]:
    """A running server for tests that change nothing another one sees."""
    return module_trial, module_trial.started()


def processes_naming(folder: Path) -> list[psutil.Process]:
    """Those that have the folder in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if any(str(folder) in word for word in command) and process.pid != os.getpid():
            found.append(process)
    return found


def free_address(port: int) -> str:
    """Of a network of the tests' own, so that runs beside this one do not meet it but by rare chance."""
    while True:
        address = f"127.65.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        if port_is_free(address, port):
            return address


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        assert wait_until(condition, 30)

    return wait
