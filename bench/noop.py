"""An operation of five steps that do nothing, and a worker process that knows it."""

from multiprocessing.connection import Connection

from openrds.domain.task import TaskName
from openrds.operations.intake.intake import NoParameters
from openrds.operations.registry import OPERATIONS
from openrds.operations.steps.resources import Resources
from openrds.service import child, worker_process
from openrds.tasks.operation import Ending, Operation, Step, StepContext

Context = StepContext[Resources, NoParameters]


def nothing(_context: Context) -> None:
    pass


ENDING: Ending[Resources, NoParameters, None] = Ending(lambda _context, _connection, _seen: None)

NOOP: Operation[Resources, NoParameters] = Operation(
    key="noop",
    name=TaskName.RESTART,
    parameters=NoParameters,
    steps=tuple(Step(f"step {number}", nothing) for number in range(5)),
    on_completed=ENDING,
    on_failed=ENDING,
)


def work(parent: Connection, brief: child.Brief) -> None:
    """The body of a worker process."""
    vars(worker_process)["OPERATIONS"] = {**OPERATIONS, NOOP.key: NOOP}
    child.live(lambda: worker_process.work(brief, lambda: None), parent.fileno())
