"""The worker process of the service, killed without warning at one step: `operation:position:before|after`."""

import os
import signal
import sys
from dataclasses import replace
from typing import Any

from openrds.operations import registry
from openrds.service import child, worker_process
from openrds.tasks.operation import Step, StepContext


def doomed(step: Step[Any, Any], when: str) -> Step[Any, Any]:
    def die(context: StepContext[Any, Any]) -> None:
        if when == "after":
            step.do(context)
        os.kill(os.getpid(), signal.SIGKILL)

    return replace(step, do=die)


if sys.argv[1]:
    key, position, when = sys.argv[1].split(":")
    operation = registry.OPERATIONS[key]
    steps = tuple(
        doomed(step, when) if place == int(position) else step for place, step in enumerate(operation.steps)
    )
    worker_process.OPERATIONS = {**registry.OPERATIONS, key: replace(operation, steps=steps)}

child.run(worker_process.work)
