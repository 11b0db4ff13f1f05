"""What one binlog file has, in short. It is noted beside an archived one, so that nobody has to read that for it."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from openrds.engines.binlog.events import LogReader, Transaction
from openrds.engines.binlog.gtids import GtidSet, parse
from openrds.hosts.folders import DRAFT, open_file, read
from openrds.hosts.user import ServerUser

_NOTE = ".json"
_MOST_NOTE_BYTES = 2**26


@dataclass(frozen=True)
class Run:
    """Transactions of one stream and writer that follow each other, numbered one by one."""

    stream: str
    writer: str
    first: int
    last: int


@dataclass(frozen=True)
class Log:
    """A file. `previous` is what the files before it have, `begun` the second it was begun in.

    `first` and `last` are when its first and last transactions were committed, in microseconds, 0 where it has none.
    """

    path: Path
    begun: int
    previous: GtidSet
    runs: tuple[Run, ...] = ()
    first: int = 0
    last: int = 0

    @property
    def holds(self) -> GtidSet:
        streams: dict[str, list[tuple[int, int]]] = {}
        for run in self.runs:
            streams.setdefault(run.stream, []).append((run.first, run.last))
        return GtidSet.of(streams)

    @property
    def needs(self) -> GtidSet:
        """What must have been done before what it has: MariaDB numbers the transactions of a domain without a gap."""
        first: dict[str, int] = {}
        for run in self.runs:
            if run.writer:
                first.setdefault(run.stream, run.first)
        return self.previous | GtidSet.of({stream: [(1, number - 1)] for stream, number in first.items()})


class _Note(msgspec.Struct, frozen=True):
    begun: int
    previous: str
    runs: tuple[tuple[str, str, int, int], ...]
    first: int
    last: int


def summed_up(path: Path, user: ServerUser, *, torn: bool = False) -> Log:
    """Of a file as it lies there, which is read to its end.

    Raises:
        EngineError: it is damaged.
        OSError: it cannot be read.
    """
    with open_log(path, user) as file:
        reader = LogReader(file, path.name, torn=torn)
        return _sum_up(path, reader)


def noted(path: Path, user: ServerUser) -> Log:
    """Of a file in the archive: what is noted of it, or else `summed_up`."""
    with suppress(OSError, ValueError, msgspec.ValidationError):
        with user.acting():
            text = read(_note_of(path), _MOST_NOTE_BYTES)
        note = msgspec.json.decode(text, type=_Note)
        return Log(
            path,
            note.begun,
            parse(note.previous),
            tuple(Run(*run) for run in note.runs),
            note.first,
            note.last,
        )
    return summed_up(path, user, torn=True)


def write_note(log: Log, path: Path, user: ServerUser) -> None:
    """For the file that will be at the path."""
    runs = tuple((run.stream, run.writer, run.first, run.last) for run in log.runs)
    note = _Note(log.begun, str(log.previous), runs, log.first, log.last)
    write(_note_of(path), msgspec.json.encode(note), user)


def write(path: Path, content: bytes, user: ServerUser) -> None:
    """As the user, in a folder of its own; whoever reads sees the old content or the new."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{DRAFT}")
    with user.acting():
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def remove(path: Path, user: ServerUser) -> None:
    with user.acting():
        path.unlink(missing_ok=True)
        _note_of(path).unlink(missing_ok=True)


def open_log(path: Path, user: ServerUser) -> BinaryIO:
    with user.acting():
        return open_file(path)


def head_of(path: Path, user: ServerUser) -> Log:
    """Of a file that may be written to: only what it begins with."""
    with open_log(path, user) as file:
        reader = LogReader(file, path.name, torn=True)
        return Log(path, reader.head.begun, reader.head.previous)


def _sum_up(path: Path, reader: LogReader) -> Log:
    runs: list[Run] = []
    first = last = 0
    for transaction in _whole(reader.transactions()):
        first, last = first or transaction.committed, transaction.committed
        _add(runs, transaction)
    return Log(path, reader.head.begun, reader.head.previous, tuple(runs), first, last)


def _whole(transactions: Iterable[Transaction]) -> Iterator[Transaction]:
    return (transaction for transaction in transactions if transaction.is_whole)


def _add(runs: list[Run], transaction: Transaction) -> None:
    if runs and _goes_on(runs[-1], transaction):
        last = runs.pop()
        runs.append(Run(last.stream, last.writer, last.first, transaction.number))
    else:
        runs.append(Run(transaction.stream, transaction.writer, transaction.number, transaction.number))


def _goes_on(run: Run, transaction: Transaction) -> bool:
    return (run.stream, run.writer, run.last + 1) == (
        transaction.stream,
        transaction.writer,
        transaction.number,
    )


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{_NOTE}")
