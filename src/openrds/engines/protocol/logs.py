"""What servers write down of themselves: errors, and statements that took long."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.domain.logs import ErrorEntry, LogKind, SlowEntry
from openrds.engines.protocol.node import NodeSpec


@dataclass(frozen=True)
class LogFile:
    """`size` in bytes; `changed` is when it was last written to, in seconds since 1970."""

    path: Path
    size: int
    changed: float


class ServerLogs(Protocol):
    """The parsers are pure. They take any bytes, such as a log from somewhere in the middle on: a client decides on
    much that is in it. What they cannot read they leave out, and they cut what is long.
    """

    @property
    def double_quotes_values(self) -> bool:
        """Whether double quotes in statements are around values, and not around names."""

    def files(self, node: NodeSpec, kind: LogKind) -> list[LogFile]:
        """Those that have entries of the kind, the oldest first. None where the node has no folder here."""

    def read_end(self, node: NodeSpec, file: LogFile, most: int) -> bytes:
        """The last bytes of a file; nothing of one that is gone."""

    def errors(self, text: bytes) -> Iterator[ErrorEntry]:
        """In the order in which they were written."""

    def slow(self, text: bytes) -> Iterator[SlowEntry]:
        """The same, without those of the service itself."""
