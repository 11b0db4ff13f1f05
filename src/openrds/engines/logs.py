"""What servers write to their logs: files in a folder of the user that they run as, who may put anything there."""

import datetime as dt
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from openrds.domain.logs import KEPT
from openrds.engines.protocol import LogFile
from openrds.hosts.folders import open_file, regular_files
from openrds.hosts.user import ServerUser

_SUFFIXES = (".log", ".csv")
_TAIL_BYTES = 64 * 1024
#: A log that is larger is closed.
_LARGE_BYTES = 4 * 2**20
#: Of the logs of one kind that a server keeps.
_MOST_KEPT_BYTES = 32 * 2**20


class LogTail:
    """What has been written to the logs in a node's folder since this was made, as its user may read it.

    `lines` makes what people read of a piece of a log.
    """

    def __init__(
        self, folder: Path, user: ServerUser, lines: Callable[[str], list[str]] = str.splitlines
    ) -> None:
        self._folder, self._user, self._lines = folder, user, lines
        with self._user.acting():
            self._sizes = {path: path.lstat().st_size for path in self._files()}

    def last_lines(self, count: int = 10) -> str:
        """Those of the file written last come last."""
        with self._user.acting():
            files = sorted(self._files(), key=lambda path: path.lstat().st_mtime_ns)
            lines = [line for path in files for line in self._lines(self._new_text(path)) if line.strip()]
        return "\n".join(lines[-count:])

    def _files(self) -> list[Path]:
        return [path for path in regular_files(self._folder) if path.suffix in _SUFFIXES]

    def _new_text(self, path: Path) -> str:
        with suppress(OSError), open_file(path) as file:  # it may have been replaced
            end = os.fstat(file.fileno()).st_size
            file.seek(max(self._sizes.get(path, 0), end - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode(errors="replace")
        return ""


def prune(files: Iterable[Path]) -> None:
    """Remove those files of one log that were last written too long ago, or that are too much, oldest first.

    The newest stays in any case: the server may be writing to it.
    """
    found = [(path.lstat(), path) for path in files]
    found.sort(key=lambda one: one[0].st_mtime_ns, reverse=True)
    oldest, kept = time.time() - KEPT.total_seconds(), 0
    for status, path in found[1:]:
        kept += status.st_size
        if status.st_mtime < oldest or kept > _MOST_KEPT_BYTES:
            path.unlink(missing_ok=True)


def is_to_close(current: Path, files: Iterable[Path]) -> bool:
    """Whether a server is to begin another file: it is large, or the last one was closed a day ago.

    `files` are all of the log, of which those that were closed have the names of `closed_name`.
    """
    try:
        size = current.lstat().st_size
    except FileNotFoundError:
        return False
    a_day_ago = closed_name(current, dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    last = max((path.name for path in files if path.name != current.name), default="")
    return size >= _LARGE_BYTES or (size > 0 and last < a_day_ago.name)


def closed_name(current: Path, moment: dt.datetime | None = None) -> Path:
    """What a file is called from then on: in the order of their names, files are in that of time."""
    return current.with_name(
        f"{current.stem}-{moment or dt.datetime.now(dt.UTC):%Y-%m-%d_%H%M%S}{current.suffix}"
    )


def read_end(path: Path, user: ServerUser, most: int) -> bytes:
    """The last bytes of a file that its user may be writing to; nothing of one that is gone."""
    try:
        with user.acting():
            file = open_file(path)
        with file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            return file.read(most)
    except OSError:
        return b""


def listed(folder: Path, user: ServerUser, belongs: Callable[[Path], bool]) -> list[LogFile]:
    """The files of one log, in the order in which they were last written to."""
    with user.acting(), suppress(OSError):
        found = [(path, path.lstat()) for path in regular_files(folder) if belongs(path)]
        files = [LogFile(path, status.st_size, status.st_mtime) for path, status in found]
        return sorted(files, key=lambda file: (file.changed, file.path.name))
    return []
