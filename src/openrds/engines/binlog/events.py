"""The events of a binlog file, as MySQL 8.0 and newer and MariaDB 10.6 and newer write them: as much as tells which
transactions are in it, where, and when they were committed. What they do is not looked at.

Sources: MySQL's "Binlog Event" pages of its internals manual, MariaDB's "Replication Protocol" pages.
"""

import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from openrds.engines.binlog.gtids import GtidSet, Interval
from openrds.engines.protocol import EngineError

MAGIC = b"\xfebin"

_HEADER = struct.Struct("<IBIIIH")
_CHECKSUM_BYTES = 4
_CRC32 = 1
#: A flag of the first event while a server writes to the file; the checksum is made without it.
_IN_USE = 1
_PIECE = 2**20
#: A GTID set of a million intervals; nothing else that is looked into comes near.
_MOST_BODY_BYTES = 2**26

_QUERY, _ROTATE, _FORMAT, _XID, _STOP = 2, 4, 15, 16, 3
_XA_PREPARE = 38
_MYSQL_GTID, _MYSQL_ANONYMOUS, _MYSQL_PREVIOUS, _MYSQL_TAGGED = 33, 34, 35, 42
_MARIADB_CHECKPOINT, _MARIADB_GTID, _MARIADB_LIST, _MARIADB_ENCRYPTED, _MARIADB_QUERY = (
    161,
    162,
    163,
    164,
    165,
)
_LOOKED_INTO = (_QUERY, _FORMAT, _MYSQL_GTID, _MYSQL_PREVIOUS, _MARIADB_GTID, _MARIADB_LIST)
#: They stand between transactions.
_APART = (_ROTATE, _STOP, _FORMAT, _MYSQL_PREVIOUS, _MARIADB_LIST, _MARIADB_CHECKPOINT)

_MYSQL_GTID_HEAD = struct.Struct("<x16sQx16x")
_MARIADB_GTID_HEAD = struct.Struct("<QIB")
_STANDALONE = 1
_QUERY_HEAD = struct.Struct("<8xB2xH")
_ORIGINAL_FOLLOWS = 1 << 55
_CLOSING = (b"COMMIT", b"ROLLBACK", b"XA COMMIT", b"XA ROLLBACK")


class Event(NamedTuple):
    """`body` is empty where nobody looks into it."""

    kind: int
    begin: int
    end: int
    seconds: int
    server: int
    body: bytes


class Transaction(NamedTuple):
    """Where in the file it is, and when it was committed first, in microseconds since 1970.

    `writer` is the server that MariaDB names beside the stream. MariaDB says but the second, and that of the
    beginning of the last statement: it counts as just after the beginning of that second. So a whole second as a moment
    has nothing of what comes in it, and any later moment in it has all.
    """

    stream: str
    writer: str
    number: int
    committed: int
    begin: int
    end: int
    is_whole: bool


@dataclass(frozen=True)
class Head:
    """What a file begins with.

    `begun` is the second it was begun in, `end` where its first transaction may begin, `previous` what earlier files
    have.
    """

    begun: int
    end: int
    previous: GtidSet


