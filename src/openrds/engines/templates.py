"""Fresh data directories, cut from one that the engine's program made: that takes a fraction of the work.

What tells one from another is made anew in each (`Recipe.identify`).
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.protocol import Installation
from openrds.engines.recipe import Recipe, run
from openrds.hosts.folders import clear, make_durable, make_home, reserve
from openrds.hosts.user import ServerUser

#: Of the program, and of a copy.
_SECONDS = 600
_ANY = ".template-"
#: The number changes with how it is made.
_NAME = f"{_ANY}2-"


def clear_outdated(place: Path) -> None:
    """Remove what an older openrds made in a `place`: folders, and the files that they are locked by."""
    for path in place.glob(f"{_ANY}*"):
        if path.name.startswith(_NAME):
            continue
        clear(path)
        if path.suffix == ".lock":
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Template:
    """The data directory that those of a version with the same `options` are cut from, never started.

    It is in `place`, and the service's user's.
    """

    recipe: Recipe
    installation: Installation
    options: Mapping[str, str]
    place: Path
    service: ServerUser

    @property
    def path(self) -> Path:
        options = ",".join(f"{name}={value}" for name, value in sorted(self.options.items()))
        return self.place / f"{_NAME}{hashlib.sha256(options.encode()).hexdigest()[:16]}"

    def cut(self, target: Path, pass_fds: Sequence[int] = ()) -> None:
        """
        Make a folder a fresh data directory of the service's user, on disk.

        Raises:
            EngineError: a program failed.
            HostError, OSError: a file cannot be written.
        """
        self.service.make_folder(target)
        with self._made(pass_fds):
            copy = ("cp", "--archive", "--reflink=auto", "--no-target-directory", self.path, target)
            self._run(copy, "cp", pass_fds)
        with self.service.acting():
            self.recipe.identify(target)
            if self.recipe.is_mostly_zeros:
                reserve(target)
        self._put_on_disk(target)

    def _put_on_disk(self, target: Path) -> None:
        """Its files alone: a whole file system has to wait for what others write."""
        if self.recipe.sync_command is None:
            make_durable(target)
        else:
            self._run(self.recipe.sync_command(self.installation, target), self.recipe.program)

    @contextmanager
    def _made(self, pass_fds: Sequence[int]) -> Iterator[None]:
        """Have the template for as long as the block lasts; of several that want it, one makes it."""
        make_home(self.place.parent)
        make_home(self.place)
        lock = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not self.path.exists():
                # The programs hold the lock too, should we die meanwhile.
                self._make((*pass_fds, descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def _make(self, pass_fds: Sequence[int]) -> None:
        # Not as others name what is unfinished, who remove what was left of that under a lock of their own.
        unfinished = f".unfinished{self.path.name}-"
        for remains in self.place.glob(f"{unfinished}*"):
            clear(remains)
        made, whole = (self.place / (unfinished + secrets.token_hex(8)) for _ in range(2))
        try:
            self.service.make_folder(made)
            command = self.recipe.command(self.installation, made, self.options)
            self._run(command, self.recipe.program, pass_fds)
            if self.recipe.is_mostly_zeros:
                # Without the zeros, which each copy would have to write.
                self.service.make_folder(whole)
                copy = ("cp", "--archive", "--sparse=always", "--no-target-directory", made, whole)
                self._run(copy, "cp", pass_fds)
            else:
                made.rename(whole)
            self._put_on_disk(whole)
            whole.rename(self.path)
        finally:
            clear(made)
            clear(whole)

    def _run(self, command: Sequence[str | Path], program: str, pass_fds: Sequence[int] = ()) -> None:
        run(command, self.service, f"a data directory of {self.recipe.engine}: {program}", _SECONDS, pass_fds)
