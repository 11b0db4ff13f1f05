"""Follow a task to its end: a bar with the current step on a terminal, a line for each change elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

from openrds.cli.client import Client, Json
from openrds.cli.errors import ApiError, Interrupted, TaskFailed, Unreachable
from openrds.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

#: Seconds after which progress is shown though nothing has changed: to who looks at it, and in a log.
_BAR_INTERVAL, _LINE_INTERVAL = 0.5, 5.0
#: Seconds before a service that does not answer is asked again.
_RETRY_DELAY = 0.5
#: Seconds that a service may be away, as when it is started anew; its tasks go on then.
_PATIENCE = 30.0

_UNAVAILABLE = 503


@dataclass(frozen=True)
class Snapshot:
    """A task as it was at one moment: its job, and its steps in order."""

    job: Json
    steps: Sequence[Json]

    @property
    def is_running(self) -> bool:
        return bool(self.job["status"] == "Running")

    @property
    def percent(self) -> int:
        return int(self.job["process"].rstrip("%") or 0) if self.is_running else 100

    @property
    def completed(self) -> list[str]:
        return [step["name"] for step in self.steps if step["status"] == "Completed"]

    @property
    def current(self) -> str:
        """What happens now: the step that runs, or is next; the outcome once the task has ended."""
        if not self.is_running:
            return str(self.job["status"]).lower()
        return next((_label(step) for step in self.steps if step["status"] in _ACTIVE), self._next())

    def _next(self) -> str:
        return next((step["name"] for step in self.steps if step["status"] == "Planned"), "finishing")


_ACTIVE = ("Running", "Undoing")


def _label(step: Json) -> str:
    label = f"undo {step['name']}" if step["status"] == "Undoing" else str(step["name"])
    return f"{label} (attempt {step['attempts']})" if step["attempts"] > 1 else label


class Display(Protocol):
    def show(self, snapshot: Snapshot) -> None: ...


class Lines:
    """One line for each change; steps that began and ended between two looks get theirs too."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._steps_seen: set[str] = set()
        self._last = ""

    def show(self, snapshot: Snapshot) -> None:
        for name in snapshot.completed:
            if name not in self._steps_seen:
                self._line(snapshot.percent, name)
        self._line(snapshot.percent, snapshot.current)

    def _line(self, percent: int, text: str) -> None:
        line = f"{percent:3d}%  {text}"
        self._steps_seen.add(text)
        if line != self._last:
            print(line, file=self._stream, flush=True)
        self._last = line


class Bar:
    """A bar with the name of the current step; finished steps stay above it."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=100)
        self._ticked: set[str] = set()

    def show(self, snapshot: Snapshot) -> None:
        for name in snapshot.completed:
            if name not in self._ticked:
                self._progress.console.print(f"  [green]✓[/green] {name}", highlight=False)
                self._ticked.add(name)
        text = f"[bold]{snapshot.job['name']}[/bold] {snapshot.current}"
        self._progress.update(self._bar, completed=snapshot.percent, description=text)


def follow(client: Client, task_id: str, output: Output) -> Json:
    """Show a task until it ends, print how it ended, and return its last `job`.

    Raises:
        TaskFailed: with the task's reason.
    """
    job = watch(client, task_id, output.progress)
    output.said({"job": job}, _outcome(job))
    if job["status"] == "Failed":
        raise TaskFailed(f"Task {task_id} failed: {job.get('fail_reason') or 'no reason was given'}")
    return job


def watch(client: Client, task_id: str, stream: TextIO) -> Json:
    """Show a task on the stream until it ends; its last `job`."""
    try:
        with _display(stream) as display:
            interval = _BAR_INTERVAL if stream.isatty() else _LINE_INTERVAL
            for snapshot in snapshots(client, task_id, interval):
                display.show(snapshot)
    except KeyboardInterrupt:
        raise Interrupted(f"The task goes on; to watch it again: openrds task watch {task_id}") from None
    return snapshot.job


def snapshots(client: Client, task_id: str, interval: float) -> Iterator[Snapshot]:
    """Look at a task whenever it has changed, and each interval of seconds; the last look shows it ended."""
    snapshot = take_snapshot(client, task_id)
    yield snapshot
    while snapshot.is_running:
        snapshot = _patiently(lambda: take_snapshot(client, task_id, interval))
        yield snapshot


def take_snapshot(client: Client, task_id: str, wait: float | None = None) -> Snapshot:
    """The job is read first: of an ended task, the steps are then all ended too.

    `wait` is for how many seconds a change is waited for.
    """
    waiting = {} if wait is None else {"wait": wait, "until": "changed"}
    job = client.get("jobs", {"id": task_id, **waiting})["job"]
    return Snapshot(job, client.get(f"jobs/{task_id}/steps")["steps"])


def _patiently(look: Callable[[], T]) -> T:
    """Look until there is an answer; the service or its store may be away for a while."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return look()
        except (Unreachable, ApiError) as error:
            gone = isinstance(error, Unreachable) or error.status == _UNAVAILABLE
            if not gone or time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_DELAY)


def _display(stream: TextIO) -> AbstractContextManager[Display]:
    return _bar(stream) if stream.isatty() else nullcontext(Lines(stream))


@contextmanager
def _bar(stream: TextIO) -> Iterator[Display]:
    # Importing rich takes 0.2 s, which only a terminal needs.
    from rich import progress as rich  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (rich.SpinnerColumn(), "{task.description}", rich.BarColumn(), rich.TaskProgressColumn())
    with rich.Progress(*columns, rich.TimeElapsedColumn(), console=Console(file=stream)) as progress:
        yield Bar(progress)


def _outcome(job: Json) -> str:
    """How a task ended, in a sentence."""
    endpoint = job["entities"].get("instance", {}).get("endpoint", "")
    instance = f"{job['name']} of {job['instance']['name']} ({job['instance']['id']})"
    return f"{instance}: {job['status'].lower()}" + (f", serving on {endpoint}" if endpoint else "")
