"""Loading a dump: by loaders what tenants made, by the superuser schemas, bytes of large objects, and rights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from openrds.engines.postgresql import catalog, contents, loaders
from openrds.engines.postgresql.configuration import LOADER, SUPERUSER
from openrds.engines.postgresql.contents import Entry
from openrds.engines.postgresql.loaders import Loaders
from openrds.engines.postgresql.programs import Programs
from openrds.engines.postgresql.sessions import Connection
from openrds.engines.protocol import NodeSpec
from openrds.hosts.folders import clear

#: Code of a tenant may never end: a load has ten minutes, and a second more for each MB.
_LEAST_SECONDS = 600.0
_BYTES_A_SECOND = 1e6


@dataclass(frozen=True)
class Dump:
    """A file with what is in a database of a server, or in one schema of it.

    `roles` are all there were, `unlisted` the owners of what a dump names no owner of.
    """

    path: Path
    roles: tuple[str, ...]
    superusers: frozenset[str]
    unlisted: dict[int, str]
    seconds: float


@contextmanager
def dumped(
    programs: Programs, source: NodeSpec, connection: Connection, database: str, *options: str
) -> Iterator[Dump]:
    """It is in a folder of the source's user, who is the target's too, in that of its node; and gone afterwards.

    Raises:
        EngineError: pg_dump failed, or took too long.
    """
    programs.end(source.folder)
    known = catalog.rows(connection, "SELECT rolname, rolsuper FROM pg_roles")
    dump = Dump(
        path=source.folder / "copy" / "dump",
        roles=tuple(name for name, _ in known),
        superusers=frozenset(name for name, is_superuser in known if is_superuser),
        unlisted=catalog.owners_of_unlisted(connection),
        seconds=_LEAST_SECONDS + catalog.size(connection) / _BYTES_A_SECOND,
    )
    command: list[str | Path] = [
        programs.path("pg_dump", source.installation),
        "--format=custom",
        "--compress=0",
        # Not that of our sessions, which may not have all that is in it.
        f"--encoding={catalog.encoding(connection)}",
        "--no-publications",
        "--no-subscriptions",
        f"--file={dump.path}",
        f"--dbname={catalog.conninfo(database)}",
        *options,
    ]
    try:
        clear(dump.path.parent)
        source.user.make_folder(dump.path.parent)
        programs.run(command, source.user, source, source.folder, seconds=dump.seconds)
        yield dump
    finally:
        clear(dump.path.parent)


@dataclass(frozen=True)
class Loading:
    """One dump into one database of a server. `folder` is where its programs work."""

    programs: Programs
    dump: Dump
    folder: Path
    target: NodeSpec
    database: str
    loaders: Loaders

    def make_schemas(self) -> None:
        """And extensions that only a superuser can make, in a database that has nothing of a tenant yet."""
        entries = self._entries("--section=pre-data", "--no-acl")
        self._restore(SUPERUSER, [entry for entry in entries if self._is_the_superusers(entry)])

    def load(self, section: str) -> None:
        """Of a section, each entry by the loader of its owner.

        Raises:
            EngineError: it cannot be loaded; often a loader has no right to something. The message has the reason.
        """
        entries = [
            entry
            for entry in self._entries(f"--section={section}", "--no-acl")
            if not self._is_the_superusers(entry) and not entry.is_a("COMMENT - EXTENSION")
        ]
        # Before version 17 a dump does not say whose large objects are; they are bytes, and call nothing.
        large = [entry for entry in entries if entry.is_a("BLOBS") and not entry.owner(self.dump.roles)]
        self._restore(SUPERUSER, large)
        others = [entry for entry in entries if entry not in large]
        unlisted = {oid: self.loaders.of(owner) for oid, owner in self.dump.unlisted.items()}
        plan = contents.loaders(others, self.dump.roles, self.loaders.of, unlisted)
        for run in contents.runs(others, plan):
            with loaders.at_work(self.target, run.loader):
                self._restore(LOADER, run.entries)

    def grant(self) -> None:
        """The rights of users on what has its owners by now: GRANT, REVOKE and nothing that is evaluated."""
        entries = self._entries()
        self._restore(SUPERUSER, [entry for entry in entries if entry.is_a("ACL", "DEFAULT ACL")])

    def _is_the_superusers(self, entry: Entry) -> bool:
        if entry.is_a("EXTENSION"):
            return self.dump.unlisted.get(entry.oid) in self.dump.superusers
        return entry.is_a("SCHEMA")

    def _entries(self, *options: str) -> list[Entry]:
        """What these options choose: only the list of all says what needs what."""
        chosen = {entry.number for entry in contents.read_list(self._list(*options))}
        return [entry for entry in self._all if entry.number in chosen]

    @cached_property
    def _all(self) -> list[Entry]:
        return contents.read_list(self._list("--verbose"))

    def _list(self, *options: str) -> str:
        return self.programs.run([self._program, "--list", *options, self.dump.path], self.target.user)

    def _restore(self, role: str, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        chosen = self.dump.path.with_name("list")
        self.target.user.write(chosen, "".join(entry.line for entry in entries), durable=False)
        command: list[str | Path] = [
            self._program,
            f"--use-list={chosen}",
            "--single-transaction",
            "--exit-on-error",
            "--no-owner",
            f"--dbname={catalog.conninfo(self.database)}",
            self.dump.path,
        ]
        self.programs.run(
            command, self.target.user, self.target, self.folder, role=role, seconds=self.dump.seconds
        )

    @property
    def _program(self) -> Path:
        return self.programs.path("pg_restore", self.target.installation)
