"""What every engine can do. An engine is a package that implements `Engine` and passes the conformance suite.

Everything here may be called again after a crash at any point: an operation that finds its work done goes on.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.domain.engine import EngineName
from openrds.hosts.user import ServerUser


class EngineError(Exception):
    """A server did not do what it was asked; the message names the server and says what it reported."""


class NameTaken(EngineError):  # noqa: N818 - says what happened
    """Something of the new name is there already."""


class NotThere(EngineError):  # noqa: N818 - says what happened
    """There is no database, schema or table of the name."""


class LockedError(EngineError):
    """What was to be changed is held by a client's transaction: trying again at once cannot help."""


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

    `user` is whom the server runs as. `folder` holds everything of the node and belongs to it alone: `data/` and `log/`
    are the user's, the folder itself with the process record is ours. `socket_dir` is a short path for its Unix socket.
    `archive` is the folder where the instance's log is put: it is the same for all nodes of an instance. `memory_mb`
    and `vcpus` are the flavor's. `upstream` is the node that this one is a copy of and follows, None for a primary.
    `confirmed_by` are the ids of followers: what is committed is acknowledged once one of them has it on disk; with
    none, nobody is waited for. A follower that `takes_over` is soon to be what its upstream is, and has the settings
    of its own flavor, also where no follower can have them that lets anybody in: until it is promoted even we may not
    ask it.
    With `read_only` clients can change nothing, because the volume is full.
    """

    node_id: str
    user: ServerUser
    installation: Installation
    folder: Path
    socket_dir: Path
    archive: Path
    address: str
    port: int
    memory_mb: int
    vcpus: int
    time_zone: str = "UTC"
    read_only: bool = False
    upstream: "NodeSpec | None" = None
    confirmed_by: tuple[str, ...] = ()
    takes_over: bool = False

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

        What led to it of its log, and was not archived, is archived first. Returns by which means: `attached`,
        `rewound` or `copied`.
        """

    def archive_remains(self) -> None:
        """Archive what of the log that led to the upstream only this dead equal of it still has.

        Raises:
            EngineError: it cannot be archived.
        """

    def retire(self) -> str:
        """End the service of a primary: clients are cut, nothing more is written. Returns its last position."""

    def await_position(self, position: str, seconds: float) -> None:
        """Wait until a standby has applied all up to a position of its upstream.

        One that lets nobody in (`node.takes_over`) is not waited for. What it has confirmed it has on disk, and
        applies before it is promoted.
        """

    def catch_up(self, seconds: float) -> None:
        """Wait until a standby that can be asked has applied all that its upstream had on disk by now."""

    def promote(self) -> None:
        """Make a standby a primary."""

    def is_primary(self) -> bool:
        """Whether the data is a primary's: one that was promoted, or never followed. Cheap: no connection is made."""

    def state(self) -> StandbyState: ...

    def followers(self) -> tuple[Follower, ...]: ...

    def await_confirmation(self, seconds: float) -> None:
        """Wait until `node.confirmed_by` counts, and whoever is in it has all that was acknowledged before."""

    def forget(self, node_id: str) -> None:
        """Keep nothing back any more for a follower that does not come again."""

    def forget_others(self, node_ids: Collection[str]) -> None:
        """The same for each follower but these, so far as it is not there now."""


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

    def hangs(self) -> bool:
        """Whether it runs, and who connects waits in vain for any answer. One that refuses does not hang."""

    def kill(self) -> None:
        """End the server's process as a crash would.

        Raises:
            EngineError: it does not die.
        """

    def set_read_only(self, read_only: bool) -> None:
        """Keep clients from changing anything from now on, or let them again; the node's own word is not asked.

        A statement that is at work is ended. It is written down as `configure` would, and a server that does not run
        finds it when it starts.

        Raises:
            EngineError: the server did not take it.
        """

    def tidy(self, keep_days: int) -> None:
        """Remove server logs that are older than so many days, and rights that an older openrds left to clients."""

    def set_administrator(self, name: str, sealed_password: str) -> None:
        """Create the administrator, or give it another password; it may do all but be a superuser.

        An empty `sealed_password` means none: it cannot log in until it is given one.
        """


