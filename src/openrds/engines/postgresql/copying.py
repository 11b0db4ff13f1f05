"""Tables and databases from one server into another that serves, under new names: pg_dump into pg_restore.

The copies are loaded out of sight, tables in a schema and databases under a name of our own, and appear with a rename.
No code of a tenant runs with more rights than its tenant's (docs/decisions/0012): what evaluates anything that a tenant
wrote is a session of a loader. What the superuser does itself (names, schemas, owners, rights) evaluates nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from openrds.engines.postgresql import catalog, databases, inventories, loaders, retitling, rights
from openrds.engines.postgresql.loading import Loading, dumped
from openrds.engines.postgresql.programs import Programs
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import Copies, DatabaseCopy, NameTaken, NodeSpec, Place, TableCopy

#: Making or dropping a database waits for a checkpoint, and one may have very much in it to be given away.
_LONG_SECONDS = 600.0


@dataclass(frozen=True)
class PostgreSQLCopying:
    programs: Programs

    def inventory(self, source: NodeSpec, most: int) -> Iterator[Place]:
        """
        The databases and tables of tenants; of a partitioned table its partitions, which have the rows.

        Raises:
            EngineError: the server does not answer, or has more than `most`.
        """
        return inventories.inventory(source, most)

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
                self._copy_database(source, target, copy.database, _aside(mark, position))
            return
        for database, tables in _by_database(copies).items():
            self._copy_tables(source, target, database, tables, _aside(mark))

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
                        databases.publish(connection, _aside(mark, position), copy.new_name)
            return
        places = _by_database(copies)
        for database, tables in places.items():
            with superuser_session(target, database) as connection:
                retitling.publish(connection, tables, _aside(mark))
        for database in places:
            with superuser_session(target, database) as connection:
                retitling.drop_schema(connection, _aside(mark))

    def discard(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Remove the copies; loaders that an attempt before has left at work are cut off first."""
        if _are_databases(copies):
            with superuser_session(target, statement_seconds=_LONG_SECONDS) as connection:
                for position in range(len(copies)):
                    catalog.drop_database(connection, _aside(mark, position))
                for name in catalog.databases_with_comment(connection, databases.comment(mark)):
                    catalog.drop_database(connection, name)
            loaders.dismiss(target, [], _aside(mark))
            return
        with superuser_session(target) as connection:
            present = [name for name in _by_database(copies) if catalog.has_database(connection, name)]
        loaders.dismiss(target, present, _aside(mark))
        for database in present:
            with superuser_session(target, database) as connection:
                retitling.discard(connection, _aside(mark))

    def _copy_tables(
        self, source: NodeSpec, target: NodeSpec, database: str, tables: Sequence[TableCopy], aside: str
    ) -> None:
        with superuser_session(target, database) as connection:
            taken = catalog.names_in(connection, {table.schema for table in tables})
        retitling.set_aside(source, database, tables, aside, taken)
        with superuser_session(source, database) as origin:
            owners = retitling.owners_aside(origin, aside)
            heir = loaders.heir(origin)
            with dumped(self.programs, source, origin, database, f"--schema={aside}") as dump:
                with superuser_session(target, database) as connection:
                    made = loaders.make(connection, owners.values(), heir, aside)
                    retitling.make_place(connection, aside, made)
                    for statement in rights.in_a_serving_database(connection, made):
                        connection.execute(statement.encode())
                loading = Loading(self.programs, dump, source.folder, target, database, made)
                for section in ("pre-data", "data", "post-data"):
                    loading.load(section)
                with superuser_session(target, database) as connection:
                    retitling.hand_over(connection, aside, owners, made)
                loading.grant()
        loaders.dismiss(target, [database], aside)

    def _copy_database(self, source: NodeSpec, target: NodeSpec, database: str, aside: str) -> None:
        with superuser_session(source) as connection:
            clauses = catalog.database_clauses(connection, database)
        with superuser_session(source, database) as origin:
            databases.prepare(origin, aside)
            heir = loaders.heir(origin)
            with dumped(self.programs, source, origin, database, f"--exclude-schema={aside}") as dump:
                with superuser_session(target, statement_seconds=_LONG_SECONDS) as connection:
                    made = loaders.make(connection, loaders.owners(origin), heir, aside)
                    databases.make(connection, aside, clauses)
                loading = Loading(self.programs, dump, source.folder, target, aside, made)
                loading.make_schemas()
                with superuser_session(target, aside) as connection:
                    databases.let_in(connection, aside, made)
                self._permit(target, aside, rights.in_a_new_database(origin, made, aside))
                loading.load("pre-data")
                self._permit(target, aside, rights.on_loaded_tables(origin, made))
                loading.load("data")
                loading.load("post-data")
                with superuser_session(target, aside, statement_seconds=_LONG_SECONDS) as connection:
                    databases.hand_over(connection, made, databases.definers(origin, aside))
                loading.grant()
        loaders.dismiss(target, [aside], f"{aside}_")

    def _permit(self, target: NodeSpec, database: str, statements: Iterable[str]) -> None:
        with superuser_session(target, database) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def _are_databases(copies: Copies) -> bool:
    return isinstance(copies[0], DatabaseCopy)


def _by_database(copies: Copies) -> dict[str, list[TableCopy]]:
    tables = defaultdict(list)
    for copy in cast("Iterable[TableCopy]", copies):
        tables[copy.database].append(copy)
    return dict(tables)


def _aside(mark: str, position: int | None = None) -> str:
    return f"openrds_{mark}" if position is None else f"openrds_{mark}_{position}"
