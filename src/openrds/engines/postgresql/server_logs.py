"""What a PostgreSQL server writes down of itself: CSV, the one form that quotes all that clients decide on.

Source: PostgreSQL's documentation, 20.8.4, whose columns are the same in all versions up to the application's name.
"""

import datetime as dt
import re
from collections.abc import Iterator

from openrds.domain.logs import ErrorEntry, LogKind, SlowEntry, microseconds
from openrds.domain.statements import LONGEST
from openrds.engines.logs import listed, read_end
from openrds.engines.postgresql.configuration import FOLLOWER, LOADER, SUPERUSER, log_folder
from openrds.engines.protocol import LogFile, NodeSpec

_QUOTED = rb'"(?:[^"]|"")*+"'
_FIELD = rb'(?:"(?:[^"]|"")*+"|[^",\n]*+)'
_KEPT = rb'("(?:[^"]|"")*+"|[^",\n]*+)'
_LEFT_OUT = rb"(?:" + _FIELD + rb",)"
#: A record. Of its fields it gives the time (in UTC, as we have it written), the user, the database, where the client
#: is, the severity, the message, its detail, the hint, and the statement.
_RECORD = re.compile(
    rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) [^,\n]{1,40},"
    + b",".join((_KEPT, _KEPT, _FIELD, _KEPT))
    + b","
    + _LEFT_OUT * 6
    + b",".join((_KEPT, _FIELD, _KEPT, _KEPT, _KEPT))
    + b","
    + _LEFT_OUT * 3
    + _KEPT
    + b","
    + _LEFT_OUT * 2
    + _FIELD
    + rb"(?:,"
    + _FIELD
    + rb")*+\r?$",
    re.MULTILINE,
)
_DURATION = re.compile(rb'"?duration: (\d+\.\d+) ms(?:  [a-z]+(?: [^:]{0,200})?: |"?$)')
#: Before statements that are logged for another reason than that they were slow or failed.
_STATEMENT = re.compile(r"(?:statement|(?:parse|bind|execute)(?: [^:]{0,200})?): ")
_OUR_OWN = frozenset({SUPERUSER, LOADER, FOLLOWER})
_LEVELS = {"NOTICE": "NOTE"}
_DEBUGGING = "DEBUG"


class PostgreSQLServerLogs:
    """Both kinds are in the same files."""

    double_quotes_values = False

    def files(self, node: NodeSpec, kind: LogKind) -> list[LogFile]:
        return listed(log_folder(node), node.user, lambda path: path.suffix == ".csv")

    def read_end(self, node: NodeSpec, file: LogFile, most: int) -> bytes:
        return read_end(file.path, node.user, most)

    def errors(self, text: bytes) -> Iterator[ErrorEntry]:
        for found in _RECORD.finditer(text):
            time, user, _, _, severity, message, detail, hint, statement = found.groups()
            if _DURATION.match(message):
                continue
            level, text_said, of = _text(severity), _text(message), _text(statement)
            if logged := _STATEMENT.match(text_said):
                text_said, of, detail = logged[0].rstrip(": "), text_said[logged.end() :], b""
            said = [text_said]
            said += [
                f"{name}: {_text(field)}" for name, field in (("DETAIL", detail), ("HINT", hint)) if field
            ]
            yield ErrorEntry(
                at=_moment(time),
                level="LOG" if level.startswith(_DEBUGGING) else _LEVELS.get(level, level),
                content="\n".join(said)[:LONGEST],
                statement="" if _text(user) in _OUR_OWN else of,
            )

    def slow(self, text: bytes) -> Iterator[SlowEntry]:
        for found in _RECORD.finditer(text):
            time, user, database, client, _, message, *_ = found.groups()
            duration = _DURATION.match(message)
            if duration is None or _text(user) in _OUR_OWN:
                continue
            said = _cut(message[duration.end() :].removesuffix(b'"').replace(b'""', b'"'))
            if not said:
                continue
            yield SlowEntry(
                at=_moment(time),
                seconds=float(duration[1]) / 1000,
                database=_text(database),
                user=_text(user),
                client=_text(client).rpartition(":")[0] or _text(client),
                statement=said,
            )


def lines(text: str) -> list[str]:
    """What people read of a piece of a log: of CSV what happened and how bad it is, and all else as it is."""
    entries = list(PostgreSQLServerLogs().errors(text.encode()))
    return [f"{entry.level}:  {line}" for entry in entries for line in entry.content.splitlines()] or (
        text.splitlines()
    )


def _moment(text: bytes) -> int:
    return microseconds(dt.datetime.fromisoformat(text.decode()).replace(tzinfo=dt.UTC))


def _text(field: bytes) -> str:
    if field.startswith(b'"'):
        field = field[1:-1].replace(b'""', b'"')
    return _cut(field)


def _cut(text: bytes) -> str:
    """A little longer than what is shown: that it was cut is to be seen."""
    return text[: LONGEST + 4].decode(errors="replace").replace("\x00", "")
