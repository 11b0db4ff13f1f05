"""Worker processes as the service starts them, killed without warning at one step: `operation:step:node:before|after`.

With `operation:*:*:servers` they live, and each step begins with the death of all servers, which die once more when it
has done its work. None of these deaths counts as one of several in a row, after which the monitor would pause.
"""

import contextlib
import os
import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from openrds.operations import registry
from openrds.operations.steps.resources import Resources
from openrds.service import child, worker_process
from openrds.tasks.operation import Step, StepContext
from support.dialects import DIALECTS
from support.engines import found
from support.forked import forked
from support.service import kill_all_below

# The process that forks workers imports this: none of them has to ask the servers of this host for their versions.
for _engine in DIALECTS:
    found(_engine)


def mortal_worker(brief: child.Brief, death: str = "") -> contextlib.AbstractContextManager[BaseProcess]:
    """A worker for as long as the block takes; with `death` one that kills itself at that point."""
    return forked(_work, brief, death)


def _work(parent: Connection, brief: child.Brief, death: str) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    if death:
        key, name, node_id, when = death.split(":")
        operation = registry.OPERATIONS[key]
        wrap = _bereaved if when == "servers" else lambda step: _doomed(step, node_id, when)
        steps = tuple(wrap(step) if name in ("*", step.name) else step for step in operation.steps)
        vars(worker_process)["OPERATIONS"] = {**registry.OPERATIONS, key: replace(operation, steps=steps)}
    child.live(lambda: worker_process.work(brief, lambda: None), parent.fileno())


def _doomed(step: Step[Any, Any], node_id: str, when: str) -> Step[Any, Any]:
    def die(context: StepContext[Any, Any]) -> Any:
        if context.node_id != node_id:
            return step.do(context)
        if when == "after":
            step.do(context)
        os.kill(os.getpid(), signal.SIGKILL)

    return replace(step, do=die)


def _bereaved(step: Step[Any, Any]) -> Step[Any, Any]:
    """Only the first attempt for each node is disturbed."""
    disturbed: set[str] = set()

    def do(context: StepContext[Any, Any]) -> Any:
        if context.node_id in disturbed:
            return step.do(context)
        disturbed.add(context.node_id)
        _kill_servers(context.resources)
        step.do(context)
        _kill_servers(context.resources)
        raise RuntimeError("all servers died")

    return replace(step, do=do)


def _kill_servers(resources: Resources) -> None:
    with resources.store.transaction() as connection:
        connection.execute("update node set revivals = 0")
    kill_all_below(resources.settings.nodes_dir, resources.settings.scratch_dir)
