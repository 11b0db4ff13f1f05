"""Where backups and the log archives of instances are: in the data directory, apart from the volumes of nodes.

What is here belongs to an instance and not to one of its nodes, and base backups may outlive their instance.
"""

import contextlib
import os
import re
import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path

from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_durable, make_home, make_root, read, remove
from openrds.hosts.user import ServerUser

_ARCHIVE = "wal"
_DATA = "data"
_UNFINISHED = ".making-"
_SET_ASIDE = ".aside-"
_GENERATION_FORM = re.compile(rb"[0-9a-f]{16}")
#: In an archive, which other log of the same names may follow in its place: which of them it is.
GENERATION = ".generation"


@dataclass(frozen=True)
class BackupFolders:
    """`root` holds a folder for each instance, and that one `wal/` and a folder for each base backup.

    These folders are ours; in them `wal/`, and `data/` of a base backup, are of the user that the servers run as.
    """

    root: Path
    #: Held by whoever puts log into archives from outside of the servers: none is moved away meanwhile. On a host one
    #: process does both.
    shipping: threading.RLock = field(default_factory=threading.RLock)

    def home(self, instance_id: str) -> Path:
        """The folder of all that is kept of an instance."""
        return self.root / instance_id

    def archive(self, instance_id: str) -> Path:
        """The log archive of an instance: all its nodes, one after the other, put their log here."""
        return self.root / instance_id / _ARCHIVE

    def generation(self, instance_id: str) -> str | None:
        """What tells the present archive of an instance from those before and after it; None where there is none.

        Raises:
            OSError: it cannot be written down.
        """
        archive = self.archive(instance_id)
        if not archive.exists():
            return None
        path, owner = archive / GENERATION, ServerUser.owning(archive)
        with contextlib.suppress(OSError), owner.acting():
            found = read(path)
            if _GENERATION_FORM.fullmatch(found):
                return found.decode()
        made = secrets.token_hex(8)
        self.note_generation(instance_id, made)
        return made

    def note_generation(self, instance_id: str, generation: str) -> None:
        """Say which the present archive is, of those that one after another had its place.

        Raises:
            OSError: it cannot be written down.
        """
        path = self.archive(instance_id) / GENERATION
        with ServerUser.owning(path.parent).acting():
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(generation)

    def backup(self, instance_id: str, backup_id: str) -> Path:
        """Where a finished base backup is, or would be."""
        return self.root / instance_id / backup_id

    def owner(self, instance_id: str, backup_id: str) -> ServerUser:
        """Whom a finished base backup belongs to, and with it the log archive of its instance.

        Raises:
            HostError: its data is not there.
        """
        data = self.backup(instance_id, backup_id) / _DATA
        try:
            return ServerUser.owning(data)
        except OSError as error:
            raise HostError(f"There is no base backup in {data.parent}: {error.strerror}.") from error

    def begin(self, instance_id: str, backup_id: str) -> Path:
        """An empty folder for a base backup in the making; what earlier attempts left is removed.

        It is another each time: a program that a dead worker left at work does not get at this attempt's.

        Raises:
            HostError: it cannot be made, or something in an old one cannot be removed.
        """
        self.make_root()
        home = self.root / instance_id
        make_home(home)
        self._remove_unfinished(instance_id, backup_id)
        unfinished = home / f"{_UNFINISHED}{backup_id}-{secrets.token_hex(4)}"
        make_home(unfinished)
        return unfinished

    def unfinished(self, instance_id: str, backup_id: str) -> list[Path]:
        """The folders that a base backup is, or was, made in."""
        return list((self.root / instance_id).glob(f"{_UNFINISHED}{backup_id}-*"))

    def finish(self, instance_id: str, backup_id: str, unfinished: Path) -> Path:
        """Give a base backup its name, once all of it is on disk."""
        finished = self.backup(instance_id, backup_id)
        make_durable(unfinished)
        unfinished.rename(finished)
        make_durable(finished.parent, tree=False)
        return finished

    def make_root(self) -> None:
        make_root(self.root)

    def remove(self, instance_id: str, backup_id: str) -> None:
        """Remove a base backup, finished or not, and the instance's folder if that was the last thing in it.

        Raises:
            HostError: something in it cannot be removed.
        """
        remove(self.backup(instance_id, backup_id))
        self._remove_unfinished(instance_id, backup_id)
        self._remove_home(instance_id)

    def remove_archive(self, instance_id: str) -> None:
        """Remove the log archive, and what was set aside of it."""
        with self.shipping:
            remove(self.archive(instance_id))
            self.forget_aside(instance_id)
            self._remove_home(instance_id)

    def set_archive_aside(self, instance_id: str, mark: str) -> None:
        """Begin the archive anew: what is in it is kept under another name. Done once for each mark."""
        aside = self._aside(instance_id, mark)
        with self.shipping:
            if not aside.exists() and self.archive(instance_id).exists():
                self.archive(instance_id).rename(aside)

    def bring_archive_back(self, instance_id: str, mark: str) -> None:
        """Undo `set_archive_aside`; what was archived since is removed."""
        aside = self._aside(instance_id, mark)
        with self.shipping:
            if aside.exists():
                remove(self.archive(instance_id))
                aside.rename(self.archive(instance_id))

    def forget_aside(self, instance_id: str) -> None:
        for aside in (self.root / instance_id).glob(f".{_ARCHIVE}{_SET_ASIDE}*"):
            remove(aside)

    def _remove_home(self, instance_id: str) -> None:
        with contextlib.suppress(OSError):  # there is something in it, or it is gone
            (self.root / instance_id).rmdir()

    def _aside(self, instance_id: str, mark: str) -> Path:
        return self.root / instance_id / f".{_ARCHIVE}{_SET_ASIDE}{mark}"

    def _remove_unfinished(self, instance_id: str, backup_id: str) -> None:
        for unfinished in self.unfinished(instance_id, backup_id):
            remove(unfinished)
