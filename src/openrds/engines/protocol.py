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
    `socket_dir` is a short path for its Unix socket. `memory_mb` and `vcpus` are the flavor's. `upstream` is the node
    that this one is a copy of and follows, None for a primary. `confirmed_by` are the ids of followers: what is
    committed is acknowledged once one of them has it on disk; with none, nobody is waited for.
    With `read_only` clients can change nothing, because the volume is full.
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
    upstream: "NodeSpec | None" = None
    confirmed_by: tuple[str, ...] = ()

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"


@dataclass(frozen=True)
class StandbyState:
    """How far a server that follows another has come.

    `is_standby` is False for a primary. `streaming` is whether it hears of each change at once, `lag_bytes` what it
    has received and not applied, `lag_seconds` the age of its last change, 0.0 where it has applied all.
    """

    is_standby: bool
    streaming: bool
    lag_bytes: int
    lag_seconds: float


@dataclass(frozen=True)
class Follower:
    """A server that follows, as its upstream sees it.

    `confirms` is whether commits wait for it now, `lag_bytes` what it has not yet got on disk.
    """

    node_id: str
    streaming: bool
    confirms: bool
    lag_bytes: int


class Replication(Protocol):
    """One server as a copy of another, `node.upstream`, or as one that others copy.

    Each of these returns when it is so, and raises EngineError when it cannot be brought about.
    """

    def copy_upstream(self) -> None:
        """Make the data directory a copy of the upstream's, which runs, or has never run.

        It appears whole or not at all; one that is there already is kept.
        """

    def follow(self) -> None:
        """Start as a standby of the upstream, or turn to it from another; the standby hears of each change then."""

    def rejoin(self) -> str:
        """Follow the upstream after having been its equal: what it does not have is dropped.

        Returns by which means: `attached`, `rewound` or `copied`.
        """

    def retire(self) -> str:
        """End the service of a primary: clients are cut, nothing more is written. Returns its last position."""

    def await_position(self, position: str, seconds: float) -> None:
        """Wait until a standby has applied all up to a position of its upstream."""

    def promote(self) -> None:
        """Make a standby a primary."""

    def state(self) -> StandbyState: ...

    def followers(self) -> tuple[Follower, ...]: ...

    def await_confirmation(self, seconds: float) -> None:
        """Wait until `node.confirmed_by` counts, and whoever is in it has all that was acknowledged before."""

    def forget(self, node_id: str) -> None:
        """Keep nothing back any more for a follower that does not come again."""


class Server(Protocol):
    """One database server on this host."""

    node: NodeSpec

    @property
    def replication(self) -> Replication: ...

    def configure(self) -> None:
        """Write the configuration files that the node's flavor, address, port and upstream ask for."""

    def reload(self) -> None:
        """Write the configuration files, and have the running server take what it can without a restart."""

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
