"""One engine by hand, in the words that the measurements have for all of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bench.hands.folder import folder_of
from openrds.engines.protocol import Installation
from openrds.hosts import processes
from openrds.hosts.processes import wait_until
from openrds.hosts.user import ServerUser
from support.dialects import Dialect, Session
from support.engines import ENGINE_DIRS
from support.service import ServiceUnderTest

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Bounds:
    """What openrds may take. Those of creations, of `switchover` and of `restore` are multiples of what it takes by
    hand, None where that is not compared; the others are seconds, MB of memory, and percent of a core.

    `create` is by how many spare data directories of each version the service keeps.
    """

    create: dict[int, float]
    pair: float
    switchover: float | None
    outage: float
    failover: float
    restore: float
    server_memory: float | None = None


@dataclass(frozen=True)
class Accident:
    """An instance whose table `orders` has lost its rows, and the moment before, in milliseconds."""

    service: ServiceUnderTest
    instance: dict[str, Any]
    backup: Path
    moment: int
    installation: Installation

    @property
    def archive(self) -> Path:
        return self.backup.parent / "wal"

    @property
    def node(self) -> Path:
        return self.service.data_dir / "nodes" / self.instance["nodes"][0]["id"]

    @property
    def sockets(self) -> Path:
        return self.service.data_dir / "run" / self.instance["nodes"][0]["id"]


class BarePair(ABC):
    """Two servers, `build` from a ready data directory; `stop` ends what runs of them."""

    def __init__(self, installation: Installation, root: Path, user: ServerUser) -> None:
        self.installation = installation
        self.root = root
        self.user = user

    @abstractmethod
    def prepare(self) -> None:
        """The ready data directory, as the service has one in its pool."""

    @abstractmethod
    def build(self) -> None:
        """Until the standby streams."""

    def switch_over(self) -> float:
        """The outage that a client sees; afterwards the old primary streams from the new one."""
        raise NotImplementedError

    def stop(self) -> None:
        for number in (0, 1):
            processes.stop_recorded(self.record(number))

    def record(self, number: int) -> Path:
        return self.root.parent / f"process{number}"


class Hand(ABC):
    """`rows` is how many the table has that is restored, `batches` in how many statements each half is written."""

    dialect: ClassVar[Dialect]
    bounds: ClassVar[Bounds]
    rows: ClassVar[int]
    make_orders: ClassVar[str]
    pair: ClassVar[type[BarePair]]

    @property
    def options(self) -> dict[str, str]:
        """Of a service that has the engine."""
        return {"engine_dirs": ",".join(map(str, ENGINE_DIRS))}

    @abstractmethod
    def serve(self, installation: Installation, root: Path, address: str) -> processes.Process:
        """A new server in a folder of its user's, which has answered its first query."""

    @abstractmethod
    def stop(self, server: processes.Process) -> None: ...

    @abstractmethod
    def insert_half(self, session: Session) -> None:
        """Half of the rows of `orders`."""

    @abstractmethod
    def moment(self, session: Session) -> int:
        """One between what was written and what will be, in milliseconds."""

    @abstractmethod
    def restore(self, accident: Accident) -> None:
        """The table as it was, as `orders_before`."""

    def first_query(self, address: str, user: str, password: str, **options: Any) -> None:
        def answers() -> bool:
            with (
                suppress(self.dialect.Error),
                self.dialect.connect(address, user=user, password=password, **options) as session,
            ):
                session.execute("select 1")
                return True
            return False

        assert wait_until(answers, _START_SECONDS, every=0.002), "no query was answered"

    @contextmanager
    def bare_pair(self, installation: Installation) -> Iterator[BarePair]:
        user = ServerUser.choose()
        with folder_of(user) as root:
            pair = self.pair(installation, root, user)
            try:
                pair.prepare()
                yield pair
            finally:
                pair.stop()
