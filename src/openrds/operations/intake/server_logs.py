"""What the servers of an instance wrote down of themselves: of all its nodes on this host, in the order of time.

Reading is bounded, whatever is in the files. Nobody waits for a server: only its files are read.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from openrds.domain.instance_values import Instance, Node
from openrds.domain.logs import Entry, ErrorEntry, LogKind, SlowEntry, Window, microseconds, moment_of
from openrds.domain.statements import (
    is_about_accounts,
    normalised,
    shown,
    verb_of,
    without_passwords,
    without_quoted,
)
from openrds.engines.protocol import LogFile, NodeSpec, ServerLogs
from openrds.operations.intake.sight import Sight

#: Of the files of a node that a call reads, the newest of those that may have what it wants; and of one file, ...
MOST_BYTES = 4 * 2**20
#: ... as its end has enough where that is short.
_PIECES = (64 * 2**10, 2**20, MOST_BYTES)
#: How much later than its time an entry may come to stand in a file, and entries may stand in another order.
SETTLED = dt.timedelta(seconds=2)
_PLACES_AT_ONCE = 1000


@dataclass(frozen=True)
class Logged:
    """`number` tells entries of a kind apart, and their order is that of time."""

    number: int
    entry: Entry


@dataclass(frozen=True)
class FileOfNode:
    """A file as it is called outside: the node's id and its own name."""

    node: NodeSpec
    file: LogFile

    @property
    def name(self) -> str:
        return f"{self.node.node_id}_{self.file.path.name}"


@dataclass(frozen=True)
class InstanceLogs:
    """Those of one instance. May wait for the disk, and for the store."""

    instance: Instance
    logs: ServerLogs
    nodes: tuple[NodeSpec, ...]
    #: Folders of the host, about which nobody outside is to be told.
    folders: tuple[str, ...]

    @classmethod
    def find(cls, sight: Sight, instance: Instance, nodes: Sequence[Node]) -> "InstanceLogs":
        found = [spec for node in nodes if (spec := sight.find(instance, node)) is not None]
        programs = {str(spec.installation.bin_dir) for spec in found}
        folders = (*programs, str(sight.socket_root), str(sight.nodes_dir.parent))
        return cls(instance, sight.engines[instance.engine].logs, tuple(found), folders)

    def entries(self, kind: LogKind, window: Window) -> list[Logged]:
        """Those in the window, the oldest first; where it has too many, the newest."""
        found = [
            (entry.at, node.node_id, place, entry)
            for node in self.nodes
            for place, entry in enumerate(self._of_node(node, kind, window))
        ]
        return _numbered([entry for *_, entry in sorted(found, key=lambda one: one[:3])])

    def files(self, kind: LogKind) -> list[FileOfNode]:
        return [FileOfNode(node, file) for node in self.nodes for file in self.logs.files(node, kind)]

    def content(self, kind: LogKind, one: FileOfNode) -> str:
        """What may be shown of a file, of at most its last bytes."""
        text = self.logs.read_end(one.node, one.file, MOST_BYTES)
        return "".join(map(self._as_text, self._parsed(kind, text)))

    def statement(self, entry: SlowEntry) -> str:
        """What may be shown of it."""
        return shown(
            entry.statement,
            double_quotes_values=self.logs.double_quotes_values,
            with_values=self.instance.slow_log_with_values,
        )

    def verb(self, entry: SlowEntry) -> str:
        return verb_of(self.normalised(entry.statement))

    def message(self, entry: ErrorEntry) -> str:
        """What may be shown of it."""
        text = entry.content
        if entry.statement:
            delicate = is_about_accounts(self.normalised(entry.statement))
            statement = shown(entry.statement, double_quotes_values=self.logs.double_quotes_values)
            text = f"{without_quoted(text) if delicate else text}\nSTATEMENT: {statement}"
        for folder in self.folders:
            text = text.replace(f"{folder}/", "")
        return without_passwords(text)

    def normalised(self, statement: str) -> str:
        return normalised(statement, double_quotes_values=self.logs.double_quotes_values)

    def _as_text(self, entry: Entry) -> str:
        """An entry in a file for people."""
        time = moment_of(entry.at).isoformat(timespec="milliseconds")
        if isinstance(entry, ErrorEntry):
            message = self.message(entry).replace("\n", "\n\t")
            return f"{time} {entry.level} {message}\n"
        return (
            f"# Time: {time}\n# User: {entry.user}  Client: {entry.client}  Database: {entry.database}\n"
            f"# Query_time: {entry.seconds:.6f}  Lock_time: {entry.lock_seconds:.6f}  "
            f"Rows_sent: {entry.rows_sent}  Rows_examined: {entry.rows_examined}\n{self.statement(entry)};\n"
        )

    def _parsed(self, kind: LogKind, text: bytes) -> Iterator[Entry]:
        return self.logs.slow(text) if kind is LogKind.SLOW else self.logs.errors(text)

    def _of_node(self, node: NodeSpec, kind: LogKind, window: Window) -> list[Entry]:
        """File by file from the newest on, as far as that may be read."""
        files = self.logs.files(node, kind)
        begun = [0.0, *(file.changed for file in files)]
        left, pieces = MOST_BYTES, list[list[Entry]]()
        for begun_after, file in reversed(list(zip(begun, files, strict=False))):
            if left <= 0 or file.changed < (window.since - SETTLED).timestamp():
                break
            if begun_after > (window.until + SETTLED).timestamp():
                continue
            read, found = self._of_file(node, file, kind, window, left)
            left -= read
            pieces.append(found)
        return [entry for piece in reversed(pieces) for entry in piece]

    def _of_file(
        self, node: NodeSpec, file: LogFile, kind: LogKind, window: Window, most: int
    ) -> tuple[int, list[Entry]]:
        """How many bytes were read, and what is in the window. Mostly what is wanted is at the end."""
        enough = microseconds(window.since - SETTLED)
        for size in _PIECES:
            text = self.logs.read_end(node, file, min(size, most))
            found = list(self._parsed(kind, text))
            if len(text) < size or size >= most or (found and found[0].at < enough):
                break
        return len(text), [entry for entry in found if entry.at in window]


def numbers_from(number: int, window: Window) -> Window:
    """The part of a window that has what comes after an entry of that number."""
    return replace(window, since=max(window.since, _near(number) - SETTLED))


def numbers_before(number: int, window: Window) -> Window:
    return replace(window, until=min(window.until, _near(number)))


def _near(number: int) -> dt.datetime:
    """The time of an entry, or a little later."""
    return moment_of(min(number // _PLACES_AT_ONCE, microseconds(dt.datetime.max.replace(tzinfo=dt.UTC))))


def _numbered(entries: Sequence[Entry]) -> list[Logged]:
    """By its time, and its place among those of the same time: servers that tell seconds have many of one."""
    numbered: list[Logged] = []
    place, last = 0, -1
    for entry in entries:
        place = place + 1 if entry.at == last else 0
        last = entry.at
        numbered.append(Logged(entry.at * _PLACES_AT_ONCE + place, entry))
    return numbered
