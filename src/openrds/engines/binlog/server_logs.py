"""What servers of MySQL and MariaDB write down of themselves: lines of text, in UTC as we have them run.

The slow log has statements as they were sent. A client that sends one with lines such as the log's own has its own
entries read wrong; those of others are found again after it.
"""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

from openrds.domain.logs import ErrorEntry, LogKind, SlowEntry, microseconds
from openrds.domain.statements import LONGEST
from openrds.engines.binlog.configuration import error_log, log_folder, slow_log
from openrds.engines.binlog.sessions import FOLLOWER, SUPERUSER
from openrds.engines.logs import listed, read_end
from openrds.engines.protocol import LogFile, NodeSpec

#: `2026-02-03T04:05:06.123456Z 0 [Warning] [MY-010068] [Server] ...`, `2026-02-03  4:05:06 0 [Note] ...`, and
#: `260203  4:05:06 [ERROR] ...` of a server that dies.
_ERROR = re.compile(
    rb"^(?P<day>\d{4}-\d\d-\d\d|\d{6})[T ] ?(?P<time>\d?\d:\d\d:\d\d(?:\.\d{6})?)Z?(?: +\d+)? \[(?P<level>\w+)\] ",
    re.MULTILINE,
)
_LEVELS = {"SYSTEM": "INFO", "NOTE": "NOTE", "WARNING": "WARNING", "ERROR": "ERROR"}

_BEGINNING = re.compile(rb"^# (?:Time: |User@Host: )", re.MULTILINE)
_TIME = re.compile(rb"# Time: (?P<day>\d{4}-\d\d-\d\d|\d{6})[T ] ?(?P<time>\d?\d:\d\d:\d\d(?:\.\d{6})?)Z?\s*")
_HEAD = re.compile(
    rb"# User@Host: (?P<who>[^\n]*)\n(?P<notes>(?:\# [^\n]*\n)+)"
    rb"(?:use (?P<use>[^\n]*);\n)?(?:SET timestamp=(?P<began>\d{1,12})(?:\.\d*)?;\n)?"
)
_WHO = re.compile(rb"(?P<as>[^\n\[]*)\[(?P<user>[^\n\]]*)\] @ (?P<host>[^\n\[]*)\[(?P<address>[^\n\]]*)\]")
_NOTE = re.compile(rb"(Query_time|Lock_time|Rows_sent|Rows_examined): +(\S+)")
#: Of MariaDB, which always says it: empty where no database was chosen.
_SCHEMA = re.compile(rb"Schema: (?P<name>[^\n]*?)  QC_hit: ")
#: What a server that opens the file writes there.
_OPENED = re.compile(rb"\n[^\n]*, Version: [^\n]* started with:\n", re.DOTALL)
_OUR_OWN = frozenset({SUPERUSER, FOLLOWER})


class BinlogServerLogs:
    double_quotes_values = True

    def files(self, node: NodeSpec, kind: LogKind) -> list[LogFile]:
        current = slow_log(node) if kind is LogKind.SLOW else error_log(node)
        return listed(log_folder(node), node.user, lambda path: is_of(path, current))

    def read_end(self, node: NodeSpec, file: LogFile, most: int) -> bytes:
        return read_end(file.path, node.user, most)

    def errors(self, text: bytes) -> Iterator[ErrorEntry]:
        heads = list(_ERROR.finditer(text))
        ends = [*(head.start() for head in heads[1:]), len(text)]
        for head, end in zip(heads, ends, strict=False):
            if (at := _moment(head)) is not None:
                level = head["level"].decode().upper()
                yield ErrorEntry(at, _LEVELS.get(level, level), _text(text[head.end() : end]))

    def slow(self, text: bytes) -> Iterator[SlowEntry]:
        """Some of what is noted is so only where it is another than in the entry before."""
        starts = [found.start() for found in _BEGINNING.finditer(text)]
        ended: int | None = None
        database = b""
        for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
            if time := _TIME.match(text, start, end):
                ended = _moment(time)
            elif head := _HEAD.match(text, start, end):
                notes = dict(_NOTE.findall(head["notes"]))
                schema = _SCHEMA.search(head["notes"])
                database = head["use"] or (schema["name"] if schema else database)
                entry = _entry(head, notes, ended, database.strip(b"`"), text[head.end() : end])
                if entry is not None and entry.user not in _OUR_OWN:
                    yield entry


def is_of(path: Path, current: Path) -> bool:
    """Whether a file is the log that is written to, or was before it was closed."""
    return path.suffix == current.suffix and (
        path.stem == current.stem or path.stem.startswith(f"{current.stem}-")
    )


def _entry(
    head: re.Match[bytes], notes: dict[bytes, bytes], ended: int | None, database: bytes, rest: bytes
) -> SlowEntry | None:
    who = _WHO.search(head["who"])
    seconds = _number(notes.get(b"Query_time"))
    if who is None or (ended is None and head["began"] is None):
        return None
    opened = _OPENED.search(rest, 0, len(rest))
    return SlowEntry(
        at=ended if ended is not None else int(head["began"]) * 1_000_000 + int(seconds * 1_000_000),
        seconds=seconds,
        database=_text(database),
        user=_text(who["user"] or who["as"]),
        client=_text(who["address"] or who["host"]),
        statement=_text(rest[: opened.start()] if opened else rest),
        lock_seconds=_number(notes.get(b"Lock_time")),
        rows_sent=int(_number(notes.get(b"Rows_sent"))),
        rows_examined=int(_number(notes.get(b"Rows_examined"))),
    )


def _number(text: bytes | None) -> float:
    try:
        return min(max(float(text or 0), 0.0), 1e15)
    except ValueError:
        return 0.0


def _moment(found: re.Match[bytes]) -> int | None:
    day, time = found["day"].decode(), found["time"].decode()
    if "-" not in day:
        day = f"20{day[:2]}-{day[2:4]}-{day[4:]}"
    try:
        return microseconds(dt.datetime.fromisoformat(f"{day} {time.zfill(8)}").replace(tzinfo=dt.UTC))
    except ValueError:
        return None


def _text(text: bytes) -> str:
    """A little longer than what is shown: that it was cut is to be seen."""
    return text[: LONGEST + 4].decode(errors="replace").replace("\x00", "").strip()
