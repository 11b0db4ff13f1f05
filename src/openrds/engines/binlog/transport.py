"""The rows of a table from one server into another, as InnoDB's own file: what is not one is made one first."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pymysql

from openrds.domain.deadline import check_deadline, ended_with_step
from openrds.engines.binlog import daemon, sessions
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.sessions import Connection, named
from openrds.engines.binlog.tables import Table
from openrds.engines.protocol import NodeSpec
from openrds.hosts import commands
from openrds.hosts.folders import open_file
from openrds.hosts.user import ServerUser

SUFFIXES = ("ibd", "cfg")
_PLAIN = re.compile(r"[A-Za-z0-9_]", re.ASCII)
_PIECE = 2**24


@contextlib.contextmanager
def moving(node: NodeSpec, flavour: Flavour) -> Iterator[None]:
    """What the block waits for gets on as long as the server reads and writes."""

    def moved() -> int:
        process = daemon.find(node, flavour)
        return commands.bytes_moved(process.pid) if process else 0

    with ended_with_step(lambda: None, moved):
        yield


class Transport:
    """Between two servers of the same user. In each, a database of ours is the `place` where files come to lie.

    `source` and `target` are sessions whose changes are logged nowhere.
    """

    def __init__(
        self,
        source: tuple[NodeSpec, Connection],
        target: tuple[NodeSpec, Connection],
        flavour: Flavour,
        place: str,
    ) -> None:
        self._source_node, self._source = source
        self._target_node, self._target = target
        self._flavour, self._place = flavour, place

    def bring(self, table: Table, made: tuple[str, str], name: str, kept: Path | None = None) -> bool:
        """
        Bring the rows of a table to the place, under a name of ours. `made` is its like in the target, without rows.

        Returns whether the table is there as a whole, and its files in the folder `kept`, as the target's user.

        Raises:
            pymysql.Error, OSError: they cannot be brought.
        """
        if table.is_plain and table.named.isascii():
            with contextlib.suppress(pymysql.OperationalError, pymysql.InternalError, FileNotFoundError):
                self._bring_file((table.database, table.name), f"LIKE {named(*made)}", name, kept)
                return True
        # As a table of InnoDB that has its rows, and nothing else of it.
        like = f"ENGINE=InnoDB AS SELECT {table.column_list} FROM"
        here = (self._place, name)
        sessions.execute(self._source, f"DROP TABLE IF EXISTS {named(*here)}")
        with moving(self._source_node, self._flavour):
            sessions.execute(self._source, f"CREATE TABLE {named(*here)} {like} {table.named}")
        self._bring_file(here, f"{like} {named(*made)}", name, None)
        return False

    def _bring_file(self, origin: tuple[str, str], like: str, name: str, kept: Path | None) -> None:
        here = named(self._place, name)
        sessions.execute(self._target, f"DROP TABLE IF EXISTS {here}")
        self._clear_files(name)
        sessions.execute(self._target, f"CREATE TABLE {here} {like}")
        sessions.execute(self._target, f"ALTER TABLE {here} DISCARD TABLESPACE")
        sessions.execute(self._source, f"FLUSH TABLES {named(*origin)} FOR EXPORT")
        try:
            for suffix in SUFFIXES:
                path = self._source_node.data_dir / f"{path_of(*origin)}.{suffix}"
                for to in (self._target_node.data_dir / path_of(self._place, name), kept and kept / name):
                    if to is not None:
                        copy_file(
                            path, self._source_node.user, Path(f"{to}.{suffix}"), self._target_node.user
                        )
        finally:
            sessions.execute(self._source, "UNLOCK TABLES")
        import_files(self._target, self._target_node, self._flavour, (self._place, name))

    def _clear_files(self, name: str) -> None:
        """What an attempt left that failed half-way: a table whose file is out of its sight does not take it along."""
        with self._target_node.user.acting():
            for suffix in SUFFIXES:
                (self._target_node.data_dir / f"{path_of(self._place, name)}.{suffix}").unlink(
                    missing_ok=True
                )


def copy_file(path: Path, reader: ServerUser, to: Path, user: ServerUser) -> None:
    with reader.acting():
        source = open_file(path)
    with source:
        with user.acting():
            target = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
        try:
            while os.sendfile(target, source.fileno(), None, _PIECE):
                check_deadline()
        finally:
            os.close(target)


def import_files(connection: Connection, node: NodeSpec, flavour: Flavour, table: tuple[str, str]) -> None:
    """Have a server take the file that lies where that of its table would be."""
    with moving(node, flavour):
        sessions.execute(connection, f"ALTER TABLE {named(*table)} IMPORT TABLESPACE")
    with node.user.acting():
        (node.data_dir / f"{path_of(*table)}.cfg").unlink(missing_ok=True)


def path_of(database: str, name: str) -> str:
    """In the data directory, without its suffix; names are of ASCII."""
    return "/".join("".join(map(_in_path, word)) for word in (database, name))


def _in_path(letter: str) -> str:
    return letter if _PLAIN.fullmatch(letter) else f"@{ord(letter):04x}"
