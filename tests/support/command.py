"""The command `openrds`, forked of a process that has imported it, which is most of what Python does when it starts.

It is what a user runs in all else: the same words, environment and outputs, in a process of its own.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from setproctitle import setproctitle

from openrds.cli import main
from support.forked import context


class Command:
    """One that runs; its errors are appended to a file."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], errors: Path) -> None:
        ours, theirs = context().Pipe(duplex=False)
        self._process = context().Process(target=_run, args=(arguments, dict(environment), theirs, errors))
        self._process.start()
        theirs.close()
        with ours:
            self.stdout = os.fdopen(os.dup(ours.fileno()), "rb")
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, seconds: float) -> int:
        """Its exit code."""
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, f"the command has not ended after {seconds} s"
        return code


class Program(subprocess.Popen[bytes]):
    """The same as a user has it, for who measures it."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], errors: Path) -> None:
        with errors.open("ab") as log:
            super().__init__(
                [sys.executable, "-m", "openrds.cli", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )


def completed(
    arguments: Sequence[str], environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """One that has ended, and what it said."""
    with tempfile.NamedTemporaryFile("r", errors="replace") as errors:
        command = Command(arguments, environment, Path(errors.name))
        with command.stdout:
            said = command.stdout.read().decode()
        return subprocess.CompletedProcess(
            ["openrds", *arguments], command.wait(seconds), said, errors.read()
        )


def _run(arguments: Sequence[str], environment: dict[str, str], output: Connection, errors: Path) -> None:
    words = [sys.executable, "-m", "openrds.cli", *arguments]
    sys.argv = words[2:]
    # Who looks for all that belongs to a folder finds it by these words, which go where the environment is until now.
    setproctitle(" ".join(words))
    os.dup2(output.fileno(), 1)
    output.close()
    descriptor = os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    main.main(arguments)
