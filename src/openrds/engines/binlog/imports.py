"""Files of tables that no log tells of: they are in the archive, so that whoever replays the log has them too.

A table that is restored in a server without followers gets its rows as a file of InnoDB, which is five times as fast as
logging them. The log has only that it got its name. So the file, and how the table is made, are put into the archive
(`.imports/MARK/t0.*`), and brought into a server before it replays the log of what followed.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.binlog import logs, sessions
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.gtids import GtidSet, parse
from openrds.engines.binlog.loading import loader
from openrds.engines.binlog.sessions import named
from openrds.engines.binlog.transport import SUFFIXES, copy_file, import_files, path_of
from openrds.engines.protocol import NodeSpec
from openrds.hosts.folders import read
from openrds.hosts.user import ServerUser

_PLACE = ".imports"
#: All that the server had committed before the tables appeared.
_PUBLISHED = "published"
_MOST_BYTES = 2**26


def files_database(mark: str) -> str:
    """The database of ours where files come to lie."""
    return f"openrds_{mark}_files"


@dataclass(frozen=True)
class Imports:
    """Those in an archive, whose folder is that of `user`."""

    archive: Path
    user: ServerUser

    def folder(self, mark: str) -> Path:
        """Of one restore; it is made."""
        folder = self.archive / _PLACE / mark
        with self.user.acting():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def note_definition(self, folder: Path, name: str, statement: str) -> None:
        logs.write(folder / f"{name}.sql", statement.encode(), self.user)

    def publish(self, mark: str, position: str) -> None:
        """Their tables are about to appear: from now on the log may name them."""
        folder = self.archive / _PLACE / mark
        if self._is_there(folder) and self._published(folder) is None:
            logs.write(folder / _PUBLISHED, position.encode(), self.user)

    def discard(self, mark: str) -> None:
        """Unless the log may name them."""
        folder = self.archive / _PLACE / mark
        if self._published(folder) is None:
            self._remove(folder)

    def between(self, start: GtidSet, end: GtidSet) -> list[Path]:
        """Those that data at one position does not have, and that may have appeared before the other."""
        return [one for one in self._folders() if not self._is_in(one, start) and self._is_in(one, end)]

    def prune(self, start: GtidSet) -> None:
        for folder in self._folders():
            if self._is_in(folder, start):
                self._remove(folder)

    def _is_in(self, folder: Path, start: GtidSet) -> bool:
        """Nothing else is done to an instance while tables appear."""
        published = self._published(folder)
        return published is not None and published <= start

    def _published(self, folder: Path) -> GtidSet | None:
        with suppress(OSError, ValueError), self.user.acting():
            return parse(read(folder / _PUBLISHED, _MOST_BYTES).decode())
        return None

    def _folders(self) -> Sequence[Path]:
        with suppress(OSError), self.user.acting():
            return sorted((self.archive / _PLACE).iterdir())
        return ()

    def _is_there(self, folder: Path) -> bool:
        with self.user.acting():
            return folder.is_dir()

    def _remove(self, folder: Path) -> None:
        with self.user.acting():
            shutil.rmtree(folder, ignore_errors=True)


def bring_in(
    node: NodeSpec, connection: sessions.Connection, flavour: Flavour, folder: Path, reader: ServerUser
) -> None:
    """Have a server have the tables of a restore, as the one had that the log is of.

    Raises:
        EngineError: it does not take them.
    """
    mark, place = folder.name, files_database(folder.name)
    with reader.acting():
        names = sorted(path.stem for path in folder.glob("t*.sql"))
        statements = [read(folder / f"{name}.sql", _MOST_BYTES).decode() for name in names]
    sessions.execute(connection, f"CREATE DATABASE IF NOT EXISTS {named(place)}")
    with loader(node, mark, (place,)) as loading:
        sessions.execute(loading, f"USE {named(place)}")
        for statement in statements:
            sessions.execute(loading, statement)
    for name in names:
        sessions.execute(connection, f"ALTER TABLE {named(place, name)} DISCARD TABLESPACE")
        for suffix in SUFFIXES:
            to = node.data_dir / f"{path_of(place, name)}.{suffix}"
            copy_file(folder / f"{name}.{suffix}", reader, to, node.user)
        import_files(connection, node, flavour, (place, name))
