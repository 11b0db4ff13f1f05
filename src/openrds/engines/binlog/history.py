"""The one history of an instance, put together from the logs of the servers that were its primary one after another.

Each of them also logs what it receives as a follower. So its *chain*, its files one after another, tells all from where
the chain begins, and what came before is told by the chains of others; what these have beyond that never reached the
later primary, and is no part of the history.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openrds.engines.binlog.events import LogReader, Transaction
from openrds.engines.binlog.gtids import GtidSet
from openrds.engines.binlog.logs import Log, open_log
from openrds.engines.protocol import EngineError
from openrds.hosts.user import ServerUser


@dataclass(frozen=True)
class Chain:
    """Files of one server that follow each other. `before` is what its data had before it began to log at all.

    `turn` is the how-manieth primary of its instance it was last, as far as that is known.
    """

    logs: tuple[Log, ...]
    before: GtidSet = field(default_factory=GtidSet)
    turn: int = -1

    @property
    def needs(self) -> GtidSet:
        """All that happened before its first file."""
        return self.before | self._first.needs

    @property
    def age(self) -> tuple[int, int, int]:
        """The latest is that of the last primary."""
        return self.turn, *max((log.last, log.runs[-1].last) for log in self.logs if log.runs)

    @property
    def _first(self) -> Log:
        return next((log for log in self.logs if log.runs), self.logs[0])


@dataclass(frozen=True)
class Stretch:
    """Of a chain what counts: all of it, or what is within `limit`."""

    chain: Chain
    limit: GtidSet | None

    def counted(self, log: Log) -> GtidSet:
        return log.holds if self.limit is None else log.holds & self.limit

    def needed(self, log: Log) -> GtidSet:
        needed = self.chain.before | log.needs
        return needed if self.limit is None else needed & self.limit

    @property
    def told(self) -> GtidSet:
        found = GtidSet()
        for log in self.chain.logs:
            found |= self.counted(log)
        return found

    def counts(self, transaction: Transaction) -> bool:
        return self.limit is None or self.limit.holds(transaction.stream, transaction.number)


@dataclass(frozen=True)
class Piece:
    """Parts of a file to be replayed, each from one byte up to another, behind the file's first `head` bytes."""

    path: Path
    head: int
    parts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Replay:
    """What leads from a position to a moment.

    `reached` is all that is done then, `last` of each stream the last transaction that is replayed. `is_bounded` is
    whether a later transaction follows, so that the moment is known to be within the log.
    """

    pieces: tuple[Piece, ...]
    reached: GtidSet
    last: Mapping[str, Transaction]
    is_bounded: bool


class Gap(EngineError):  # noqa: N818 - says what is there
    """Log is missing that leads from a position on."""


def stretches(chains: Sequence[Chain], latest: Chain | None = None) -> tuple[Stretch, ...]:
    """The history, oldest first. `latest` is the chain of the present primary, where it is known."""
    ordered = sorted(
        (chain for chain in chains if any(log.runs for log in chain.logs)), key=lambda one: one.age
    )
    found: list[Stretch] = []
    limit: GtidSet | None = None
    for chain in (*([latest] if latest else []), *reversed(ordered)):
        found.append(Stretch(chain, limit))
        limit = chain.needs if limit is None else limit & chain.needs
    return tuple(reversed(found))


def covered(history: Sequence[Stretch]) -> GtidSet:
    """All that is told, and what came before that."""
    done = history[0].chain.needs if history else GtidSet()
    for stretch in history:
        done |= stretch.told
    return done


def goes_on_from(
    history: Sequence[Stretch], start: GtidSet, writers: Mapping[str, str], *, to_present: bool = False
) -> bool:
    """Whether it has all from a position on, and that is one of its own; `writers` as in `replay`.

    A history that goes `to_present` has all that was ever done.
    """
    done = start
    for stretch in history:
        for log in stretch.chain.logs:
            if _is_of_others(stretch, log, start, writers):
                return False
            counted = stretch.counted(log)
            if not counted <= done and not stretch.needed(log) <= done:
                return False
            done |= counted
    if not to_present:
        return True
    present = history[-1].chain
    return present.needs <= done and start <= covered(history[-1:])


def replay(
    history: Sequence[Stretch],
    start: GtidSet,
    until: int,
    user: ServerUser,
    writers: Mapping[str, str],
) -> Replay:
    """All from a position on that was committed up to a moment, in microseconds: it ends before the first later one.

    `writers` says of streams of MariaDB which server wrote the last transaction before the start.

    Raises:
        Gap: log is missing, or the start is on no history that goes on.
        EngineError: a file is damaged.
    """
    found = _Search(start, until, user, writers)
    for stretch in history:
        found.take(stretch)
    return Replay(tuple(found.pieces), found.done, found.last, found.is_bounded)


class _Search:
    """How far a `replay` has been put together."""

    def __init__(self, start: GtidSet, until: int, user: ServerUser, writers: Mapping[str, str]) -> None:
        self._start, self._until, self._user, self._writers = start, until, user, writers
        self.done, self.is_bounded = start, False
        self.last: dict[str, Transaction] = {}
        self.pieces: list[Piece] = []

    def take(self, stretch: Stretch) -> None:
        for log in stretch.chain.logs:
            if self.is_bounded:
                return
            if _is_of_others(stretch, log, self._start, self._writers):
                raise Gap("the backup has transactions that never reached the server that took over later")
            if stretch.counted(log) <= self.done:
                continue
            missing = stretch.needed(log) - self.done
            if missing:
                raise Gap(f"the log of the transactions {missing} is missing")
            self._read(stretch, log)

    def _read(self, stretch: Stretch, log: Log) -> None:
        with open_log(log.path, self._user) as file:
            reader = LogReader(file, log.path.name, torn=True)
            parts = list(_joined(self._wanted(stretch, reader)))
        if parts:
            self.pieces.append(Piece(log.path, reader.head.end, tuple(parts)))

    def _wanted(self, stretch: Stretch, reader: LogReader) -> Iterator[Transaction]:
        taken: dict[str, list[tuple[int, int]]] = {}
        for transaction in reader.transactions():
            if not transaction.is_whole or not stretch.counts(transaction):
                break
            if self.done.holds(transaction.stream, transaction.number):
                continue
            if transaction.committed > self._until:
                self.is_bounded = True
                break
            _note(taken, transaction)
            self.last[transaction.stream] = transaction
            yield transaction
        self.done |= GtidSet.of(taken)


def _note(taken: dict[str, list[tuple[int, int]]], transaction: Transaction) -> None:
    intervals = taken.setdefault(transaction.stream, [])
    number = transaction.number
    if intervals and intervals[-1][1] + 1 == number:
        intervals[-1] = (intervals[-1][0], number)
    else:
        intervals.append((number, number))


def _joined(transactions: Iterator[Transaction]) -> Iterator[tuple[int, int]]:
    begin = end = 0
    for transaction in transactions:
        if transaction.begin != end:
            if end:
                yield begin, end
            begin = transaction.begin
        end = transaction.end
    if end:
        yield begin, end


def _is_of_others(stretch: Stretch, log: Log, start: GtidSet, writers: Mapping[str, str]) -> bool:
    """Whether the file has, of another server, the very transaction that was the last before the start."""
    for run in log.runs:
        for _, last in start.of_stream(run.stream):
            counts = stretch.limit is None or stretch.limit.holds(run.stream, last)
            if counts and run.first <= last <= run.last and run.writer != writers.get(run.stream, run.writer):
                return True
    return False
