"""What MySQL and MariaDB call and say differently; all else of them is shared."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from openrds.domain.engine import EngineName
from openrds.domain.parameters import Parameter
from openrds.engines.binlog.sessions import Connection
from openrds.engines.protocol import Installation, NodeSpec, Upstream
from openrds.hosts.user import ServerUser


@dataclass(frozen=True)
class Channel:
    """How a follower stands, as it says itself.

    `upstream` is the address and port that it was told. `received` and `applied` are names of a file of the upstream's
    log and positions in it. `has_given_up` is whether it stopped at an error, so that waiting is in vain; `io_error` is
    the number of the one that keeps it from receiving, 0 for none. `is_drained` is whether it has applied all that it
    received.
    """

    upstream: tuple[str, int]
    receives: bool
    applies: bool
    has_given_up: bool
    received: tuple[str, int]
    applied: tuple[str, int]
    relay_bytes: int
    lag_seconds: float
    io_error: int
    error: str
    is_drained: bool

    @property
    def is_well(self) -> bool:
        """An upstream that does not have what it would need says so before it names its log."""
        return self.receives and self.applies and bool(self.received[0])

    @property
    def lag_bytes(self) -> int:
        if self.received[0] == self.applied[0]:
            return max(0, self.received[1] - self.applied[1])
        return 0 if self.is_drained else self.relay_bytes


@dataclass(frozen=True)
class Semisync:
    """What the settings of the waiting for followers are called, on the side that waits and on the one that confirms.

    `status` and `clients` are status variables: whether it is in force, and how many confirm.
    """

    enabled: str
    timeout: str
    wait_point: str
    wait_for_nobody: str
    confirms: str
    status: str
    clients: str


class Flavour(ABC):
    """Statements are as PyMySQL takes them, with `%s` for parameters.

    `daemon` is the server's program, `writers` are programs that make something of a node's data. `fixed_options` are
    those of `NodeSpec.options` that are fixed when data is made, as spares have them.
    `position` asks for all that a server has committed; `await_position` waits for such a position (first parameter)
    so many seconds (second), and says `reached` then. `followers` lists who follows, numbers and hosts in the columns
    `follower_columns`. `dump_commands` are what the process list calls their sessions, `all_sent` how the states of
    those begin that have sent all. `gone_for_good` are the errors of a follower whose upstream does not have what it
    would need, or not what it has. `object_rights` are all that a tenant has on what is in its databases, and may
    give; `is_no_role` tells accounts in `mysql.user` from what only looks like one. `hold_accounts` keeps all others
    from changing accounts until `release_accounts`, or the session's end; both are empty where no tenant may change
    any.
    """

    engine: ClassVar[EngineName]
    daemon: ClassVar[str]
    hold_accounts: ClassVar[str] = ""
    release_accounts: ClassVar[str] = ""
    recipe_program: ClassVar[str]
    fixed_options: ClassVar[Mapping[str, str]] = {}

    position: ClassVar[str]
    await_position: ClassVar[str]
    reached: ClassVar[int] = 0
    stop_following: ClassVar[str]
    stop_receiving: ClassVar[str]
    forget_upstream: ClassVar[str]
    followers: ClassVar[str]
    follower_columns: ClassVar[tuple[str, str]]
    dump_commands: ClassVar[tuple[str, ...]] = ("Binlog Dump", "Binlog Dump GTID")
    all_sent: ClassVar[tuple[str, ...]]
    gone_for_good: ClassVar[frozenset[int]]
    semisync: ClassVar[Semisync]
    writers: ClassVar[tuple[str, ...]]
    purged: ClassVar[str] = ""
    object_rights: ClassVar[str]
    is_no_role: ClassVar[str] = "TRUE"

    @abstractmethod
    def settings(self, node: NodeSpec) -> Mapping[str, str]:
        """The settings that only this flavour has, or has another value for."""

    @abstractmethod
    def catalogue(self, connection: Connection, node: NodeSpec) -> Iterable[Parameter]:
        """The parameters of a server that is there to be asked, and may be tried on."""

    @abstractmethod
    def read_only(self, wanted: bool) -> Mapping[str, str]:
        """The settings that keep clients from writing, or let them; each can be changed while the server runs."""

    @abstractmethod
    def make_command(
        self, installation: Installation, folder: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        """The command that makes a data directory, in which there is no account that anybody could log in to."""

    @abstractmethod
    def service_accounts(self, node: NodeSpec) -> Sequence[str]:
        """Statements that make the service's accounts anew, and bound others; each stands on one line."""

    @abstractmethod
    def identified(self, sealed_password: str) -> str:
        """The clause of an account with a sealed password; of an empty one nobody knows a password."""

    @abstractmethod
    def administrator_rights(self, account: str, node: NodeSpec) -> Sequence[str]:
        """Statements that give an account, named as SQL does, exactly the administrator's rights."""

    def as_granted(self, database: str) -> str:
        """The name of a database as rights on it have it."""
        return database

    def bounds(self, account: str) -> Sequence[str]:
        """Statements that keep an account of a tenant's out of the server's own databases, whatever it is granted."""
        return ()

    def new_account(self, account: str, identified: str, node: NodeSpec) -> Sequence[str]:
        """Statements that make an account with the administrator's rights, which has no more of them meanwhile."""
        return f"CREATE USER {account} {identified}", *self.administrator_rights(account, node)

    def renewed_rights(self, account: str, node: NodeSpec) -> Sequence[str]:
        """Statements that give an account which is in use its rights again, without its having more meanwhile."""
        return self.administrator_rights(account, node)

    @abstractmethod
    def tls(self, node: NodeSpec) -> Mapping[str, str]:
        """The settings with which a server speaks TLS with clients, or does not."""

    @abstractmethod
    def load_certificate(self, connection: Connection) -> None:
        """Have a running server read its certificate again, if it was started with one."""

    @abstractmethod
    def turn_to(self, upstream: Upstream, user: str, password: str) -> Sequence[tuple[str, Sequence[Any]]]:
        """The statements, with their parameters, that have a server follow another from where it is."""

    def lacking(self, connection: Connection, upstream: Upstream) -> str:
        """What a server has committed and its upstream has not, so that it can only follow as a copy of it.

        Nothing, where the upstream itself refuses such a one, or does not answer.
        """
        return ""

    @abstractmethod
    def adopt_own_position(self, connection: Connection) -> None:
        """Have it go on from all that is in its own log: what the upstream lacks of it, the upstream then refuses."""

    @abstractmethod
    def take_position(self, connection: Connection, position: str) -> None:
        """Have a server whose data is a copy take the source's position for its own; its own log is dropped.

        May be done again, as long as nothing was written since.
        """

    @abstractmethod
    def log_identity(self, data_dir: Path, user: ServerUser) -> str:
        """What tells the log of this data from that of other data which the node had before, or a word.

        Raises:
            OSError: it cannot be read.
        """

    @abstractmethod
    def channel(self, connection: Connection) -> Channel | None:
        """How it follows; None where it follows nobody."""

    @abstractmethod
    def imports_can_last(self, connection: Connection) -> bool:
        """Whether what `make_imports_last` promises can be had of this server."""

    @abstractmethod
    def make_imports_last(self, connection: Connection) -> None:
        """Tables that were imported until now survive a crash from then on."""

    @abstractmethod
    def begin_draining(self, connection: Connection, node: NodeSpec) -> bool:
        """Have a server that does not apply go on with what it had received; it stops at an error.

        It may have been acknowledged, and the upstream may be gone. False where there is nothing of the kind.
        """

    @abstractmethod
    def has_whole_log(self, connection: Connection) -> bool:
        """Whether a server's log has all that was ever done to its data since it was made, and is small.

        The session is one of the followers' account.
        """
