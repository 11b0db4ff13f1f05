"""Tables and databases from one server into another that serves, under new names.

Their rows come as files of InnoDB into a database of ours, which no log tells of, and are put from there into the
copies by statements that are logged: so followers have them, and so does whoever restores from the log. Where nobody
follows, and the server can make it survive a crash, a table's file is the copy itself, and is kept for who restores
(`imports`). The copies are in another database of ours, and appear by RENAME TABLE, all at once.

What evaluates anything that a tenant wrote is a session of a loader (`loading`). What we do with all rights evaluates
nothing. Foreign keys and triggers of single tables stay behind: a copy beside its original must not act on others.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pymysql

from openrds.engines.binlog import inventories, objects, sessions, shipping, tables
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.imports import Imports, files_database
from openrds.engines.binlog.loading import dismiss, loader
from openrds.engines.binlog.sessions import Connection, named, rows, scalar
from openrds.engines.binlog.shipping import FIRST_LOG, ROTATE
from openrds.engines.binlog.tables import SYSTEM_DATABASES, Table
from openrds.engines.binlog.transport import Transport, moving
from openrds.engines.protocol import (
    Copies,
    DatabaseCopy,
    EngineError,
    NameTaken,
    NodeSpec,
    NotThere,
    Place,
    TableCopy,
)

_LONGEST_NAME = 64
_COPY_SECONDS = 86400.0
_HAS_DATABASE = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s"
_HAS_TABLE = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
_WORDS_OF = """
SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = %s
"""
#: Says that a database which appears was made by us.
_MADE = "openrds made"


@dataclass(frozen=True)
class BinlogCopying:
    flavour: Flavour

    def inventory(self, source: NodeSpec, most: int) -> Iterator[Place]:
        """
        The databases and tables of tenants.

        Raises:
            EngineError: the server does not answer, or has more than `most`.
        """
        return inventories.inventory(source, most)

    def check_names(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NameTaken: so is a new name.
            NotThere: there is no such database.
            EngineError: a new name is none.
        """
        with sessions.session(target) as connection:
            for copy in copies:
                _check_name(copy.new_name)
                if isinstance(copy, DatabaseCopy):
                    _check_free(connection, copy.new_name)
                else:
                    _check_database(connection, copy.database)
                    if scalar(connection, _HAS_TABLE, copy.database, copy.new_name):
                        raise NameTaken(
                            f"the name {copy.database}.{copy.new_name} is taken: there is such a table"
                        )

    def check_present(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NotThere: the target has no such database or table now.
        """
        with sessions.session(target) as connection:
            for copy in copies:
                _check_database(connection, copy.database)
                if isinstance(copy, TableCopy) and not scalar(
                    connection, _HAS_TABLE, copy.database, copy.table
                ):
                    raise NotThere(f"there is no table {copy.database}.{copy.table}")

    def copy(self, source: NodeSpec, target: NodeSpec, copies: Copies, mark: str) -> None:
        """
        Copy out of the clients' sight; what an earlier attempt left is removed.

        Raises:
            EngineError: something was not there at the time, or cannot be had here; the message says what.
        """
        self.discard(target, copies, mark)
        of_databases = isinstance(copies[0], DatabaseCopy)
        places = _places(copies, mark)
        with _Work.begun(source, target, self.flavour, mark, places, as_files=not of_databases) as work:
            if of_databases:
                for position, copy in enumerate(cast("Sequence[DatabaseCopy]", copies)):
                    work.copy_database(copy.database, _aside(mark, position))
            else:
                work.copy_tables(cast("Sequence[TableCopy]", copies), _aside(mark))
            if work.kept is not None:
                with moving(target, self.flavour):
                    self.flavour.make_imports_last(work.unlogged)
            else:
                sessions.execute(work.unlogged, f"DROP DATABASE {named(files_database(mark))}")

    def publish(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """
        Let the copies appear under their names: the tables all at once.

        Raises:
            EngineError: a name was taken meanwhile.
        """
        with sessions.session(target, logged=True) as connection:
            if isinstance(copies[0], DatabaseCopy):
                for position, copy in enumerate(cast("Sequence[DatabaseCopy]", copies)):
                    _publish_database(connection, target, _aside(mark, position), copy.new_name)
                return
            done = str(scalar(connection, self.flavour.position) or "")
            Imports(target.archive, target.user).publish(mark, done)
            _publish_tables(connection, cast("Sequence[TableCopy]", copies), mark)
        with sessions.session(target) as connection:
            sessions.execute(connection, f"DROP DATABASE IF EXISTS {named(files_database(mark))}")

    def discard(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Remove the copies, also those of databases that had appeared in part; a loader that is at work is cut off."""
        dismiss(target, mark)
        Imports(target.archive, target.user).discard(mark)
        with sessions.session(target) as connection:
            sessions.execute(connection, f"DROP DATABASE IF EXISTS {named(files_database(mark))}")
        with sessions.session(target, logged=True) as connection:
            for position, place in enumerate(_places(copies, mark)):
                if isinstance(copies[0], DatabaseCopy) and scalar(connection, _HAS_TABLE, place, _MADE):
                    sessions.execute(
                        connection, f"DROP DATABASE IF EXISTS {named(copies[position].new_name)}"
                    )
                sessions.execute(connection, f"DROP DATABASE IF EXISTS {named(place)}")


@dataclass(frozen=True)
class _Work:
    """One `copy`. `unlogged` and `ours` are sessions with all rights, one in no log; `loader` is a loader's.

    `kept` is where the files of tables are kept that are not logged, None where all is.
    """

    target: NodeSpec
    flavour: Flavour
    origin: Connection
    unlogged: Connection
    ours: Connection
    loader: Connection
    transport: Transport
    mark: str
    kept: Path | None

    @classmethod
    @contextmanager
    def begun(
        cls,
        source: NodeSpec,
        target: NodeSpec,
        flavour: Flavour,
        mark: str,
        places: Sequence[str],
        *,
        as_files: bool,
    ) -> "Iterator[_Work]":
        files = files_database(mark)
        with (
            sessions.session(source, statement_seconds=_COPY_SECONDS) as origin,
            sessions.session(target, statement_seconds=_COPY_SECONDS) as unlogged,
            sessions.session(target, logged=True) as ours,
        ):
            for connection in (origin, unlogged, ours):
                sessions.tolerate(connection)
            for place in places:
                sessions.execute(ours, f"CREATE DATABASE {named(place)}")
            for connection in (origin, unlogged):
                sessions.execute(connection, f"CREATE DATABASE IF NOT EXISTS {named(files)}")
            kept = None
            if as_files and flavour.imports_can_last(unlogged) and not _has_followers(ours, target, flavour):
                kept = Imports(target.archive, target.user).folder(mark)
                _forget_beginning(unlogged, target, flavour)
            with loader(target, mark, (*places, files)) as loading:
                transport = Transport((source, origin), (target, unlogged), flavour, files)
                yield cls(target, flavour, origin, unlogged, ours, loading, transport, mark, kept)

    def copy_tables(self, copies: Sequence[TableCopy], place: str) -> None:
        by_database: dict[str, list[str]] = {}
        for copy in copies:
            by_database.setdefault(copy.database, []).append(copy.table)
        for database, names in by_database.items():
            _check_origin(self.origin, database)
            found = {table.name: table for table in tables.tables_of(self.origin, database, names)}
            for number, copy in enumerate(copies):
                if copy.database == database:
                    self._copy(found[copy.table], place, f"t{number}", number)

    def copy_database(self, database: str, place: str) -> None:
        _check_origin(self.origin, database)
        words = _words(self.origin, database)
        sessions.execute(self.ours, f"ALTER DATABASE {named(place)} {words}")
        found = tables.tables_of(self.origin, database)
        keys = tables.foreign_keys(self.origin, database)
        others = objects.objects_of(self.origin, database)
        for number, table in enumerate(found):
            self._copy(table, place, table.name, number)
        sessions.execute(self.loader, f"USE {named(place)}")
        for statement in keys:
            sessions.execute(self.loader, statement)
        objects.rehearse(self.unlogged, others, place)
        objects.keep(self.ours, self.target, others, place)

    def _copy(self, table: Table, place: str, name: str, number: int) -> None:
        statement = tables.definition(self.origin, table, (files_database(self.mark), name))
        sessions.execute(self.loader, f"USE {named(place)}")
        sessions.execute(self.loader, statement)
        file = f"t{number}"
        try:
            is_whole = self.transport.bring(table, (place, name), file, self.kept)
        except (pymysql.Error, OSError) as error:
            raise EngineError(f"{table.database}.{table.name} cannot be copied: {error.args[-1]}") from error
        if is_whole and self.kept is not None:
            self._keep(table, (place, name), file, statement)
        else:
            self._log(table, (place, name), file)

    def _keep(self, table: Table, made: tuple[str, str], file: str, statement: str) -> None:
        """It is as its file is, and what the log has of it goes away."""
        assert self.kept is not None
        if table.next:
            here = named(files_database(self.mark), file)
            sessions.execute(self.unlogged, f"ALTER TABLE {here} AUTO_INCREMENT = {table.next}")
        Imports(self.target.archive, self.target.user).note_definition(self.kept, file, statement)
        sessions.execute(self.ours, f"DROP TABLE {named(*made)}")

    def _log(self, table: Table, made: tuple[str, str], file: str) -> None:
        here, columns = named(files_database(self.mark), file), table.column_list
        with moving(self.target, self.flavour):
            sessions.execute(
                self.loader,
                f"INSERT INTO {named(*made)} ({columns}) SELECT {columns} FROM {here}",  # noqa: S608 - quoted names
            )
        if table.next:
            sessions.execute(self.loader, f"ALTER TABLE {named(*made)} AUTO_INCREMENT = {table.next}")
        sessions.execute(self.unlogged, f"DROP TABLE {here}")


def _has_followers(connection: Connection, node: NodeSpec, flavour: Flavour) -> bool:
    """Somebody who reads the log. One who is away is copied anew when it finds that the log lacks something."""
    if node.confirmed_by or rows(connection, flavour.followers):
        return True
    return any(row["Command"] in flavour.dump_commands for row in rows(connection, "SHOW PROCESSLIST"))


def _forget_beginning(connection: Connection, node: NodeSpec, flavour: Flavour) -> None:
    """Nobody may take the log for all that there ever was, once it is not."""
    if scalar(connection, "SHOW BINARY LOGS") == FIRST_LOG:
        sessions.execute(connection, ROTATE)
        shipping.ship(node, flavour)
        present = rows(connection, "SHOW BINARY LOGS")[-1]["Log_name"]
        sessions.execute(connection, "PURGE BINARY LOGS TO %s", present)


def _publish_tables(connection: Connection, copies: Sequence[TableCopy], mark: str) -> None:
    places = _aside(mark), files_database(mark)
    names = {(place, name) for place in places for name in _names_in(connection, place)}
    moves = [
        (place, f"t{number}", copy.database, copy.new_name)
        for number, copy in enumerate(copies)
        for place in places
        if (place, f"t{number}") in names
    ]
    _rename(connection, moves)
    sessions.execute(connection, f"DROP DATABASE IF EXISTS {named(places[0])}")


def _publish_database(connection: Connection, node: NodeSpec, place: str, new_name: str) -> None:
    if not scalar(connection, _HAS_DATABASE, place):
        return
    if not scalar(connection, _HAS_TABLE, place, _MADE):
        _make_database(connection, place, new_name)
    others = objects.kept(connection, node, place)
    ours = {_MADE, objects.STORE}
    moves = [(place, name, new_name, name) for name in _names_in(connection, place) if name not in ours]
    _rename(connection, moves)
    objects.make(connection, others, new_name)
    sessions.execute(connection, f"DROP DATABASE IF EXISTS {named(place)}")


def _make_database(connection: Connection, place: str, new_name: str) -> None:
    """What says that it is ours is there before, so that one who finds both goes on with it."""
    sessions.execute(connection, f"CREATE TABLE {named(place, _MADE)} (x INT)")
    try:
        sessions.execute(connection, f"CREATE DATABASE {named(new_name)} {_words(connection, place)}")
    except pymysql.Error as error:
        sessions.execute(connection, f"DROP TABLE {named(place, _MADE)}")
        raise EngineError(f"the database {new_name} cannot be made: {error.args[-1]}") from error


def _rename(connection: Connection, moves: Sequence[tuple[str, str, str, str]]) -> None:
    if moves:
        words = ", ".join(f"{named(*move[:2])} TO {named(*move[2:])}" for move in moves)
        sessions.execute(connection, f"RENAME TABLE {words}")


def _names_in(connection: Connection, database: str) -> list[str]:
    return [
        str(row["name"])
        for row in rows(
            connection,
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s",
            database,
        )
    ]


def _words(connection: Connection, database: str) -> str:
    (row,) = rows(connection, _WORDS_OF, database)
    character_set, collation = (str(value) for value in row.values())
    return f"CHARACTER SET {character_set} COLLATE {collation}"


def _check_name(name: str) -> None:
    if (
        not 1 <= len(name) <= _LONGEST_NAME
        or name.endswith(" ")
        or any(not 0 < ord(one) < 0x10000 for one in name)
    ):
        raise EngineError(
            f"{name!r} is no name: it has more than {_LONGEST_NAME} letters, or some that it cannot have"
        )


def _check_free(connection: Connection, name: str) -> None:
    if scalar(connection, _HAS_DATABASE, name):
        raise NameTaken(f"the name {name} is taken: there is such a database")


def _check_database(connection: Connection, name: str) -> None:
    if name.lower() in SYSTEM_DATABASES or not scalar(connection, _HAS_DATABASE, name):
        raise NotThere(f"there is no database {name}")


def _check_origin(connection: Connection, name: str) -> None:
    if name.lower() in SYSTEM_DATABASES or not scalar(connection, _HAS_DATABASE, name):
        raise NotThere(f"there was no database {name} at that moment")


def _places(copies: Copies, mark: str) -> list[str]:
    if isinstance(copies[0], DatabaseCopy):
        return [_aside(mark, position) for position in range(len(copies))]
    return [_aside(mark)]


def _aside(mark: str, position: int | None = None) -> str:
    return f"openrds_{mark}" if position is None else f"openrds_{mark}_{position}"
