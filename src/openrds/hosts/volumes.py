"""Volumes: where a node's data is, and how much of it there may be. Sizes are in GB of 2**30 bytes."""

import contextlib
import glob
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.domain.capacity import GB
from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser


@dataclass(frozen=True)
class Usage:
    """In bytes. `free` is what may still be written; below 0 where a watched volume has outgrown its size."""

    used: int
    free: int


class Volumes(Protocol):
    """The volumes of a host, each by a name. Whatever is done may be done again after a crash at any point."""

    def path(self, name: str) -> Path:
        """Where the volume is, or would be."""

    def create(self, name: str, size: int) -> Path:
        """Make the volume, or find it made: a folder that only the servers' user can look into.

        Raises:
            HostError: it cannot be made, or the user could not reach it.
        """

    def remove(self, name: str) -> None:
        """Remove the volume and all in it, also what an interrupted removal left.

        Raises:
            HostError: something in it cannot be removed, or is in use.
        """

    def grow(self, name: str, size: int) -> None:
        """Let the volume hold this much, while it is in use. One that is as large already stays as it is.

        Raises:
            HostError: it cannot be grown.
        """

    def usage(self, name: str, size: int) -> Usage:
        """How full the volume is, measured now.

        Raises:
            HostError: it is not there.
        """

    def is_walked(self, name: str) -> bool:
        """Whether each of its files is looked at to measure it, which takes long."""

    def make_ready(self, name: str) -> None:
        """Before its server starts: the volume is in its place, and a server can start on it however full it is.

        Raises:
            HostError: it cannot be brought there.
        """

    def attach(self) -> None:
        """Bring every volume to its place, as after a reboot.

        Raises:
            HostError: one cannot be brought there.
        """


@dataclass(frozen=True)
class FolderVolumes:
    """Plain folders, which share the disk they are on: whoever uses them watches how large they become."""

    root: Path
    user: ServerUser

    def path(self, name: str) -> Path:
        """A hidden name is one of ours, for a volume that is being removed."""
        if not name or Path(name).name != name or name.startswith("."):
            raise HostError(f"{name!r} cannot be the name of a volume.")
        return self.root / name

    def create(self, name: str, size: int) -> Path:
        path = self.path(name)
        self.make_root()
        self.user.make_folder(path)
        return path

    def make_root(self) -> None:
        """Others may pass through to what is theirs, but not list it."""
        if not self.root.is_dir():
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711)

    def remove(self, name: str) -> None:
        """It disappears at once, so that nobody sees half of it."""
        path = self.path(name)
        with contextlib.suppress(FileNotFoundError):
            path.rename(self.root / f".{name}.removed-{secrets.token_hex(4)}")
        for remains in self.root.glob(f".{glob.escape(name)}.removed-*"):
            shutil.rmtree(remains, ignore_errors=True)  # another remover may be at work in it
            if remains.exists():
                raise HostError(f"Could not remove all of {remains}.")

    def grow(self, name: str, size: int) -> None:
        """Only what is watched for changes, and that is known to whoever watches."""

    def usage(self, name: str, size: int) -> Usage:
        used = _disk_usage(self.path(name))
        return Usage(used, size * GB - used)

    def is_walked(self, name: str) -> bool:
        return True

    def make_ready(self, name: str) -> None:
        """A folder is there, and its limit keeps nothing from being written."""

    def attach(self) -> None:
        """A folder stays where it is."""


def _disk_usage(folder: Path) -> int:
    """The bytes on disk of a folder and all below it. What disappears meanwhile does not count.

    Raises:
        HostError: there is no such folder.
    """
    try:
        total, pending = folder.stat().st_blocks, [os.fspath(folder)]
    except OSError as error:
        raise HostError(f"The volume {folder} is not there: {error.strerror}.") from error
    while pending:
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
    return total * 512
