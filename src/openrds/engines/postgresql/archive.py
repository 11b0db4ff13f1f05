"""The archive of an instance's write-ahead log: a folder of segments, where each primary in turn puts its own.

A server that is promoted begins a timeline, whose history says where it left the ones before. What counts of those is
what comes before the segment where they were left: the new timeline has that one too, under its own name.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from openrds.engines.postgresql import sessions
from openrds.engines.postgresql.configuration import SEGMENT_BYTES, archive_command
from openrds.engines.postgresql.control import parse_position
from openrds.engines.postgresql.programs import Programs
from openrds.engines.protocol import NodeSpec
from openrds.hosts.user import ServerUser

SEGMENT = re.compile(r"[0-9A-F]{24}")
TIMELINE_DIGITS = 8
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_SEGMENTS_OF_A_LOG = 2**32 // SEGMENT_BYTES

#: The control file names the timeline of a primary only from its next checkpoint on.
_HISTORY_OF_SERVER = """
SELECT timeline, pg_read_file('pg_wal/' || timeline || '.history', 0, 1000000, true)
FROM substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline
"""

#: Of each timeline before the present one, the position where the next left it.
Forks = Mapping[int, int]


def read_history(text: str) -> Forks:
    """The forks that a history file tells of: in each line a timeline, and where the next one leaves it."""
    lines = [words for words in map(str.split, text.splitlines()) if words and not words[0].startswith("#")]
    return {int(words[0]): parse_position(words[1]) for words in lines}


def archive_remains(node: NodeSpec, forks: Forks, programs: Programs) -> None:
    """Put what a stopped server has not archived of the log that led to the present one where it would have put it.

    Raises:
        EngineError: it cannot be put there.
    """
    with node.user.acting():
        names = sorted(path.name for path in (node.data_dir / "pg_wal").glob("*"))
    for name in names:
        if _leads_on(name, forks) and not (node.archive / name).exists():
            programs.run(("sh", "-c", _archive_command(node.archive, name)), node.user, folder=node.data_dir)


def _archive_command(archive: Path, name: str) -> str:
    """As the server itself would run it, in its data directory."""
    words = {"%%": "%", "%f": name, "%p": f"pg_wal/{name}"}
    return re.sub("%[%fp]", lambda match: words[match[0]], archive_command(archive))


def history_of(node: NodeSpec) -> tuple[int, Forks]:
    """The timeline of a running primary, and where it left those before."""
    with sessions.superuser_session(node) as connection:
        row = connection.execute(_HISTORY_OF_SERVER).fetchone()
    assert row is not None
    return int(row[0], 16), read_history(row[1] or "")


def goes_on_from(archive: Path, position: str, present: tuple[int, Forks] | None = None) -> bool:
    """Whether the archive has each segment from one on to the newest there is, along the newest timeline's history.

    With the `present` history, of a primary, also what led to that, of which the archive may have nothing yet.
    """
    names = {path.name for path in archive.glob("*") if SEGMENT.fullmatch(path.name)}
    newest = max(names, default="")
    timeline, forks = present or _history_in(archive, newest or position)
    end = _number(newest) + 1 if newest else 0
    if present is not None:
        end = max([end, *(fork // SEGMENT_BYTES for fork in forks.values())])
    return all(_name(number, forks, timeline) in names for number in range(_number(position), end))


def _history_in(archive: Path, name: str) -> tuple[int, Forks]:
    """Of the timeline of a segment, as the archive tells it."""
    history = archive / f"{name[:TIMELINE_DIGITS]}.history"
    known = history.exists()
    forks = read_history(ServerUser.owning(archive).read(history).decode()) if known else {}
    return int(name[:TIMELINE_DIGITS], 16), forks


def _leads_on(name: str, forks: Forks) -> bool:
    """Whether a file is a whole segment from before a fork, or the history of a timeline that was left."""
    if match := _HISTORY.fullmatch(name):
        return int(match[1], 16) in forks
    timeline = int(name[:TIMELINE_DIGITS], 16) if SEGMENT.fullmatch(name) else 0
    return timeline in forks and _number(name) < forks[timeline] // SEGMENT_BYTES


def _number(name: str) -> int:
    """The how-manieth segment it is, whatever its timeline."""
    return int(name[8:16], 16) * _SEGMENTS_OF_A_LOG + int(name[16:24], 16)


def _name(number: int, forks: Forks, newest: int) -> str:
    timeline = min((one for one, fork in forks.items() if number < fork // SEGMENT_BYTES), default=newest)
    log, segment = divmod(number, _SEGMENTS_OF_A_LOG)
    return f"{timeline:08X}{log:08X}{segment:08X}"