class LogReader:
    """One file from its beginning on: first its `head`, then its transactions.

    Raises:
        EngineError: it is no such file, or is damaged. With `torn`, whatever is wrong is taken for its end, as in a
            file that a server was writing to when it died.
    """

    def __init__(self, file: BinaryIO, name: str, *, torn: bool = False) -> None:
        self._file, self._name, self._torn = file, name, torn
        self._checksums = False
        self._events = self._read_events()
        self._ahead: Event | None = None
        self.head = self._read_head()

    def transactions(self) -> Iterator[Transaction]:
        """Those of them that are not whole, too: at most the last is not."""
        event = self._ahead
        while event is not None:
            if event.kind in (_MYSQL_GTID, _MARIADB_GTID):
                event = yield from self._transaction(event)
            else:
                event = next(self._events, None)

    def _transaction(self, first: Event) -> Generator[Transaction, None, Event | None]:
        """Returns the event behind it."""
        last = first
        following: Event | None = None
        for event in self._events:
            if event.kind in (_MYSQL_GTID, _MARIADB_GTID, *_APART):
                following = event
                break
            last = event
        yield _mysql(first, last) if first.kind == _MYSQL_GTID else _mariadb(first, last, self._text(last))
        return following

    def _read_head(self) -> Head:
        if self._file.read(len(MAGIC)) != MAGIC:
            raise EngineError(f"{self._name} is no binlog, or is encrypted")
        begun, end, previous = 0, len(MAGIC), GtidSet()
        for event in self._events:
            if event.kind in (_MYSQL_GTID, _MARIADB_GTID):
                self._ahead = event
                break
            begun, end = begun or event.seconds, event.end
            if event.kind in (_MYSQL_PREVIOUS, _MARIADB_LIST):
                previous = self._previous(event)
        return Head(begun, end, previous)

    def _previous(self, event: Event) -> GtidSet:
        try:
            return _mysql_set(event.body) if event.kind == _MYSQL_PREVIOUS else _mariadb_set(event.body)
        except struct.error:
            raise EngineError(f"{self._name} does not say what comes before it") from None

    def _read_events(self) -> Iterator[Event]:
        position = len(MAGIC)
        while header := self._file.read(_HEADER.size):
            try:
                event = self._read_event(header, position)
            except EngineError:
                if self._torn:
                    return
                raise
            yield event
            position = event.end

    def _read_event(self, header: bytes, position: int) -> Event:
        if len(header) < _HEADER.size:
            raise self._damaged(position)
        seconds, kind, server, size, _, flags = _HEADER.unpack(header)
        if kind == _FORMAT:
            header = header[:-2] + struct.pack("<H", flags & ~_IN_USE)
        body = self._read_body(size - _HEADER.size, header, kind, position)
        if kind in (_MYSQL_ANONYMOUS, _MYSQL_TAGGED, _MARIADB_ENCRYPTED):
            raise EngineError(f"{self._name} has events of a kind ({kind}) that cannot be told apart")
        return Event(kind, position, position + size, seconds, server, body)

    def _read_body(self, size: int, header: bytes, kind: int, position: int) -> bytes:
        """Compared with its checksum; without that, and empty where nobody looks into it."""
        looked_into = kind in _LOOKED_INTO
        if size < 0 or (looked_into and size > _MOST_BODY_BYTES and kind != _QUERY):
            raise self._damaged(position)
        if size <= _PIECE or looked_into:
            body = self._file.read(size)
            if len(body) < size:
                raise self._damaged(position)
            if kind == _FORMAT:
                self._checksums = body[-_CHECKSUM_BYTES - 1] == _CRC32
            if not self._checksums:
                return body if looked_into else b""
            content, checksum = body[:-_CHECKSUM_BYTES], body[-_CHECKSUM_BYTES:]
            found = zlib.crc32(content, zlib.crc32(header))
        else:
            content = b""
            found, checksum = self._sum_up(size, header, position)
        if self._checksums and found != int.from_bytes(checksum, "little"):
            raise self._damaged(position)
        return content if looked_into else b""

    def _sum_up(self, size: int, header: bytes, position: int) -> tuple[int, bytes]:
        """The checksum of a body of any size, and what it should be."""
        found, left = zlib.crc32(header), size - _CHECKSUM_BYTES
        while left:
            piece = self._file.read(min(left, _PIECE))
            if not piece:
                raise self._damaged(position)
            found, left = zlib.crc32(piece, found), left - len(piece)
        checksum = self._file.read(_CHECKSUM_BYTES)
        if len(checksum) < _CHECKSUM_BYTES:
            raise self._damaged(position)
        return found, checksum

    def _text(self, event: Event) -> bytes | None:
        """Of a statement; None for what is none, or is compressed."""
        if event.kind != _QUERY:
            return None
        database, variables = _QUERY_HEAD.unpack_from(event.body)
        return event.body[_QUERY_HEAD.size + variables + database + 1 :]

    def _damaged(self, position: int) -> EngineError:
        return EngineError(f"{self._name} is damaged at byte {position}")


def _mysql(first: Event, last: Event) -> Transaction:
    server, number = _MYSQL_GTID_HEAD.unpack_from(first.body)
    at = _MYSQL_GTID_HEAD.size
    committed, at = int.from_bytes(first.body[at : at + 7], "little"), at + 7
    if committed & _ORIGINAL_FOLLOWS:
        committed, at = int.from_bytes(first.body[at : at + 7], "little"), at + 7
    size = _packed_length(first.body, at)
    return Transaction(
        _uuid(server), "", number, committed, first.begin, last.end, last.end - first.begin >= size
    )


def _mariadb(first: Event, last: Event, text: bytes | None) -> Transaction:
    number, domain, flags = _MARIADB_GTID_HEAD.unpack_from(first.body)
    if flags & _STANDALONE:
        is_whole = last.kind in (_QUERY, _MARIADB_QUERY)
    else:
        is_whole = last.kind in (_XID, _XA_PREPARE) or (text is not None and text.startswith(_CLOSING))
    committed = first.seconds * 1_000_000 + 1
    return Transaction(str(domain), str(first.server), number, committed, first.begin, last.end, is_whole)


def _mysql_set(body: bytes) -> GtidSet:
    (count,) = struct.unpack_from("<Q", body)
    if count >> 56:
        raise EngineError("transactions with tags cannot be told apart here")
    streams: dict[str, list[Interval]] = {}
    at = 8
    for _ in range(count):
        server, intervals = struct.unpack_from("<16sQ", body, at)
        at += 24
        found = struct.unpack_from(f"<{2 * intervals}Q", body, at)
        at += 16 * intervals
        streams[_uuid(server)] = [
            (first, end - 1) for first, end in zip(found[::2], found[1::2], strict=True)
        ]
    return GtidSet.of(streams)


def _mariadb_set(body: bytes) -> GtidSet:
    """Of each server of a domain the last that it wrote."""
    (count,) = struct.unpack_from("<I", body)
    last: dict[str, int] = {}
    for position in range(count & 0x0FFFFFFF):
        domain, _, number = struct.unpack_from("<IIQ", body, 4 + 16 * position)
        last[str(domain)] = max(number, last.get(str(domain), 0))
    return GtidSet.of({domain: [(1, number)] for domain, number in last.items()})


def _uuid(server: bytes) -> str:
    text = server.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _packed_length(body: bytes, at: int) -> int:
    """A number of MySQL that takes 1, 3, 4 or 9 bytes."""
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(body[at], 0)
    return int.from_bytes(body[at + 1 : at + 1 + width], "little") if width else body[at]
