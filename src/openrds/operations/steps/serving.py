"""Steps that need servers have them first: of the instances that the task holds they bring them back themselves.

Nobody else does while a task holds an instance, and a step that was tried against a dead server would only use up its
attempts. For the servers of other instances it waits: there the monitor, or another task, is at work.
"""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import psycopg

from openrds.domain.instance import Confirmation, Wanted
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.hosts.processes import wait_until
from openrds.operations.steps import parameters
from openrds.operations.steps.replication import build_standby
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_missing_standbys
from openrds.operations.steps.status import answers
from openrds.tasks.operation import P, StepContext, StepFailed

logger = logging.getLogger(__name__)

#: Seconds in which servers must be there again, and between two tries to start one: a pause, which doubles.
_LONGEST = 60.0
_FIRST_PAUSE = 0.5

T = TypeVar("T")
Body = Callable[[StepContext[Resources, P]], T]


def with_primary(body: Body[P, T]) -> Body[P, T]:
    """For what is done with the server that serves the clients of the task's instance."""
    return _preceded_by(bring_back, body)


def with_standby(body: Body[P, T]) -> Body[P, T]:
    """The same for what its standby must be there for too."""
    return _preceded_by(bring_all_back, body)


def with_upstream(body: Body[P, T]) -> Body[P, T]:
    """For what is copied from another server: of a read replica its primary instance's, else the own primary."""
    return _preceded_by(_bring_upstream_back, body)


def keeping_servers(body: Body[P, T]) -> Body[P, T]:
    """For what takes long while the task's instance serves: should its servers die meanwhile, they are brought back.

    One that did not serve when it began is left as it is.
    """

    @functools.wraps(body)
    def run(context: StepContext[Resources, P]) -> T:
        with _kept(context.resources, context.instance_id):
            return body(context)

    return run


@contextlib.contextmanager
def _kept(resources: Resources, instance_id: str) -> Iterator[None]:
    if not resources.primary_server(instance_id).is_running():
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(resources.settings.monitor_interval):
            try:
                bring_back(resources, instance_id)
            except (StepFailed, EngineError, HostError, psycopg.Error):
                logger.warning("instance %s is not brought back yet", instance_id, exc_info=True)

    keeper = threading.Thread(target=look, name=f"keeper of {instance_id}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        # What comes next is not to meet with a server that is just being started.
        over.set()
        keeper.join()


def bring_back(resources: Resources, instance_id: str) -> None:
    """Have an instance that the task holds serve, also those of its standbys for which commits wait.

    Raises:
        StepFailed: it does not come up in time; the message says what its server reports.
    """
    start_primary(resources, instance_id)
    missing = [
        node for node in resources.view.standbys(instance_id) if not _runs(resources, instance_id, node.id)
    ]
    if any(node.confirmation is not Confirmation.NO for node in missing):
        start_missing_standbys(resources, instance_id)


def bring_all_back(resources: Resources, instance_id: str) -> None:
    """The same with each of its standbys.

    Raises:
        EngineError: one does not come to stream.
    """
    start_primary(resources, instance_id)
    for node in resources.view.standbys(instance_id):
        if not _runs(resources, instance_id, node.id):
            build_standby(resources, instance_id, resources.node_server(instance_id, node.id))


def start_primary(resources: Resources, instance_id: str) -> None:
    """
    Raises:
        StepFailed: it does not come up in time.
    """
    deadline, pause = time.monotonic() + _LONGEST, _FIRST_PAUSE
    while True:
        server = resources.primary_server(instance_id)
        try:
            if server.is_running():
                resources.host.serve(server)  # returns once it has recovered
            else:
                logger.warning(
                    "instance %s: its server is brought back by the task that holds it", instance_id
                )
                parameters.start_primary(resources, instance_id)
            return
        except (EngineError, HostError) as error:
            if time.monotonic() + pause > deadline:
                raise StepFailed(f"the server of the instance does not come up: {error}") from error
        time.sleep(pause)
        pause *= 2


def await_serving(resources: Resources, instance_id: str) -> bool:
    """Whether an instance that somebody else holds, or nobody, answers within the time, if it is to serve at all.

    It may be one that takes no writes for a moment, while roles change: it can be read and copied all the same.
    """

    def answers_if_it_is_to() -> bool:
        instance, primary = resources.view.instance(instance_id), resources.view.primary(instance_id)
        return instance.wanted is not Wanted.SERVING or answers(resources, instance, primary)

    wait_until(answers_if_it_is_to, _LONGEST, every=0.2)
    return answers(resources, resources.view.instance(instance_id), resources.view.primary(instance_id))


def _bring_upstream_back(resources: Resources, instance_id: str) -> None:
    primary_id = resources.view.instance(instance_id).replica_of
    if primary_id is None:
        start_primary(resources, instance_id)
    elif not await_serving(resources, primary_id):
        raise StepFailed(f"its primary, instance {primary_id}, does not serve")


def _runs(resources: Resources, instance_id: str, node_id: str) -> bool:
    return resources.node_server(instance_id, node_id).is_running()


def _preceded_by(have: Callable[[Resources, str], None], body: Body[P, T]) -> Body[P, T]:
    @functools.wraps(body)
    def run(context: StepContext[Resources, P]) -> T:
        have(context.resources, context.instance_id)
        return body(context)

    return run