@dataclass(frozen=True)
class BaseBackup:
    """A copy of all data of a server, which needs nothing else to be restored to its `end`.

    `log_position` is the engine's word for where the log archive must begin for later moments to be reached.
    """

    begin: dt.datetime
    end: dt.datetime
    log_position: str
    size_bytes: int


@dataclass(frozen=True)
class RestorePoint:
    """What data is restored from: a base backup, and with a `moment` the log archived since then, up to that.

    `remains` is the data directory of the source where its server does not run: the log in it may go on where
    the archive ends.
    """

    backup: Path
    archive: Path
    moment: dt.datetime | None = None
    remains: Path | None = None


class Backups(Protocol):
    """How an engine makes copies of its data, and makes data of them again."""

    def back_up(self, node: NodeSpec, folder: Path) -> BaseBackup:
        """Copy all data of a running server into an empty folder, and look whether the copy is whole.

        Raises:
            EngineError: this host has no program for it, or the copy failed.
        """

    def break_off(self, folder: Path) -> None:
        """Have `back_up` into this folder fail, where it is at work."""

    def archive_log(self, node: NodeSpec) -> None:
        """Return once everything that is committed by now is in the archive, with a later commit behind it.

        Raises:
            EngineError: the server does not archive; the message says what it reports.
        """

    def is_archived_since(self, archive: Path, log_position: str, primary: NodeSpec | None = None) -> bool:
        """Whether the archive has all from a position on to its end, so that each moment between can be reached.

        Its end is at least where the log of a running primary begins that took another's place.

        Raises:
            EngineError: the primary does not answer.
        """

    def prune_archive(self, archive: Path, log_position: str | None) -> None:
        """Remove what comes before a position. Without one all may go, but for what was archived just now."""

    def restore(self, node: NodeSpec, point: RestorePoint) -> "Server":
        """Make the node's data directory from a restore point, whatever was in it.

        The server that replayed the log runs when this returns: on its Unix socket alone, and without regard
        for a power cut. It is the caller's to stop.

        Raises:
            EngineError: the data cannot be restored; the message says why.
        """

    def drop(self, node: NodeSpec) -> None:
        """Stop the server that `restore` left, and remove its folders; what it has is lost."""


@dataclass(frozen=True)
class TableCopy:
    """A table that is to be had again under another name. `schema` is empty for an engine without schemas."""

    database: str
    schema: str
    table: str
    new_name: str


@dataclass(frozen=True)
class DatabaseCopy:
    """A whole database that is to be had again under another name."""

    database: str
    new_name: str


Copies = Sequence[TableCopy] | Sequence[DatabaseCopy]


class Copying(Protocol):
    """How tables and databases get from one server into another that serves, under new names.

    They are copied out of the clients' sight first. `mark` is a word of letters and digits that tells the copies
    of one restore from those of others; all but `check_names` may be called again.
    """

    def check_names(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NameTaken: so is a new name.
            NotThere: the place of one is not.
        """

    def check_present(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NotThere: what is to be had again is not in the target, as it is now.
        """

    def copy(self, source: NodeSpec, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Copy with all that belongs to each: indexes, sequences, constraints, owner and rights.

        Raises:
            EngineError: the source does not have one of them, or the target cannot take it.
        """

    def publish(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Let the copies appear under their new names.

        Raises:
            EngineError: a name was taken meanwhile.
        """

    def discard(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Remove the copies, also those of a `publish` that stopped half-way."""


class Engine(Protocol):
    """A kind of database on this host."""

    name: EngineName

    @property
    def backups(self) -> Backups: ...

    @property
    def copying(self) -> Copying: ...

    def installations(self) -> tuple[Installation, ...]:
        """What this host has, newest version last."""

    def initialise(self, node: NodeSpec) -> None:
        """Make a fresh data directory of the node's user, never a copy of another.

        It appears whole or not at all, and takes a spare one from the pool where there is one.
        """

    def spare_owners(self, installation: Installation) -> list[int]:
        """The ids of the operating system's users that the spare data directories in the pool were made for."""

    def server(self, node: NodeSpec) -> Server: ...

    def fill_pool(self) -> None:
        """Bring the pool of spare data directories to its size; returns once it is full."""
