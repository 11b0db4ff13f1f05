"""What every engine can do. An engine is a package that implements `Engine` and passes the conformance suite.

Everything here may be called again after a crash at any point: an operation that finds its work done goes on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.domain.engine import EngineName


class EngineError(Exception):
    """A server did not do what it was asked; the message names the server and says what it reported."""


@dataclass(frozen=True)
class Installation:
    """The server binaries of one version, as found on this host.

    `version` is what a request names (`16`), `complete_version` what the binaries report (`16.14`).
    """

    engine: EngineName
    version: str
    complete_version: str
    bin_dir: Path


@dataclass(frozen=True)
class NodeSpec:
    """All an engine needs to know to run one server.

    `folder` holds everything of the node (`data/`, `archive/`, `log/`, the process record) and belongs to it alone;
    `socket_dir` is a short path for its Unix socket. `memory_mb` and `vcpus` are the flavor's. With `read_only` clients
    can change nothing, because the volume is full.
    """

    node_id: str
    installation: Installation
    folder: Path
    socket_dir: Path
    address: str
    port: int
    memory_mb: int
    vcpus: int
    time_zone: str = "UTC"
    read_only: bool = False

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"


class Server(Protocol):
    """One database server on this host."""

    node: NodeSpec

    def configure(self) -> None:
        """Write the configuration files that the node's flavor, address and port ask for."""

    def start(self) -> None:
        """Start the server unless it runs, and return once it answers.

        Raises:
            EngineError: it did not come up; the message ends with the last lines of its log.
        """

    def stop(self) -> None:
        """Stop the server cleanly if it runs: clients are cut, committed data is on disk."""

    def is_running(self) -> bool:
        """Whether the server's process lives. Cheap: no connection is made."""

    def answers(self) -> bool:
        """Whether the server answers a query on its own socket and accepts connections on its address."""

    def set_read_only(self, read_only: bool) -> None:
        """Keep clients from changing anything from now on, or let them again; the node's own word is not asked.

        A statement that is at work is ended. It is written down as `configure` would, and a server that does not run
        finds it when it starts.

        Raises:
            EngineError: the server did not take it.
        """

    def tidy(self, keep_days: int) -> None:
        """Remove archived log and server logs that are older than so many days."""

    def set_administrator(self, name: str, sealed_password: str) -> None:
        """Create the administrator, or give it another password; it may do all but be a superuser.

        An empty `sealed_password` means none: it cannot log in until it is given one.
        """


class Engine(Protocol):
    """A kind of database on this host."""

    name: EngineName

    def installations(self) -> tuple[Installation, ...]:
        """What this host has, newest version last."""

    def initialise(self, installation: Installation, data_dir: Path) -> None:
        """Make `data_dir` a fresh data directory, never a copy of another.

        It appears whole or not at all, and takes a spare one from the pool where there is one.
        """

    def server(self, node: NodeSpec) -> Server: ...

    def fill_pool(self) -> None:
        """Bring the pool of spare data directories to its size; returns once it is full."""
