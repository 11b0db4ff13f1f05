"""Volumes: where a node's data is, and how much of it there may be. Sizes are in GB of 2**30 bytes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.domain.capacity import GB
from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home, make_root, remove, used_bytes


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
        """Make the volume, or find it made: a folder of ours, in which servers get folders of theirs.

        Raises:
            HostError: it cannot be made.
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

    def path(self, name: str) -> Path:
        """A hidden name is one of ours, for a volume that is being removed."""
        if not name or Path(name).name != name or name.startswith("."):
            raise HostError(f"{name!r} cannot be the name of a volume.")
        return self.root / name

    def create(self, name: str, size: int) -> Path:
        path = self.path(name)
        self.make_root()
        make_home(path)
        return path

    def make_root(self) -> None:
        make_root(self.root)

    def remove(self, name: str) -> None:
        remove(self.path(name))

    def grow(self, name: str, size: int) -> None:
        """Only what is watched for changes, and that is known to whoever watches."""

    def usage(self, name: str, size: int) -> Usage:
        path = self.path(name)
        try:
            used = used_bytes(path)
        except OSError as error:
            raise HostError(f"The volume {path} is not there: {error.strerror}.") from error
        return Usage(used, size * GB - used)

    def is_walked(self, name: str) -> bool:
        return True

    def make_ready(self, name: str) -> None:
        """A folder is there, and its limit keeps nothing from being written."""

    def attach(self) -> None:
        """A folder stays where it is."""
