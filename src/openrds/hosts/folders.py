"""
Folders and files that are shared with users who are trusted less than we are.

A *home* is a folder of ours, in which we make, rename and remove what others have: they may pass through it to what
is theirs, and can put nothing in another's place. What is inside of a folder of theirs may be anything, a link, a
FIFO, another name of somebody's file. There we act as they do (`openrds.hosts.acting`), or go by descriptors that
follow no link, and open only what is a regular file.
"""

import errno
import glob
import os
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from openrds.hosts.errors import HostError

#: What openrds reads whole is small, but for lists of files.
MOST_BYTES = 2**20

#: Files that are synchronised at the same time share the commits of a file system's journal, each of which is a wait
#: for the disk; one after the other, two hundred small files took five times as long.
_SYNCED_AT_ONCE = 8
_OPENED_AT_ONCE = 64

_REMOVED = ".removed-"
#: How names of files end that are not whole yet, which whoever writes them renames: see `remove_drafts`.
DRAFT = ".draft"
#: A data directory is called so in whatever home it is.
_DATA = "data"


def make_home(path: Path) -> None:
    """Make a home, or find it made.

    Raises:
        HostError: it cannot be made, or is no folder.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.geteuid() == 0:
                os.fchown(descriptor, 0, 0)
                os.fchmod(descriptor, 0o711)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HostError(f"Cannot make the folder {path}: {error.strerror}.") from error


def take_back_homes(root: Path) -> None:
    """Make homes of the folders in `root`, and of those in them that hold data, that an earlier openrds gave away.

    Raises:
        OSError: one cannot be taken.
    """
    for home in root.glob("*"):
        _take_back(home)
        for inner in home.glob("*"):
            if inner.name != _DATA and (inner / _DATA).is_dir():
                _take_back(inner)


def _take_back(path: Path) -> None:
    """Without the links that were put into it since. Others may pass through once all is done."""
    found = path.lstat()
    if os.geteuid() or not stat.S_ISDIR(found.st_mode) or (found.st_uid, found.st_mode & 0o011) == (0, 0o011):
        return
    os.chown(path, 0, 0, follow_symlinks=False)
    for entry in path.iterdir():
        if entry.is_symlink():
            entry.unlink()
    make_home(path)


def remove_drafts(root: Path) -> None:
    """Remove from the homes in `root` what somebody had begun to write when he was killed.

    Who still writes does not find his draft again, and tries it anew.
    """
    for path in root.glob(f"*/.*{DRAFT}"):
        path.unlink(missing_ok=True)


def make_root(path: Path) -> None:
    """The same for one that may be a link to another disk."""
    if not path.is_dir():
        make_home(path)


def open_file(path: Path) -> BinaryIO:
    """
    Open a regular file to read, whatever may be in its place.

    Raises:
        OSError: it is not there, or is none.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read(path: Path, most: int = MOST_BYTES) -> bytes:
    """
    Raises:
        OSError: the file is not there, is no regular one, or is larger than `most` bytes.
    """
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, "File too large", str(path))
    return content


def regular_files(folder: Path) -> list[Path]:
    """Those that are in a folder themselves; none where there is no such folder."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    return []


def make_durable(folder: Path, *, tree: bool = True) -> None:
    """Return once a folder, or with `tree` everything in it, is on disk."""
    if not tree:
        for descriptor, _ in _top(folder):
            os.fsync(descriptor)
        return
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as threads:
        for descriptor, files in _walk(folder):
            left = iter(files)
            while names := list(islice(left, _OPENED_AT_ONCE)):
                _sync_files(names, descriptor, threads)
            os.fsync(descriptor)


def reserve(folder: Path) -> None:
    """Give each file below a folder the blocks that its size says: a server that writes there finds them free.

    Raises:
        OSError: there is no room, or a file cannot be written.
    """
    for path in folder.rglob("*"):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_blocks * 512 < found.st_size:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                os.posix_fallocate(descriptor, 0, found.st_size)
            finally:
                os.close(descriptor)


def used_bytes(folder: Path) -> int:
    """The bytes on disk of a folder and all below it. What disappears meanwhile does not count.

    Raises:
        OSError: there is no such folder.
    """
    blocks = 0
    for descriptor, files in _walk(folder):
        blocks += os.fstat(descriptor).st_blocks
        for name in files:
            with suppress(FileNotFoundError):
                blocks += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_blocks
    return blocks * 512


def hand_over(folder: Path, old_uid: int, uid: int, gid: int) -> None:
    """
    Give a folder and the files in it that are the old user's to another; done again, it goes on where it was cut off.

    A file with two names stays as it is: the other may be where it is not the old user's to give.
    """
    for descriptor, files in _walk(folder):
        for name in files:
            _hand_over_file(name, descriptor, old_uid, uid, gid)
        if os.fstat(descriptor).st_uid == old_uid:
            os.fchown(descriptor, uid, gid)


def remove(path: Path) -> None:
    """
    Remove what is in a home, and what an interrupted removal left; it disappears at once.

    Raises:
        HostError: something in it cannot be removed.
    """
    with suppress(FileNotFoundError):
        path.rename(path.with_name(f".{path.name}{_REMOVED}{secrets.token_hex(4)}"))
    for remains in path.parent.glob(f".{glob.escape(path.name)}{_REMOVED}*"):
        clear(remains)
        if remains.exists():
            raise HostError(f"Could not remove all of {remains}.")


def clear(path: Path) -> None:
    """Remove a folder in a home with all in it, as far as that goes: another remover may be at work in it."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:
        subprocess.run(("rm", "-rf", "--", str(path)), check=False, stderr=subprocess.DEVNULL)


def _top(folder: Path) -> Iterator[tuple[int, list[str]]]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor, []
    finally:
        os.close(descriptor)


def _walk(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Each folder in it by its descriptor, with the names of what is no folder; no link is followed.

    Raises:
        OSError: there is no such folder.
        HostError: it is too deep for us.
    """
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder))
    try:
        for _, _, files, descriptor in os.fwalk(folder, onerror=_unless_gone):
            yield descriptor, files
    except RecursionError:
        raise HostError(f"{folder} has folders in folders beyond measure.") from None


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _sync_files(names: Sequence[str], folder: int, threads: ThreadPoolExecutor) -> None:
    """They are opened here: who we act as is a matter of the thread."""
    descriptors: list[int] = []
    try:
        for name in names:
            if (descriptor := _open_file(name, folder)) is not None:
                descriptors.append(descriptor)
        list(threads.map(os.fsync, descriptors))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _open_file(name: str, folder: int) -> int | None:
    """None for what is no regular file: there is nothing to wait for."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENOENT):
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _hand_over_file(name: str, folder: int, old_uid: int, uid: int, gid: int) -> None:
    """By a descriptor: whoever may write to the folder can give the name to something else at any time."""
    with suppress(FileNotFoundError):
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            if found.st_uid == old_uid and stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                os.chown(f"/proc/self/fd/{descriptor}", uid, gid)
        finally:
            os.close(descriptor)
