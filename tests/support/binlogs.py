"""Binlog files as the servers write them, with as little in them as tells who did what when."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

_HEADER = struct.Struct("<IBIIIH")
_FORMAT, _QUERY, _XID, _ROTATE = 15, 2, 16, 4

#: Servers of MySQL in the tests, by a letter each; of MariaDB they are 1, 2, 3.
SERVERS = {letter: str(UUID(int=number)) for number, letter in enumerate("abc", 1)}
_IDS = {letter: number for number, letter in enumerate("abc", 1)}

#: A transaction: who wrote it, its number, the second it was committed in.
Written = tuple[str, int, int]


def _event(kind: int, seconds: int, server: int, body: bytes) -> bytes:
    size = _HEADER.size + len(body) + 4
    content = _HEADER.pack(seconds, kind, server, size, 0, 0) + body
    return content + struct.pack("<I", zlib.crc32(content))


def _format(seconds: int) -> bytes:
    return _event(_FORMAT, seconds, 1, struct.pack("<H50sIB", 4, b"test", 0, 19) + bytes(40) + b"\x01")


def _query(text: str, seconds: int) -> bytes:
    return _event(_QUERY, seconds, 1, struct.pack("<IIBHH", 0, 0, 1, 0, 0) + b"d\0" + text.encode())


def mysql_log(
    begun: int, transactions: Iterable[Written], previous: dict[str, tuple[int, int]] | None = None
) -> bytes:
    sets = b"".join(
        UUID(SERVERS[writer]).bytes + struct.pack("<QQQ", 1, first, last + 1)
        for writer, (first, last) in (previous or {}).items()
    )
    head = b"\xfebin" + _format(begun) + _event(35, begun, 1, struct.pack("<Q", len(previous or {})) + sets)
    return head + b"".join(_mysql_transaction(*one) for one in transactions)


def _mysql_transaction(writer: str, number: int, seconds: int) -> bytes:
    rest = _query("BEGIN", seconds) + _event(_XID, seconds, 1, bytes(8))
    body = b"\1" + UUID(SERVERS[writer]).bytes + struct.pack("<QBQQ", number, 2, 0, 1)
    body += (seconds * 1_000_000).to_bytes(7, "little")
    size = _HEADER.size + len(body) + 1 + 4 + len(rest)
    return _event(33, seconds, 1, body + bytes([size])) + rest


def mariadb_log(
    begun: int, transactions: Iterable[Written], previous: dict[str, tuple[int, int]] | None = None
) -> bytes:
    entries = b"".join(
        struct.pack("<IIQ", 0, _IDS[writer], last) for writer, (_, last) in (previous or {}).items()
    )
    listed = _event(163, begun, 1, struct.pack("<I", len(previous or {})) + entries)
    return b"\xfebin" + _format(begun) + listed + b"".join(_mariadb_transaction(*one) for one in transactions)


def _mariadb_transaction(writer: str, number: int, seconds: int) -> bytes:
    gtid = _event(162, seconds, _IDS[writer], struct.pack("<QIB", number, 0, 0) + bytes(6))
    return gtid + _event(_XID, seconds, 1, bytes(8))


def rotated(log: bytes, next_name: str = "binlog.000002") -> bytes:
    return log + _event(_ROTATE, 0, 1, struct.pack("<Q", 4) + next_name.encode())


def write(folder: Path, number: int, log: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"binlog.{number:06}"
    path.write_bytes(log)
    return path
