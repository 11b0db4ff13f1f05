"""Data directories: made by initdb, and kept in reserve so that an instance need not wait for it."""

import fcntl
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.engines.protocol import EngineError, Installation
from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser

_INITDB_SECONDS = 600
_POLITE = ("nice", "-n", "10")
_UNFINISHED = ".making-"
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class DataDirectories:
    """`pool` holds a folder of spare directories for each version; `spares` is how many of each."""

    pool: Path
    user: ServerUser
    spares: int

    def make(self, installation: Installation, data_dir: Path) -> None:
        """
        Make a data directory: by renaming a spare one, which is instant, or by initdb.

        Raises:
            EngineError: initdb failed, or there is something else in the place.
        """
        if is_data_directory(data_dir):
            return
        if data_dir.exists() and any(data_dir.iterdir()):
            raise EngineError(f"{data_dir} is not empty, and not a data directory of PostgreSQL.")
        for remains in data_dir.parent.glob(f".{data_dir.name}{_UNFINISHED}*"):
            shutil.rmtree(remains, ignore_errors=True)
        if not self._take(installation, data_dir):
            unfinished = data_dir.parent / f".{data_dir.name}{_UNFINISHED}{secrets.token_hex(4)}"
            self._initdb(installation, unfinished, data_dir)

    def fill(self, installations: Iterable[Installation]) -> None:
        """
        Bring the reserve of each version to its size; one filler works on a version at a time.

        Raises:
            EngineError: initdb failed.
        """
        for installation in installations:
            with self._filling(installation) as lock:
                self._remove_remains(installation)
                while len(self.ready(installation)) < self.spares:
                    name = secrets.token_hex(8)
                    place = self._place(installation)
                    self._initdb(installation, place / (_UNFINISHED + name), place / name, lock)

    def ready(self, installation: Installation) -> list[Path]:
        """The spare directories that can be taken now."""
        place = self._place(installation)
        return [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []

    def _take(self, installation: Installation, data_dir: Path) -> bool:
        """Of several that want the same spare, one gets it: a rename succeeds once."""
        for spare in self.ready(installation):
            try:
                spare.rename(data_dir)
            except OSError:  # taken by another, or the volume is another file system
                continue
            make_durable(data_dir.parent)
            return True
        return False

    def _place(self, installation: Installation) -> Path:
        return self.pool / f"postgresql-{installation.complete_version}"

    @contextmanager
    def _filling(self, installation: Installation) -> Iterator[int]:
        """Hold the lock of a version's reserve. It ends with its holder, and with the holder's initdb."""
        place = self._place(installation)
        try:
            self.pool.mkdir(mode=0o711, parents=True, exist_ok=True)
            self.user.make_folder(place)
        except (HostError, OSError) as error:
            raise EngineError(str(error)) from error
        descriptor = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _remove_remains(self, installation: Installation) -> None:
        """Called with the lock held, so that nobody is still making what is unfinished."""
        for remains in self._place(installation).glob(f"{_UNFINISHED}*"):
            shutil.rmtree(remains, ignore_errors=True)

    def _initdb(
        self, installation: Installation, unfinished: Path, target: Path, lock: int | None = None
    ) -> None:
        """Make the directory under another name first; politely for the reserve, which nobody waits for."""
        command = (*(_POLITE if lock is not None else ()), *_initdb_command(installation, unfinished))
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_ENVIRONMENT,
                timeout=_INITDB_SECONDS,
                check=False,
                pass_fds=() if lock is None else (lock,),
                **self.user.identity(),
            )
            if done.returncode != 0:
                raise EngineError(f"initdb failed for {target}: {_last_lines(done.stdout)}")
            unfinished.rename(target)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"initdb failed for {target}: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        make_durable(target.parent)


def is_data_directory(path: Path) -> bool:
    return (path / "PG_VERSION").is_file()


def _initdb_command(installation: Installation, data_dir: Path) -> tuple[str, ...]:
    """Nobody can log in by initdb's own pg_hba.conf, should it ever be used."""
    return (
        str(installation.bin_dir / "initdb"),
        f"--pgdata={data_dir}",
        f"--username={SUPERUSER}",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--auth-local=peer",
        "--auth-host=reject",
    )


def make_durable(folder: Path) -> None:
    """A rename in a folder survives a power cut only when the folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_lines(output: bytes) -> str:
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-5:])
