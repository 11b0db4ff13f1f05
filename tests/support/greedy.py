"""A project that blocks all it can: its administrators hold locks on what openrds is told to change."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from support.service import PASSWORD, ServiceUnderTest, fresh, wait_for


@contextlib.contextmanager
def blocked(service: ServiceUnderTest, instances: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """For the block a task is stuck on each instance, if nothing frees it; gives their ids."""
    with contextlib.ExitStack() as stack:
        for instance in instances:
            connection = stack.enter_context(_administrator(instance))
            connection.execute(sql.SQL("alter role root password {}").format(PASSWORD))
            caller = threading.Thread(target=_set_password, args=(service, instance))
            caller.start()
            stack.callback(caller.join)
            # Frees the one who waits for the answer.
            stack.callback(connection.rollback)
        tasks = [_running_task(service, instance) for instance in instances]
        yield tasks
    for task in tasks:
        service.ended(task)


def _administrator(instance: dict[str, Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=instance["private_ips"][0],
        port=instance["port"],
        user="root",
        password=PASSWORD,
        dbname="postgres",
    )


def _set_password(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    """Answered only when the task has ended, or with an error when that takes too long."""
    service.call("POST", f"instances/{instance['id']}/password", {"db_user_pwd": PASSWORD}, headers=fresh())


def _running_task(service: ServiceUnderTest, instance: dict[str, Any]) -> str:
    def look() -> str | None:
        tasks = service.get(f"tasklist?instance_id={instance['id']}&status=Running")["tasks"]
        steps = [
            step
            for task in tasks
            for step in service.get(f"jobs/{task['id']}/steps")["steps"]
            if step["status"] == "Running"
        ]
        return tasks[0]["id"] if steps else None

    return str(wait_for(look, what="a task that is at work on the instance"))
