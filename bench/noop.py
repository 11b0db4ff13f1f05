"""An operation of five steps that do nothing, and a worker process that knows it."""

from multiprocessing.connection import Connection

from openrds.domain.task import TaskName
from openrds.operations.intake.intake import NoParameters
from openrds.operations.registry import OPERATIONS
from openrds.operations.steps.resources import Resources
from openrds.service import child, worker_process
from openrds.store.database import Writer
from openrds.tasks.operation import Operation, Output, Step, StepContext

Context = StepContext[Resources, NoParameters]


def nothing(_context: Context) -> None:
    pass


def completed(_context: Context, _connection: Writer) -> Output:
    return {}


def failed(_context: Context, _connection: Writer) -> None:
    pass


NOOP: Operation[Resources, NoParameters] = Operation(
    key="noop",
    name=TaskName.RESTART,
    parameters=NoParameters,
    steps=tuple(Step(f"step {number}", nothing) for number in range(5)),
    on_completed=completed,
    on_failed=failed,
)


def work(parent: Connection, brief: child.Brief) -> None:
    """The body of a worker process."""
    vars(worker_process)["OPERATIONS"] = {**OPERATIONS, NOOP.key: NOOP}
    child.live(lambda: worker_process.work(brief, lambda: None), parent.fileno())
