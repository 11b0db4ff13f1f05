"""The key of a repository: 32 random bytes, in a file that nobody else may read."""

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path

from openrds.hosts.folders import read
from openrds.repository.errors import RepositoryError

KEY_BYTES = 32
_PREFIX = "openrds-repository-key-1:"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_key(path: Path) -> bytes:
    """
    Raises:
        RepositoryError: the file is not there, holds no key, or others may read it.
    """
    text = read_private(path, "The key of the backup repository").decode(errors="replace").strip()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or len(key) != KEY_BYTES:
        raise RepositoryError(f"{path} holds no key of a backup repository.")
    return key


def make_key(path: Path) -> bytes:
    """A new key, in a file that was not there, and on disk when this returns.

    Raises:
        RepositoryError: it cannot be written.
    """
    key = secrets.token_bytes(KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_PREFIX}{base64.b64encode(key).decode()}\n")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise RepositoryError(f"The key {path} cannot be written: {error.strerror}.") from error
    return key


def read_private(path: Path, what: str) -> bytes:
    """What is in a file with secrets, which others must not be able to read.

    Raises:
        RepositoryError: it is not there, or they are.
    """
    try:
        found = path.stat()
        content = read(path.resolve())
    except OSError as error:
        raise RepositoryError(f"{what}, {path}, cannot be read: {error.strerror}.") from error
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise RepositoryError(f"{what}, {path}, can be read by others: chmod 600 {path}")
    return content
