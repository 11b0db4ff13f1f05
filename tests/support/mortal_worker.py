"""Worker processes as the service starts them, killed without warning at one step: `operation:position:before|after`.

With `operation:*:servers` they live, and each step begins with the death of all servers, which die once more when it
has done its work.

They are forked from one process that has imported all of it, which takes most of the time that a worker needs to start.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from openrds.operations import registry
from openrds.service import child, worker_process
from openrds.tasks.operation import Step, StepContext
from support.service import kill_all_below

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload([worker_process.__name__])


@contextlib.contextmanager
def mortal_worker(brief: child.Brief, death: str = "") -> Iterator[BaseProcess]:
    """A worker for as long as the block takes; with `death` one that kills itself at that point."""
    theirs, ours = _forking.Pipe(duplex=False)
    process = _forking.Process(target=_work, args=(theirs, death))
    process.start()
    theirs.close()
    try:
        with contextlib.suppress(BrokenPipeError):
            os.write(ours.fileno(), brief.encode())
        yield process
    finally:
        ours.close()
        process.kill()
        process.join()
        process.close()


def _work(brief: Connection, death: str) -> None:
    os.dup2(brief.fileno(), 0)
    brief.close()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.stdin = os.fdopen(0)
    if death:
        key, position, when = death.split(":")
        operation = registry.OPERATIONS[key]
        wrap = _bereaved if when == "servers" else lambda step: _doomed(step, when)
        steps = tuple(
            wrap(step) if position in ("*", str(place)) else step
            for place, step in enumerate(operation.steps)
        )
        vars(worker_process)["OPERATIONS"] = {**registry.OPERATIONS, key: replace(operation, steps=steps)}
    child.run(worker_process.work)


def _doomed(step: Step[Any, Any], when: str) -> Step[Any, Any]:
    def die(context: StepContext[Any, Any]) -> None:
        if when == "after":
            step.do(context)
        os.kill(os.getpid(), signal.SIGKILL)

    return replace(step, do=die)


def _bereaved(step: Step[Any, Any]) -> Step[Any, Any]:
    """Only the first attempt is disturbed."""
    attempts = itertools.count()

    def do(context: StepContext[Any, Any]) -> Any:
        if next(attempts):
            return step.do(context)
        settings = context.resources.settings
        kill_all_below(settings.nodes_dir, settings.scratch_dir)
        step.do(context)
        kill_all_below(settings.nodes_dir, settings.scratch_dir)
        raise RuntimeError("all servers died")

    return replace(step, do=do)
