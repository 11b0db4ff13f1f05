"""Copies of the data of a running MariaDB server, by mariadb-backup."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from openrds.engines import programs
from openrds.engines.binlog.installed import program
from openrds.engines.binlog.sessions import SUPERUSER, socket_path
from openrds.engines.family import password_of
from openrds.engines.protocol import EngineError, NodeSpec

#: Where it says up to where in the log the copy has all: a file of the log, a place in it, and the GTID.
_POSITION_FILES = ("mariadb_backup_binlog_info", "xtrabackup_binlog_info")
_LOG_IN = "copying.cnf"


def copy_data(source: NodeSpec, node: NodeSpec, folder: Path) -> str:
    """
    Copy the data of a running server into an empty folder of the node's user; returns the copy's position.

    It works in the node's folder, where `programs.end` finds it.

    Raises:
        EngineError: it cannot be copied.
    """
    copy_raw(source, node, folder)
    return prepare(node, folder)


def copy_raw(source: NodeSpec, node: NodeSpec, folder: Path) -> None:
    """As the server's files are while it writes; `prepare` makes data of them."""
    with _log_in(source, node) as defaults:
        _run(node, f"--defaults-file={defaults}", "--backup", f"--target-dir={folder}")


def prepare(node: NodeSpec, folder: Path) -> str:
    """Make data of a raw copy; returns its position."""
    _run(node, "--no-defaults", "--prepare", f"--target-dir={folder}", "--use-memory=64M")
    return position_of(node, folder)


def position_of(node: NodeSpec, folder: Path) -> str:
    """Up to where in the log a copy has all; empty where nothing was ever logged."""
    for name in _POSITION_FILES:
        with contextlib.suppress(FileNotFoundError):
            words = node.user.read(folder / name).decode().split()
            return words[2] if len(words) > 2 else ""
    raise EngineError(f"the copy in {folder} does not say where it is in the log.")


def _run(node: NodeSpec, *words: str) -> None:
    backup = program(node.installation, "mariadb-backup", "mariabackup")
    programs.run([backup, *words], node.user, folder=node.folder)


@contextlib.contextmanager
def _log_in(source: NodeSpec, node: NodeSpec) -> Iterator[Path]:
    """A file that leads a program to a server as the superuser: a password on a command line is everybody's to see."""
    path = node.folder / _LOG_IN
    words = {
        "socket": socket_path(source),
        "user": SUPERUSER,
        "password": password_of(source.secret, SUPERUSER),
    }
    text = "".join(f'{name} = "{value}"\n' for name, value in words.items())
    # By the socket. Since 11.4 it would want TLS, also of a server that speaks none.
    node.user.write(path, f"[mariadb-backup]\nskip-ssl\n{text}", durable=False)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
