"""Tables and databases from one server into another that serves, under new names: pg_dump into pg_restore.

The copies are loaded out of sight, tables in a schema and databases under a name of our own, and appear with a rename.

Loading is the superuser's work, and no code of the instance's users may run in it: it would run as the superuser.
Functions of theirs are called by CHECK constraints and domains while rows are loaded. Those constraints come as NOT
VALID, which are added behind the rows and not asked of them. Triggers and rules of a single table are left out, and
what cannot be kept from running is refused.
"""

import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from psycopg import sql
from psycopg.conninfo import make_conninfo

from openrds.engines.postgresql import catalog, retitling
from openrds.engines.postgresql.programs import Programs, environment, last_lines
from openrds.engines.postgresql.sessions import Connection, superuser_session
from openrds.engines.protocol import Copies, DatabaseCopy, EngineError, NameTaken, NodeSpec, TableCopy
from openrds.hosts import commands


@dataclass(frozen=True)
class PostgreSQLCopying:
    programs: Programs

    def check_names(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NameTaken: so is a new name.
            NotThere: there is no such database or schema.
        """
        if _are_databases(copies):
            with superuser_session(target) as connection:
                for copy in cast("Sequence[DatabaseCopy]", copies):
                    if catalog.has_database(connection, copy.new_name):
                        raise NameTaken(f"the name {copy.new_name} is taken: there is such a database")
            return
        databases = _by_database(copies)
        with superuser_session(target) as connection:
            for database in databases:
                catalog.check_database(connection, database)
        for database, tables in databases.items():
            with superuser_session(target, database) as connection:
                for table in tables:
                    catalog.check_free(connection, table)

    def check_present(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NotThere: the target has no such database or table now.
        """
        if _are_databases(copies):
            with superuser_session(target) as connection:
                for copy in cast("Sequence[DatabaseCopy]", copies):
                    catalog.check_database(connection, copy.database)
            return
        for database, tables in _by_database(copies).items():
            with superuser_session(target, database) as connection:
                for table in tables:
                    catalog.check_table(connection, table)

    def copy(self, source: NodeSpec, target: NodeSpec, copies: Copies, mark: str) -> None:
        """
        Copy out of the clients' sight; what an earlier attempt left is removed.

        Raises:
            EngineError: something was not there at the time, or cannot be had here; the message says what.
        """
        self.discard(target, copies, mark)
        if _are_databases(copies):
            for position, copy in enumerate(cast("Sequence[DatabaseCopy]", copies)):
                self._copy_database(source, target, copy, _aside(mark, position))
            return
        for database, tables in _by_database(copies).items():
            with superuser_session(target, database) as connection:
                taken = catalog.names_in(connection, {table.schema for table in tables})
                has_risky_domains = catalog.has_risky_domains(connection)
            with superuser_session(source, database) as connection, connection.transaction():
                retitling.set_aside(
                    connection, tables, _aside(mark), taken, has_risky_domains=has_risky_domains
                )
            self._load(source, target, database, database, _aside(mark), f"--schema={_aside(mark)}")

    def publish(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """
        Let the copies appear under their names: the tables of one database all at once.

        Raises:
            EngineError: a name was taken meanwhile.
        """
        if _are_databases(copies):
            with superuser_session(target) as connection:
                for position, copy in enumerate(cast("Sequence[DatabaseCopy]", copies)):
                    if catalog.has_database(connection, _aside(mark, position)):
                        _rename_database(connection, _aside(mark, position), copy.new_name)
            return
        databases = _by_database(copies)
        for database, tables in databases.items():
            with superuser_session(target, database) as connection:
                retitling.publish(connection, tables, _aside(mark))
        for database in databases:
            with superuser_session(target, database) as connection:
                retitling.drop_schema(connection, _aside(mark))

    def discard(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Remove the copies; loaders that an attempt before has left at work are cut off first."""
        with superuser_session(target) as connection:
            catalog.cut_off(connection, _aside(mark))
            if _are_databases(copies):
                for position in range(len(copies)):
                    catalog.drop_database(connection, _aside(mark, position))
                for name in catalog.databases_with_comment(connection, _comment(mark)):
                    catalog.drop_database(connection, name)
                return
            present = [name for name in _by_database(copies) if catalog.has_database(connection, name)]
        for database in present:
            with superuser_session(target, database) as connection:
                retitling.discard(connection, _aside(mark))

    def _copy_database(self, source: NodeSpec, target: NodeSpec, copy: DatabaseCopy, aside: str) -> None:
        with superuser_session(source) as connection:
            options = catalog.database_options(connection, copy.database)
        with superuser_session(source, copy.database) as connection:
            retitling.disarm_database(connection)
        name = sql.Identifier(aside)
        mark = aside.split("_")[1]
        with superuser_session(target) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} {}").format(name, options.clauses))
            connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(_comment(mark)))
            )
        self._load(source, target, copy.database, aside, _aside(mark))
        with superuser_session(target) as connection:
            owner = sql.Identifier(options.owner)
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))

    def _load(
        self, source: NodeSpec, target: NodeSpec, database: str, into: str, session: str, *options: str
    ) -> None:
        """One database, or what the options choose of it, in one transaction. `session` names it to `cut_off`."""
        dump: list[str | Path] = [
            self.programs.path("pg_dump", source.installation),
            "--format=custom",
            "--compress=0",
            "--no-publications",
            "--no-subscriptions",
            *options,
            f"--dbname={make_conninfo(dbname=database)}",
        ]
        restore: list[str | Path] = [
            self.programs.path("pg_restore", target.installation),
            "--single-transaction",
            "--exit-on-error",
            f"--dbname={make_conninfo(dbname=into)}",
        ]
        self._pipe(dump, source, restore, target, session)

    def _pipe(
        self,
        first: Sequence[str | Path],
        source: NodeSpec,
        second: Sequence[str | Path],
        target: NodeSpec,
        session: str,
    ) -> None:
        """Run two programs, each at its server as its user, the output of one being the input of the other.

        Raises:
            EngineError: one of them failed.
        """
        with tempfile.TemporaryFile() as first_log, tempfile.TemporaryFile() as second_log:
            with (
                commands.running(
                    first,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=first_log,
                    cwd="/",
                    env=environment(source, session),
                    **source.user.identity(),
                ) as reader,
                commands.running(
                    second,
                    stdin=reader.stdout,
                    stdout=second_log,
                    stderr=second_log,
                    cwd="/",
                    env=environment(target, session),
                    **target.user.identity(),
                ) as writer,
            ):
                assert reader.stdout is not None
                reader.stdout.close()
                codes = writer.wait(), reader.wait()
            # The writer is the one to ask first: when it stops, the reader only finds that nobody listens.
            for code, program, log in zip(codes, (second, first), (second_log, first_log), strict=True):
                if code != 0:
                    log.seek(0)
                    raise EngineError(f"{Path(program[0]).name} failed: {last_lines(log.read())}")


def _are_databases(copies: Copies) -> bool:
    return isinstance(copies[0], DatabaseCopy)


def _by_database(copies: Copies) -> dict[str, list[TableCopy]]:
    tables = defaultdict(list)
    for copy in cast("Iterable[TableCopy]", copies):
        tables[copy.database].append(copy)
    return dict(tables)


def _aside(mark: str, position: int | None = None) -> str:
    return f"openrds_{mark}" if position is None else f"openrds_{mark}_{position}"


def _comment(mark: str) -> str:
    return f"restored by openrds, task {mark}"


def _rename_database(connection: Connection, old: str, new: str) -> None:
    connection.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
    )
