"""A folder of files as a list, and made of a list again.

In a folder of ours others have folders of theirs: in those we act as their owner, so that what is planted there leads
us nowhere that the owner could not go. What a list names stays below the folder, and is a file or a folder.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from openrds.hosts.errors import HostError
from openrds.hosts.folders import open_file
from openrds.hosts.user import ServerUser
from openrds.repository.errors import RepositoryError

_PERMISSIONS = 0o777


class Entry(msgspec.Struct, frozen=True):
    """`path` is below the folder, percent-encoded; `size` in bytes, None for a folder."""

    path: str
    mode: int
    size: int | None = None


@dataclass(frozen=True)
class Tree:
    """`home` is ours; what is in its folders is `owner`'s."""

    home: Path
    owner: ServerUser

    def entries(self) -> Iterator[Entry]:
        """Folders before what is in them, and else by name: the same each time.

        Raises:
            HostError: there is something that is neither.
        """
        for found in sorted(os.scandir(self.home), key=lambda entry: entry.name):
            if found.is_dir(follow_symlinks=False):
                with self.owner.acting():
                    inner = list(self._below(found.name))
                yield from inner
            else:
                yield self._entry(found.name, found.stat(follow_symlinks=False))

    def _below(self, name: str) -> Iterator[Entry]:
        yield self._entry(name, os.lstat(self.home / name))
        for folder, folders, files in os.walk(self.home / name, onerror=_raise):
            folders.sort()
            for one in sorted([*folders, *files]):
                path = Path(folder) / one
                yield self._entry(str(path.relative_to(self.home)), path.lstat())

    def _entry(self, path: str, found: os.stat_result) -> Entry:
        mode, encoded = stat.S_IMODE(found.st_mode) & _PERMISSIONS, quote_from_bytes(os.fsencode(path))
        if stat.S_ISDIR(found.st_mode):
            return Entry(encoded, mode)
        if not stat.S_ISREG(found.st_mode):
            raise HostError(f"{self.home / path} is neither a file nor a folder, and is not copied.")
        return Entry(encoded, mode, found.st_size)

    def open(self, entry: Entry) -> BinaryIO:
        path = self._place(entry)
        with self._acting(path):
            return open_file(path)

    def make(self, entry: Entry) -> BinaryIO | None:
        """A folder, or a file that is open to be written. It was not there.

        Raises:
            RepositoryError: the entry leads out of the folder.
            OSError: it cannot be made.
        """
        path = self._place(entry)
        if entry.size is None and path.parent == self.home:
            self.owner.make_folder(path, entry.mode & _PERMISSIONS)
            return None
        with self._acting(path):
            if entry.size is None:
                path.mkdir(mode=entry.mode & _PERMISSIONS | stat.S_IRWXU)
                return None
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(path, flags, entry.mode & _PERMISSIONS)
        os.fchmod(descriptor, entry.mode & _PERMISSIONS)
        return os.fdopen(descriptor, "wb")

    def _place(self, entry: Entry) -> Path:
        decoded = os.fsdecode(unquote_to_bytes(entry.path))
        parts = decoded.split("/")
        if "\0" in decoded or any(part in ("", ".", "..") for part in parts):
            raise RepositoryError(f"{entry.path} is no name of a file in a backup.")
        return self.home.joinpath(*PurePosixPath(decoded).parts)

    def _acting(self, path: Path) -> AbstractContextManager[None]:
        """What is in the home itself is ours to open and to make."""
        return nullcontext() if path.parent == self.home else self.owner.acting()


def _raise(error: OSError) -> None:
    raise error
