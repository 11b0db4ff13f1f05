"""Programs that come with a server and work on a data directory, such as pg_basebackup."""

import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.protocol import EngineError, Installation
from openrds.hosts import processes
from openrds.hosts.processes import wait_until
from openrds.hosts.user import ServerUser

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_COPYING = "pg_basebackup"
_REWINDING = "pg_rewind"
_END_SECONDS = 10.0


@dataclass(frozen=True)
class Programs:
    """`installations` are those of this host: what one lacks, another may have."""

    installations: Callable[[], Iterable[Installation]]
    user: ServerUser

    def copier(self, installation: Installation) -> tuple[Path, int]:
        """pg_basebackup and its major version; it copies servers of its own version and of older ones.

        Raises:
            EngineError: no installation has it.
        """
        newer = [found for found in self.installations() if int(found.version) >= int(installation.version)]
        for found in (installation, *newer):
            program = found.bin_dir / _COPYING
            if program.exists():
                return program, int(found.version)
        raise EngineError(
            f"No PostgreSQL {installation.version} or newer on this host has {_COPYING}, which copies a server."
        )

    def rewinder(self, installation: Installation) -> Path | None:
        """pg_rewind, which works for its own version only."""
        program = installation.bin_dir / _REWINDING
        return program if program.exists() else None

    def run(self, command: Iterable[str | Path], folder: Path) -> None:
        """Run a program to its end as the servers' user. `folder` is the node's, by which `end` finds it again.

        Raises:
            EngineError: it failed; the message ends with its last lines.
        """
        words = [str(word) for word in command]
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_ENVIRONMENT,
                check=False,
                **self.user.identity(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"Could not run {words[0]}: {error}.") from error
        if done.returncode != 0:
            lines = done.stdout.decode(errors="replace").strip().splitlines()[-5:]
            raise EngineError(f"{Path(words[0]).name} failed in {folder}: " + "\n".join(lines))

    def end(self, folder: Path) -> None:
        """End what a worker that was killed left at work on a node."""

        def at_work() -> list[processes.Process]:
            return [found for name in (_COPYING, _REWINDING) for found in processes.working_in(folder, name)]

        for process in at_work():
            process.send(signal.SIGKILL)
        if not wait_until(lambda: not at_work(), _END_SECONDS):
            raise EngineError(f"A program at work in {folder} does not die.")
