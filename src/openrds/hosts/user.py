"""An unprivileged user of the operating system that servers run as."""

import os
import pwd
import stat
import subprocess
import tempfile
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from openrds.hosts import folders
from openrds.hosts.acting import acting_as
from openrds.hosts.errors import HostError

_PREFERRED = ("openrds", "postgres")


class Identity(TypedDict, total=False):
    """What `subprocess.Popen` needs to run a program as the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class ServerUser:
    """`name` is for messages; a user of an instance has but an id."""

    name: str
    uid: int
    gid: int

    @classmethod
    def choose(cls, name: str = "") -> "ServerUser":
        """
        As root the named user, else `openrds` or `postgres`, else a new `openrds`; otherwise ourselves.

        Raises:
            HostError: there is no such user, it is root, or it cannot be created.
        """
        if os.geteuid() != 0:
            return cls._current()
        if name:
            return cls._named(name)
        return next(filter(None, map(cls._find, _PREFERRED)), None) or cls._create(_PREFERRED[0])

    @classmethod
    def _current(cls) -> "ServerUser":
        try:
            entry = pwd.getpwuid(os.geteuid())
        except KeyError:
            raise HostError(
                f"The user id {os.geteuid()} has no name, and database servers refuse to run without one: "
                "add it to /etc/passwd."
            ) from None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def _find(cls, name: str) -> "ServerUser | None":
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def _named(cls, name: str) -> "ServerUser":
        user = cls._find(name)
        if user is None:
            raise HostError(f"There is no user {name} on this machine to run servers as.")
        if user.uid == 0:
            raise HostError("Database servers refuse to run as root; name another user.")
        return user

    @classmethod
    def _create(cls, name: str) -> "ServerUser":
        command = [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            name,
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            problem = done.stderr.strip()
        except OSError as error:
            problem = str(error)
        user = cls._find(name)
        if user is None:
            raise HostError(
                f"Could not create the user {name} to run servers as; create it yourself. {problem}"
            )
        return user

    def identity(self) -> Identity:
        """Only root may, and must, change to the user."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    @classmethod
    def owning(cls, path: Path) -> "ServerUser":
        """Whoever has a file or folder in one of ours.

        Raises:
            OSError: it is not there.
        """
        found = path.lstat()
        return cls(str(found.st_uid), found.st_uid, found.st_gid)

    def acting(self) -> AbstractContextManager[None]:
        """Within, this thread may do with files what the user may, and what it makes is the user's."""
        return acting_as(self.uid, self.gid)

    def take_over(self, folder: Path, old_uid: int) -> None:
        """Get what is the old user's of a folder in one of ours; no server is at work in it."""
        if old_uid != self.uid:
            folders.hand_over(folder, old_uid, self.uid, self.gid)

    def make_folder(self, path: Path, mode: int = 0o700) -> None:
        """
        Make a folder of the user's in one of ours, or correct the mode of the one there is.

        Raises:
            HostError: it cannot be made, belongs to a stranger, or the user could not reach it.
        """
        try:
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid not in (self.uid, os.geteuid()):
                    raise HostError(f"{path} exists and is not a folder of the user {self.name}.")
                self._own(descriptor)
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise HostError(f"Cannot make the folder {path}: {error.strerror}.") from error
        self.require_reach(path)

    def _own(self, descriptor: int) -> None:
        if os.geteuid() == 0:
            os.fchown(descriptor, self.uid, self.gid)

    def read(self, path: Path, most: int = folders.MOST_BYTES) -> bytes:
        """
        What is in a file of the user's, as the user itself could read it.

        Raises:
            OSError: it is not there, is not the user's to read, no regular file, or larger than `most` bytes.
        """
        with self.acting():
            return folders.read(path, most)

    def write(
        self,
        path: Path,
        text: str,
        mode: int = 0o600,
        *,
        durable: bool = True,
        drafts: Path | None = None,
    ) -> None:
        """
        Write a file of the user's: whoever reads sees the old text or the new; `durable`, after a power cut too.

        It is drafted in `drafts`, a folder of ours of the same file system, else beside the path.
        """
        descriptor, temporary = tempfile.mkstemp(folders.DRAFT, f".{path.name}.", drafts or path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                self._own(file.fileno())
                if durable:
                    os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise

    def blocked_at(self, path: Path) -> Path | None:
        """
        The first folder (or the program itself) on the way to `path` that the user may not enter.

        Judged from owner, group and mode of what exists: for a path still to be made, its parents.
        """
        path = path.resolve()
        return next((step for step in (*reversed(path.parents), path) if not self._may_enter(step)), None)

    def require_reach(self, path: Path) -> None:
        """
        Refuse a path that the user cannot enter.

        Raises:
            HostError: it says which folder is in the way, such as `/root is 0700`.
        """
        barrier = self.blocked_at(path)
        if barrier is not None:
            mode = stat.S_IMODE(barrier.stat().st_mode)
            raise HostError(
                f"{barrier} is {mode:04o}: the user {self.name}, who runs the servers, cannot reach {path}."
            )

    def _may_enter(self, path: Path) -> bool:
        try:
            found = path.stat()
        except OSError:
            return True
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid in self._groups():
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)

    def _groups(self) -> set[int]:
        """As root we drop all supplementary groups; as ourselves we keep them."""
        return {self.gid} if os.geteuid() == 0 else {self.gid, *os.getgroups()}
