"""Programs that come with a server, run as the user that it runs as."""

import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from openrds.engines.protocol import EngineError
from openrds.hosts import commands, processes
from openrds.hosts.processes import wait_until
from openrds.hosts.user import ServerUser

#: Nothing of our own environment, which may hold secrets. MariaDB writes its logs in the time of the machine.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/", "TZ": "UTC"}
_LINES = 5
_END_SECONDS = 10.0


def run(
    command: Sequence[str | Path],
    user: ServerUser,
    *,
    environment: Mapping[str, str] = ENVIRONMENT,
    folder: Path = Path("/"),
    seconds: float | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    The folder is where it works, and where `end` finds it again. It is killed after so many seconds.

    Raises:
        EngineError: it failed; the message ends with lines of what it printed.
    """
    name = Path(command[0]).name
    try:
        code, output = commands.run(
            command, cwd=folder, env=dict(environment), timeout=seconds, **user.identity()
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"{name} was ended, as it took longer than {seconds:.0f} s") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{name} could not be run: {error}") from error
    if code != 0:
        raise EngineError(f"{name} failed: {telling_lines(output) or f'it ended with {code}'}")
    return output.decode(errors="replace")


def end(folder: Path, names: Iterable[str]) -> None:
    """End the programs of these names that a worker that was killed left at work in a folder.

    Raises:
        EngineError: one does not die.
    """
    sought = tuple(names)
    if not (found := processes.working_in(folder, *sought)):
        return
    for process in found:
        process.send(signal.SIGKILL)
    if not wait_until(lambda: not processes.working_in(folder, *sought), _END_SECONDS):
        raise EngineError(f"A program at work in {folder} does not die.")


def telling_lines(output: bytes) -> str:
    """Those that speak of an error, or the last ones where none does: some programs end with good advice."""
    lines = output.decode(errors="replace").strip().splitlines()
    return "\n".join([line for line in lines if "error" in line.lower()][-_LINES:] or lines[-_LINES:])
