"""Copies of a log archive: a folder in which whole files appear, and now and then a small one is written anew.

`PREFIX/FILE/TIME-SIZE-NUMBER` is a part of a file, TIME and SIZE (ns, bytes) are those of the file: so the names alone
say what is there already, and which of two contents is the later. All parts of a file make it whole.
"""

import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openrds.hosts.backups import GENERATION
from openrds.hosts.folders import DRAFT, open_file
from openrds.hosts.user import ServerUser
from openrds.repository.errors import StrangeObjectError
from openrds.repository.repository import Repository
from openrds.repository.sealing import MOST_BYTES
from openrds.repository.transfers import in_order

#: How names of files end that are not whole yet.
_UNFINISHED = (DRAFT, ".tmp")
_COMPONENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}", re.ASCII)
_PART = re.compile(r"(\d{1,20})-(\d{1,15})-(\d{1,8})", re.ASCII)


@dataclass(frozen=True, order=True)
class LogFile:
    """As it was found: `written` is in ns since 1970, `size` in bytes, `path` below the archive."""

    written: int
    path: str
    size: int

    @property
    def parts(self) -> int:
        return max(1, -(-self.size // MOST_BYTES))

    def names(self, prefix: str) -> list[str]:
        return [f"{prefix}/{self.path}/{self.written}-{self.size}-{number}" for number in range(self.parts)]


def files_in(archive: Path, owner: ServerUser) -> list[LogFile]:
    """Those of an archive that are whole, oldest first."""
    with owner.acting():
        return sorted(_files_in(archive))


def _files_in(archive: Path) -> Iterator[LogFile]:
    for folder, folders, names in os.walk(archive):
        folders[:] = filter(_COMPONENT.fullmatch, folders)
        for name in names:
            if _COMPONENT.fullmatch(name) and name != GENERATION and not name.endswith(_UNFINISHED):
                path = Path(folder) / name
                with suppress(FileNotFoundError):
                    found = path.lstat()
                    if stat.S_ISREG(found.st_mode):
                        yield LogFile(found.st_mtime_ns, str(path.relative_to(archive)), found.st_size)


class LogCopy:
    """What the repository has of one archive; what is there is listed once.

    `is_alone`: nothing is left of the archives that were in its place before.
    """

    is_alone = False

    def __init__(self, repository: Repository, prefix: str) -> None:
        self._repository = repository
        self._prefix = prefix
        self._there = {name for name, _ in repository.sizes(prefix)}

    def send(self, archive: Path, owner: ServerUser, found: Iterable[LogFile]) -> bool:
        """Copy those files that are not there, in their order, and say whether there were any.

        What is written anew meanwhile is left to the next time.

        Raises:
            RepositoryError: one cannot be written there.
            OSError: one cannot be read.
        """
        new = (
            (file, number)
            for file in found
            for number, name in enumerate(file.names(self._prefix))
            if name not in self._there
        )

        def send_part(numbered: tuple[LogFile, int]) -> str | None:
            file, number = numbered
            content = _read_part(archive, owner, file, number)
            name = file.names(self._prefix)[number]
            if content is None:
                return None
            self._repository.write(name, content)
            return name

        has_new = False
        for name in filter(None, in_order(send_part, new)):
            self._there.add(name)
            has_new = True
        return has_new

    def remove_passed(self, found: Collection[LogFile], before: float) -> None:
        """Remove what is not in the archive any more: former contents of files, and files from before a moment.

        Those are in seconds since 1970: a file is not removed because it is missing alone, but if nobody needs it.

        Raises:
            RepositoryError: it cannot be removed.
        """
        present = {file.path: file for file in found}
        passed = []
        for file, names in files_of(self._prefix, self._there).items():
            now = present.get(file.path)
            is_former = now is not None and now.written > file.written and self._has(now)
            if is_former or (now is None and file.written < before * 1e9):
                passed += names
        self._repository.remove(passed)
        self._there.difference_update(passed)

    def _has(self, file: LogFile) -> bool:
        return self._there.issuperset(file.names(self._prefix))


def files_of(prefix: str, names: Iterable[str]) -> dict[LogFile, list[str]]:
    """The files, whole or not, that objects are parts of. What is no such part is nobody's."""
    found: dict[LogFile, list[str]] = defaultdict(list)
    for name in names:
        path, _, part = name.removeprefix(f"{prefix}/").rpartition("/")
        match = _PART.fullmatch(part)
        if match and path and all(map(_COMPONENT.fullmatch, path.split("/"))):
            found[LogFile(int(match[1]), path, int(match[2]))].append(name)
    return dict(found)


def fetch(
    repository: Repository, prefix: str, archive: Path, owner: ServerUser, got_on: Callable[[], None]
) -> None:
    """Make the files of a copy in an archive of the owner's: of each the last content that is whole.

    Those that are there are left, so that a fetch that was cut off goes on. `got_on` is called between files; what it
    raises ends the transfer.

    Raises:
        RepositoryError: what is there is not what was sent.
        OSError: a file cannot be written.
    """
    there = {name for name, _ in repository.sizes(prefix)}
    whole = [file for file in files_of(prefix, there) if there.issuperset(file.names(prefix))]
    latest = {file.path: file for file in sorted(whole)}
    for file in sorted(latest.values()):
        got_on()
        _fetch(repository, prefix, archive, owner, file)


def _fetch(repository: Repository, prefix: str, archive: Path, owner: ServerUser, file: LogFile) -> None:
    path = archive / file.path
    draft = path.with_name(f".{path.name}{DRAFT}")
    with owner.acting():
        with suppress(FileNotFoundError):
            if path.lstat().st_size == file.size and path.lstat().st_mtime_ns == file.written:
                return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        for content in in_order(repository.read, file.names(prefix)):
            target.write(content)
        target.flush()
        if target.tell() != file.size:
            raise StrangeObjectError(
                f"{prefix}/{file.path} in the backup repository has not the size it says."
            )
        os.fsync(target.fileno())
        os.utime(target.fileno(), ns=(file.written, file.written))
    with owner.acting():
        draft.replace(path)


def _read_part(archive: Path, owner: ServerUser, file: LogFile, number: int) -> bytes | None:
    """None if it is not that file any more.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with owner.acting():
            source = open_file(archive / file.path)
    except FileNotFoundError:
        return None
    with source:
        found = os.fstat(source.fileno())
        if (found.st_mtime_ns, found.st_size) != (file.written, file.size):
            return None
        source.seek(number * MOST_BYTES)
        content = source.read(MOST_BYTES)
    return content if len(content) == min(MOST_BYTES, file.size - number * MOST_BYTES) else None
