"""What an instance is, written down: its status, and what is wanted of it."""

from typing import Any

from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import EngineError
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, P, StepContext, StepFailed, TaskContext

_sql = Queries("instances")


def set_status(
    connection: Writer, instance_id: str, status: InstanceStatus, *, deleting: bool = False
) -> None:
    connection.execute(_sql.set_status, {"id": instance_id, "status": status, "deleting": deleting})


def set_wanted(connection: Writer, instance_id: str, wanted: Wanted) -> None:
    connection.execute(_sql.set_wanted, {"id": instance_id, "wanted": wanted})


def instance_of(context: StepContext[Resources, P]) -> Instance:
    return context.resources.view.instance(context.instance_id)


def looked_at(context: StepContext[Resources, P]) -> InstanceStatus:
    """What the task's instance is after a failure."""
    return status_by_looking(context.resources, context.instance_id)


def status_by_looking(resources: Resources, instance_id: str) -> InstanceStatus:
    """An instance that the task holds is ACTIVE if it serves, and else FAILED: down for now.

    What is missing is the monitor's to bring back.
    """
    return InstanceStatus.ACTIVE if serves(resources, instance_id) else InstanceStatus.FAILED


def serves(resources: Resources, instance_id: str) -> bool:
    """Whether an instance serves, which whoever asks must hold: a primary that answers and was demoted is resumed.

    One that does not run is not started.
    """
    try:
        server = resources.primary_server(instance_id)
        if not server.answers():
            return False
        resources.host.serve(server)
    except (StepFailed, EngineError):
        return False
    return True


def answers(resources: Resources, instance: Instance, node: Node) -> bool:
    """Whether the server of a node answers. Where nobody holds the instance, it serves then."""
    try:
        return resources.server(instance, node).answers()
    except StepFailed:
        return False


def _become_active(context: TaskContext[Any], connection: Writer, _seen: None) -> None:
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)


def _settle(context: TaskContext[Any], connection: Writer, status: InstanceStatus) -> None:
    set_status(connection, context.instance_id, status)


def _leave_as_it_is(_context: TaskContext[Any], _connection: Writer, _seen: None) -> None:
    pass


#: In which statuses an instance is left: after what went well, and by who looks what became of it.
ACTIVE = frozenset({InstanceStatus.ACTIVE})
SETTLED = frozenset({InstanceStatus.ACTIVE, InstanceStatus.FAILED})

#: After a success of which there is nothing more to say.
BECOMES_ACTIVE: Ending[Resources, Any, None] = Ending(_become_active, statuses=ACTIVE)
#: After a failure of which there is nothing more to say.
IS_LOOKED_AT: Ending[Resources, Any, InstanceStatus] = Ending(_settle, looked_at, SETTLED)
#: Where the status never changed, and whether the instance serves is the monitor's to say.
STAYS_AS_IT_IS: Ending[Resources, Any, None] = Ending(_leave_as_it_is)
