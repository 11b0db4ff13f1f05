"""Programs that come with a server, such as pg_basebackup and pg_dump, run as the user that it runs as."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openrds.engines import programs
from openrds.engines.postgresql import pinned
from openrds.engines.postgresql.configuration import SUPERUSER, major_version
from openrds.engines.programs import ENVIRONMENT
from openrds.engines.protocol import EngineError, Installation, NodeSpec
from openrds.hosts.user import ServerUser

#: Those that make something of a node's data.
_WRITERS = ("pg_basebackup", "pg_rewind", "pg_dump", "pg_restore")


@dataclass(frozen=True)
class Programs:
    """`installations` are those of the host: what one lacks, a newer one may have."""

    installations: Callable[[], Iterable[Installation]] = tuple

    def path(self, name: str, installation: Installation) -> Path:
        """The program of the installation itself, or of the next newer one that has it.

        Raises:
            EngineError: none has it.
        """
        newer = [one for one in self.installations() if int(one.version) > int(installation.version)]
        for one in (installation, *sorted(newer, key=lambda one: int(one.version))):
            if (one.bin_dir / name).is_file():
                return one.bin_dir / name
        raise EngineError(
            f"this host has no {name} for PostgreSQL {installation.version}: install the client programs of that "
            "version or a newer one"
        )

    def works(self, program: Path, user: ServerUser) -> bool:
        """Whether a program runs here at all."""
        try:
            self.run([program, "--version"], user)
        except EngineError:
            return False
        return True

    def run(
        self,
        command: Sequence[str | Path],
        user: ServerUser,
        node: NodeSpec | None = None,
        folder: Path = Path("/"),
        *,
        role: str = SUPERUSER,
        seconds: float | None = None,
    ) -> str:
        """Run a program to its end and return what it printed.

        With a node, it connects to its server, as the superuser where no other role is named. The folder is where it
        works, and where `end` finds it again. It is killed after so many seconds.

        Raises:
            EngineError: it failed; the message ends with lines of what it printed.
        """
        return programs.run(
            command, user, environment=_environment(node, role), folder=folder, seconds=seconds
        )

    def end(self, folder: Path) -> None:
        """End what a worker that was killed left at work on a node.

        Raises:
            EngineError: it does not die.
        """
        programs.end(folder, _WRITERS)


def _environment(node: NodeSpec | None, role: str) -> dict[str, str]:
    """What leads a program to a node's server; nothing of our own environment."""
    if node is None:
        return ENVIRONMENT
    return {
        **ENVIRONMENT,
        "PGHOST": str(node.socket_dir),
        "PGPORT": str(node.port),
        "PGUSER": role,
        "PGAPPNAME": "openrds",
        "PGOPTIONS": pinned.options(
            major_version(node), superuser=role == SUPERUSER, lock_seconds=0, statement_seconds=0
        ),
    }
