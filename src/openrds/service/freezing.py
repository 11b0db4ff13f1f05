"""`openrds instance freeze|unfreeze`: what the operator does to an instance of whatever project."""

import time
from collections.abc import Callable
from uuid import UUID

from openrds.domain.errors import Refusal
from openrds.domain.settings import Settings
from openrds.domain.task import TaskStatus
from openrds.operations.instances import freeze_instance, unfreeze_instance
from openrds.operations.intake.intake import Intake
from openrds.service import places
from openrds.service.opened_store import opened_store
from openrds.store.database import Row, Store
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

_instances = Queries("instances")
_tasks = Queries("tasks")

_LOOK_INTERVAL = 0.05
#: Seconds: a server is killed where it does not stop by itself.
_PATIENCE = 300.0

Submit = Callable[[Intake, str], UUID]


class NotDone(Exception):  # noqa: N818 - what became of it
    """The message says why, and what to do."""


def freeze(settings: Settings, called: str) -> str:
    """Freeze the instance of that id or name, and return what was done once it is.

    Raises:
        NotDone: it is not.
        HostError, DataDirectoryError, psycopg.Error: the store cannot be used.
    """
    return _act(
        settings, called, freeze_instance.submit, "is frozen: its clients are cut off, its data is kept"
    )


def unfreeze(settings: Settings, called: str) -> str:
    """Let it serve again; else the same."""
    return _act(settings, called, unfreeze_instance.submit, "serves again")


def _act(settings: Settings, called: str, submit: Submit, done: str) -> str:
    if not settings.store and places.Lock(settings.data_dir).holder() is None:
        raise NotDone(f"The service of {settings.data_dir} does not run; start it first.")
    with opened_store(settings) as store:
        found = _find(store, called)
        try:
            with store.transaction() as connection:
                task_id = submit(Intake(connection, Queue(), settings, found["project_id"]), found["id"])
        except Refusal as refusal:
            raise NotDone(str(refusal)) from None
        _await(store, found["project_id"], task_id)
    return f"{found['name']} ({found['id']}) {done}."


def _find(store: Store, called: str) -> Row:
    found = store.rows(_instances.instances_called, {"called": called})
    if not found:
        raise NotDone(f"There is no instance {called}.")
    if len(found) > 1:
        ids = ", ".join(f"{row['id']} of project {row['project_id']}" for row in found)
        raise NotDone(f"Several instances are called {called}: say which by its id: {ids}.")
    return found[0]


def _await(store: Store, project_id: str, task_id: UUID) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        (task,) = store.rows(_tasks.get_task, {"id": task_id, "project_id": project_id})
        if task["status"] == TaskStatus.COMPLETED:
            return
        if task["status"] == TaskStatus.FAILED:
            raise NotDone(f"Task {task_id} failed: {task['fail_reason']}.")
        time.sleep(_LOOK_INTERVAL)
    raise NotDone(f"Task {task_id} still runs; see `openrds task show {task_id}`.")
