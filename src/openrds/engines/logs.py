"""What servers write to their logs."""

import contextlib
import os
import time
from pathlib import Path

from openrds.hosts.folders import open_file, regular_files
from openrds.hosts.user import ServerUser

_TAIL_BYTES = 64 * 1024
_DAY_SECONDS = 86400.0


class LogTail:
    """What has been written to the logs in a node's folder since this was made, as its user may read it."""

    def __init__(self, folder: Path, user: ServerUser) -> None:
        self._folder, self._user = folder, user
        with self._user.acting():
            self._sizes = {path: path.lstat().st_size for path in self._files()}

    def last_lines(self, count: int = 10) -> str:
        """Those of the file written last come last."""
        with self._user.acting():
            files = sorted(self._files(), key=lambda path: path.lstat().st_mtime_ns)
            lines = [line for path in files for line in self._new_text(path).splitlines() if line.strip()]
        return "\n".join(lines[-count:])

    def _files(self) -> list[Path]:
        return [path for path in regular_files(self._folder) if path.suffix == ".log"]

    def _new_text(self, path: Path) -> str:
        with contextlib.suppress(OSError), open_file(path) as file:  # it may have been replaced
            end = os.fstat(file.fileno()).st_size
            file.seek(max(self._sizes.get(path, 0), end - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode(errors="replace")
        return ""


def remove_older(folder: Path, days: int) -> None:
    """The newest file stays, however old: the server may be writing to it."""
    oldest = time.time() - days * _DAY_SECONDS
    files = sorted(regular_files(folder), key=lambda path: path.lstat().st_mtime)
    for path in files[:-1]:
        if path.lstat().st_mtime < oldest:
            path.unlink(missing_ok=True)
