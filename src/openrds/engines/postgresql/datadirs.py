"""Data directories: made by initdb, and kept in reserve so that an instance need not wait for it."""

import errno
import fcntl
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.engines.postgresql.turns import Turns
from openrds.engines.protocol import EngineError, Installation
from openrds.hosts import commands
from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser

_INITDB_SECONDS = 600
_POLITE = ("nice", "-n", "10")
_COPY_SECONDS = 600
_UNFINISHED = ".making-"
_TAKEN = ".taken-"
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class DataDirectories:
    """`pool` holds a folder of spare directories for each version; `spares` is how many of each."""

    pool: Path
    user: ServerUser
    spares: int
    turns: Turns = field(default_factory=Turns)

    def make(self, installation: Installation, data_dir: Path) -> None:
        """
        Make a data directory: by renaming a spare one, which is instant, or by copying it, or by initdb.

        Raises:
            EngineError: initdb failed, or there is something else in the place.
        """
        if is_data_directory(data_dir):
            return
        if data_dir.exists() and any(data_dir.iterdir()):
            raise EngineError(f"{data_dir} is not empty, and not a data directory of PostgreSQL.")
        for remains in data_dir.parent.glob(f".{data_dir.name}{_UNFINISHED}*"):
            shutil.rmtree(remains, ignore_errors=True)
        if self._take(installation, data_dir):
            return
        with self.turns.one():
            # Others may have left one meanwhile.
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
                    self.turns.await_quiet()
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
            except OSError as error:
                if error.errno == errno.EXDEV and self._take_copy(spare, data_dir):
                    return True
                continue  # taken by another
            make_durable(data_dir.parent)
            return True
        return False

    def _take_copy(self, spare: Path, data_dir: Path) -> bool:
        """The volume is another file system. Copying takes a fraction of what initdb does.

        Raises:
            EngineError: the copy failed.
        """
        taken = spare.with_name(_TAKEN + spare.name)
        try:
            # Held while we are at it, so that a filler does not take it for what somebody left who died.
            with _held(spare):
                spare.rename(taken)
                self._copy(taken, data_dir)
        except FileNotFoundError:
            return False
        shutil.rmtree(taken, ignore_errors=True)
        return True

    def _copy(self, source: Path, data_dir: Path) -> None:
        """It appears whole and on disk, or not at all."""
        unfinished = data_dir.parent / f".{data_dir.name}{_UNFINISHED}{secrets.token_hex(4)}"
        try:
            self._run(
                ("cp", "--archive", str(source), str(unfinished)), f"{data_dir}: the copy", _COPY_SECONDS
            )
            self._run(("sync", "--file-system", str(unfinished)), f"{data_dir}: the copy", _COPY_SECONDS)
            unfinished.rename(data_dir)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        make_durable(data_dir.parent)

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
        place = self._place(installation)
        for remains in place.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(remains, ignore_errors=True)
        for remains in place.glob(f"{_TAKEN}*"):
            with suppress(FileNotFoundError, BlockingIOError), _held(remains, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(remains, ignore_errors=True)

    def _initdb(
        self, installation: Installation, unfinished: Path, target: Path, lock: int | None = None
    ) -> None:
        """Make the directory under another name first; politely for the reserve, which nobody waits for."""
        command = (*(_POLITE if lock is not None else ()), *_initdb_command(installation, unfinished))
        try:
            self._run(command, f"{target}: initdb", _INITDB_SECONDS, () if lock is None else (lock,))
            unfinished.rename(target)
        except OSError as error:
            raise EngineError(f"{target}: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        make_durable(target.parent)

    def _run(self, command: Sequence[str], what: str, seconds: float, pass_fds: Sequence[int] = ()) -> None:
        """Run a program as the user.

        Raises:
            EngineError: it failed; the message begins with `what`.
        """
        try:
            code, output = commands.run(
                command,
                cwd="/",
                env=_ENVIRONMENT,
                timeout=seconds,
                pass_fds=pass_fds,
                **self.user.identity(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"{what} failed: {error}") from error
        if code != 0:
            raise EngineError(f"{what} failed: {_last_lines(output)}")


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


@contextmanager
def _held(folder: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises:
        FileNotFoundError: there is none.
        BlockingIOError: another holds it, and we are not to wait.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _last_lines(output: bytes) -> str:
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-5:])
