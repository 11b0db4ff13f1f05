"""Where things are in a data directory, and whether it can be used at all."""

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from openrds.hosts.errors import HostError
from openrds.hosts.users import ServerUsers

#: A Unix socket's path has at most 107 bytes, of which a node's folder and the socket's name take 56.
_LONGEST_SOCKET_ROOT = 50


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


def prepare(data_dir: Path, users: ServerUsers) -> None:
    """Make the data directory, closed to others but for passing through to what is theirs.

    Raises:
        DataDirectoryError: it cannot be made, written, or reached by the users that servers run as.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if data_dir.stat().st_uid == os.geteuid():
            data_dir.chmod(0o711)
    except OSError as error:
        raise DataDirectoryError(f"The data directory {data_dir} cannot be made: {error.strerror}.") from None
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise DataDirectoryError(f"There is no permission to write to the data directory {data_dir}.")
    try:
        users.require_reach(data_dir)
    except HostError as error:
        raise DataDirectoryError(
            f"{error} Choose another data directory, such as /var/lib/openrds."
        ) from None


def socket_root(data_dir: Path) -> Path:
    """A short folder for Unix sockets: in the data directory if its path is short, else in the temporary folder.

    Raises:
        DataDirectoryError: somebody else has a folder of that name there.
    """
    root = data_dir / "run"
    if len(os.fsencode(root)) > _LONGEST_SOCKET_ROOT:
        digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
        root = Path(tempfile.gettempdir()) / f"openrds-{os.geteuid()}-{digest}"
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
        self._path = data_dir / "serve.lock"
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
