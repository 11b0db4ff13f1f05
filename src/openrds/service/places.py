"""Where things are in a data directory, and whether it can be used at all."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from openrds.hosts.errors import HostError
from openrds.hosts.users import ServerUsers

#: A Unix socket's path has at most 107 bytes, of which a node's folder and the socket's name take 56.
_LONGEST_SOCKET_ROOT = 50
#: Each `serve` makes it first of all, and nobody removes it: it is how a data directory is known.
_LOCK = "serve.lock"
#: What may be in a data directory before its first start; and the credentials.
_BEFOREHAND = {
    "openrds.toml",
    "repository.key",
    "repository.toml",
    "backups",
    "engines",
    "store",
    "serve.log",
    "lost+found",
}


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


@contextlib.contextmanager
def prepared(data_dir: Path, users: ServerUsers, lock: "Lock") -> Iterator[None]:
    """The data directory, closed to others but for passing through to what is theirs, and its lock.

    A folder with something else in it is left alone: its mode would change, for one. Where the body fails at a first
    start, what was not there before is removed again: whoever is refused leaves nothing.

    Raises:
        DataDirectoryError: it cannot be made, written, or reached by the users that servers run as; or it is in use.
    """
    _require_folder(data_dir)
    _require_reach(data_dir, users)
    before = _names_in(data_dir)
    _require_ours(data_dir, before)
    missing = [folder for folder in (data_dir, *data_dir.parents) if not _exists(folder)]
    try:
        _make(data_dir)
        lock.acquire()
        with _leaving_nothing(data_dir, before):
            yield
    except Exception:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def _leaving_nothing(data_dir: Path, before: set[str]) -> Iterator[None]:
    """Only whoever holds the lock may remove anything: it cannot be another's, who started at the same moment."""
    run = _socket_root(data_dir)
    had_run = _exists(run)
    try:
        yield
    except Exception:
        if _LOCK not in before:
            for name in _names_in(data_dir) - before:
                _remove(data_dir / name)
            if not had_run:
                _remove(run)
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def require(data_dir: Path) -> None:
    """
    Raises:
        DataDirectoryError: no service was ever started on this folder, or it is not ours to look into.
    """
    if not _exists(data_dir):
        raise DataDirectoryError(f"There is no data directory {data_dir}.")
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise DataDirectoryError(f"There is no permission to use the data directory {data_dir}.")
    if not (data_dir / _LOCK).is_file():
        raise DataDirectoryError(
            f"{data_dir} is no data directory of openrds: no service was ever started on it."
        )


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if data_dir.stat().st_uid == os.geteuid():
            data_dir.chmod(0o711)
    except OSError as error:
        raise DataDirectoryError(f"The data directory {data_dir} cannot be made: {error.strerror}.") from None
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise DataDirectoryError(f"There is no permission to write to the data directory {data_dir}.")


def _require_reach(data_dir: Path, users: ServerUsers) -> None:
    try:
        users.require_reach(data_dir)
    except (HostError, OSError) as error:
        raise DataDirectoryError(
            f"{error} Choose another data directory, such as /var/lib/openrds."
        ) from None


def _require_folder(data_dir: Path) -> None:
    """
    Raises:
        DataDirectoryError: something else is in its place, or in that of a folder above it.
    """
    for folder in (data_dir, *data_dir.parents):
        if _exists(folder) and not folder.is_dir():
            why = "File exists" if folder == data_dir else f"{folder} is no folder"
            raise DataDirectoryError(f"The data directory {data_dir} cannot be made: {why}.")


def _require_ours(data_dir: Path, names: set[str]) -> None:
    """
    Raises:
        DataDirectoryError: it is full of something else.
    """
    strange = sorted(name for name in names if name not in _BEFOREHAND and not name.startswith("credentials"))
    if strange and _LOCK not in names:
        raise DataDirectoryError(
            f"{data_dir} is no data directory of openrds, and not empty: it has {strange[0]}. "
            "Choose a folder that is, or that is not there yet."
        )


def _names_in(folder: Path) -> set[str]:
    """
    Raises:
        DataDirectoryError: it is not ours to look into.
    """
    try:
        return {entry.name for entry in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise DataDirectoryError(f"{folder} cannot be looked at: {error.strerror}.") from None


def _exists(path: Path) -> bool:
    """
    Raises:
        DataDirectoryError: a folder on the way is not ours to look into.
    """
    try:
        return path.exists()
    except OSError as error:
        raise DataDirectoryError(f"{path} cannot be looked at: {error.strerror}.") from None


def _socket_root(data_dir: Path) -> Path:
    root = data_dir / "run"
    if len(os.fsencode(root)) <= _LONGEST_SOCKET_ROOT:
        return root
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"openrds-{os.geteuid()}-{digest}"


def socket_root(data_dir: Path) -> Path:
    """A short folder for Unix sockets: in the data directory if its path is short, else in the temporary folder.

    Raises:
        DataDirectoryError: somebody else has a folder of that name there.
    """
    root = _socket_root(data_dir)
    root.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = root.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise DataDirectoryError(
            f"{root} belongs to somebody else; remove it, or choose a shorter data directory."
        )
    root.chmod(0o711)
    return root


class Lock:
    """Held by the one `serve` of a data directory, for as long as its process lives."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _LOCK
        self._file: int | None = None

    def acquire(self) -> None:
        """
        Raises:
            DataDirectoryError: another `serve` holds it.
        """
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self.holder()
            os.close(file)
            raise DataDirectoryError(
                f"Another openrds (process {holder}) serves {self._path.parent}; stop it first."
            ) from None
        # Of one length, so that it is overwritten in one go: whoever reads never sees half of it, or nothing.
        os.pwrite(file, f"{os.getpid():<31}\n".encode(), 0)
        self._file = file

    def let_go(self) -> None:
        """In a forked child: its parent alone holds the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def holder(self) -> int | None:
        """The process that holds the lock, if it is held."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(file, 32) or b"0")
        finally:
            os.close(file)
        return None
