"""Programs that are waited for. They end with the step that waits for them: see `openrds.domain.deadline`."""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from openrds.domain.deadline import check_deadline, ended_with_step


@contextlib.contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does; it is killed when the block or the step fails.

    Raises:
        OSError: it cannot be run.
        DeadlinePassed: the step was given up.
    """
    with subprocess.Popen([str(word) for word in command], **options) as process:
        # Knows it from a later one with the same pid.
        identity = psutil.Process(process.pid)
        try:
            with ended_with_step(lambda: _kill(identity), lambda: _moved_by(identity)):
                yield process
            check_deadline()
        except BaseException:
            _kill(identity)
            raise


def run(command: Sequence[str | Path], **options: Any) -> tuple[int, bytes]:
    """Run a program to its end: its exit code, and what it printed to either output.

    Raises:
        OSError: it cannot be run.
        subprocess.TimeoutExpired: `timeout` seconds were over, and it was killed.
        DeadlinePassed: the step was given up, and it was killed.
    """
    seconds = options.pop("timeout", None)
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
    with running(command, **options) as process:
        output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


def bytes_moved(pid: int) -> int:
    """How much a process and those it started have read and written, files and connections alike."""
    with contextlib.suppress(psutil.Error):
        return _moved_by(psutil.Process(pid))
    return 0


def _moved_by(process: psutil.Process) -> int:
    moved = 0
    for one in _with_descendants(process):
        with contextlib.suppress(psutil.Error):
            counters = one.io_counters()
            moved += counters.read_chars + counters.write_chars
    return moved


def _kill(process: psutil.Process) -> None:
    for one in _with_descendants(process):
        with contextlib.suppress(psutil.Error):
            one.kill()


def _with_descendants(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return [process]
