"""How an engine makes data directories."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.programs import ENVIRONMENT, telling_lines
from openrds.engines.protocol import EngineError, Installation, NodeSpec
from openrds.hosts import commands
from openrds.hosts.user import ServerUser

#: How the name of a data directory begins that is not whole yet.
UNFINISHED = ".making-"


@dataclass(frozen=True)
class Recipe:
    """Which command makes a data directory, what a whole one looks like, and what makes a copy one of its own.

    `program` is for messages. `sync_command` puts one on disk; without it each file is put there. `fixed` are the
    options that are fixed when a directory is made, as they are in a spare: for a node that wants one otherwise there
    is no spare. `is_mostly_zeros`: the room that the program reserved is larger than what it wrote, and is reserved
    in a copy instead of being written.
    """

    engine: EngineName
    program: str
    command: Callable[[Installation, Path, Mapping[str, str]], Sequence[str | Path]]
    is_made: Callable[[Path], bool]
    identify: Callable[[Path], None]
    sync_command: Callable[[Installation, Path], Sequence[str | Path]] | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    is_mostly_zeros: bool = False

    def is_spare_fit(self, node: NodeSpec) -> bool:
        return all(node.options.get(name, value) == value for name, value in self.fixed.items())


def run(
    command: Sequence[str | Path], user: ServerUser, what: str, seconds: float, pass_fds: Sequence[int] = ()
) -> None:
    """Run a program as a user.

    Raises:
        EngineError: it failed; the message begins with `what`.
    """
    try:
        code, output = commands.run(
            command, cwd="/", env=ENVIRONMENT, timeout=seconds, pass_fds=pass_fds, **user.identity()
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{what} failed: {error}") from error
    if code != 0:
        raise EngineError(f"{what} failed: {telling_lines(output)}")
