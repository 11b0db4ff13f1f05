"""Client programs of PostgreSQL, such as pg_dump, run as the user that servers run as."""

import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.engines.protocol import EngineError, Installation, NodeSpec
from openrds.hosts.user import ServerUser

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}
_LINES = 5


@dataclass(frozen=True)
class ClientPrograms:
    """`installations` are those of the host: what one lacks, a newer one may have."""

    user: ServerUser
    installations: Callable[[], Iterable[Installation]]

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

    def works(self, program: Path) -> bool:
        """Whether a program runs here at all."""
        try:
            self.run([program, "--version"])
        except EngineError:
            return False
        return True

    def run(self, command: Sequence[str | Path], node: NodeSpec | None = None) -> str:
        """Run a program to its end and return what it printed; with a node, it connects to its server.

        Raises:
            EngineError: it failed; the message ends with the last lines of what it printed.
        """
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(node),
            check=False,
            **self.user.identity(),
        )
        if done.returncode != 0:
            said = last_lines(done.stdout) or f"it ended with {done.returncode}"
            raise EngineError(f"{Path(command[0]).name} failed: {said}")
        return done.stdout.decode(errors="replace")


def environment(node: NodeSpec | None, name: str = "openrds") -> dict[str, str]:
    """What leads a program to a node's server as the superuser; nothing of our own environment."""
    if node is None:
        return _ENVIRONMENT
    return {
        **_ENVIRONMENT,
        "PGHOST": str(node.socket_dir),
        "PGPORT": str(node.port),
        "PGUSER": SUPERUSER,
        "PGAPPNAME": name,
        "PGOPTIONS": "-c log_statement=none -c default_transaction_read_only=off -c statement_timeout=0",
    }


def last_lines(output: bytes) -> str:
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-_LINES:])
