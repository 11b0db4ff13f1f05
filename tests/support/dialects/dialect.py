"""What a test may ask of any engine, in the same words."""

import datetime as dt
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from openrds.domain.engine import RULES, EngineName, EngineRules
from openrds.engines.protocol import NodeSpec

#: Of the administrators that the tests of engines make.
PASSWORD = "Secret#Word_1"


class Session(Protocol):
    """A client's connection, each statement committed by itself unless it says otherwise."""

    def execute(self, statement: str, arguments: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a statement whose places are `%s`; none of one that gives none."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Dialect(ABC):
    """`database` is where a client's tables are if it says nothing, `schema` what they are in there, and `open_to_all`
    a database where anybody may be; the statements give one value each.
    """

    engine: EngineName
    database: str
    schema: str
    open_to_all: str

    #: What a client is told: whatever it is, that it is not let in or cut off, and how its words begin when its
    #: password is wrong, when it would be somebody of openrds' own, and when it may not write.
    Error: type[Exception]
    Refused: type[Exception]
    wrong_password: str
    not_over_tcp: str
    read_only: str

    #: Who openrds is on the server.
    service_user: str

    #: Statements.
    identity: str
    checksums: str
    #: Whether who asks has a right that no tenant may have.
    is_privileged: str
    #: What an account without rights on the server may not do.
    privileged: Sequence[str]
    buffers_mb: str
    connections: str
    server_started: str
    #: That takes very long.
    busy: str

    #: A file in the data without which no server starts, and what an error says of one that `break_data` broke.
    vital: str
    broken: str
    #: How far commits must be apart for a moment between them to be restored, in seconds.
    resolution: float

    @property
    def rules(self) -> EngineRules:
        return RULES[self.engine]

    @property
    def port(self) -> int:
        return self.rules.default_port

    @property
    def synchronous(self) -> str:
        """The replication mode in which a commit waits for the standby."""
        return next(mode for mode in self.rules.replication_modes if mode != "async")

    def flavor(self, size: str = "medium.2", kind: str = "") -> str:
        """`kind` is empty, `ha` or `rr`."""
        return f"rds.{self.rules.flavor_token}.n1.{size}" + (f".{kind}" if kind else "")

    def task_name(self, name: str) -> str:
        """Of a task that has the engine's name in its own: `Create{}Instance`."""
        return name.format(self.rules.task_token)

    @abstractmethod
    def connect(
        self,
        address: str,
        port: int | None = None,
        *,
        user: str = "root",
        password: str = PASSWORD,
        database: str | None = None,
        seconds: int = 10,
        ca: Path | None = None,
        name: str | None = None,
        plain: bool = False,
    ) -> Session:
        """
        A session over TCP; whatever it waits for takes `seconds` at most while it connects. With `ca` over TLS, with a
        server that proves by a certificate of this CA's that it is the one of the address, or of the `name` that this
        was found by. One that is `plain` does without TLS, also where it is offered.

        Raises:
            Refused: it is not let in.
        """

    def query(self, node: NodeSpec, statement: str, **options: Any) -> Any:
        """The first column of the first row, None where there is none."""
        with self.connect(node.address, node.port, **options) as session:
            rows = session.execute(statement)
            return rows[0][0] if rows else None

    @abstractmethod
    def rows(self, table: str, count: int) -> str:
        """The statement that makes a table of one column `x`, from 1 on."""

    @abstractmethod
    def make_user(self, name: str, password: str, table: str) -> tuple[str, ...]:
        """The statements by which an administrator makes a user that may read a table."""

    @abstractmethod
    def set_password(self, name: str, password: str) -> str:
        """The statement by which an administrator gives a user another password."""

    @abstractmethod
    def now(self, session: Session) -> dt.datetime:
        """The server's own time."""

    @abstractmethod
    def buffers_of(self, memory_mb: int) -> int:
        """How many MB a server with so much memory keeps its pages in."""

    @abstractmethod
    def connections_of(self, memory_mb: int) -> int: ...

    @abstractmethod
    def close_log(self, node: NodeSpec) -> str:
        """Write something, and give the name in the archive of the file of the log that is then complete."""

    @abstractmethod
    def hold_archiver(self, pid: int) -> None:
        """Have a server archive nothing any more by itself."""

    def break_data(self, node: NodeSpec) -> None:
        """So that a server does not start with it."""
        os.truncate(node.data_dir / self.vital, 100)

    @abstractmethod
    def kept_for_followers(self, node: NodeSpec) -> int | None:
        """For how many followers a primary keeps its log; None where it keeps it for nobody in particular."""

    def count_tables(self, name: str) -> str:
        """The statement that says how many there are whose name is like this."""
        return f"SELECT count(*) FROM information_schema.tables WHERE table_name LIKE '{name}'"
