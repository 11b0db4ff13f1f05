"""What an instance is, written down: its status, and what is wanted of it."""

from openrds.domain.instance import InstanceStatus, Wanted
from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import EngineError
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Output, P, StepContext, StepFailed

_sql = Queries("instances")


def set_status(
    connection: Writer, instance_id: str, status: InstanceStatus, *, deleting: bool = False
) -> None:
    connection.execute(_sql.set_status, {"id": instance_id, "status": status, "deleting": deleting})


def set_wanted(connection: Writer, instance_id: str, wanted: Wanted) -> None:
    connection.execute(_sql.set_wanted, {"id": instance_id, "wanted": wanted})


def become_active(context: StepContext[Resources, P], connection: Writer) -> Output:
    """After a success of which there is nothing more to say."""
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    return {}


def settle_by_looking(context: StepContext[Resources, P], connection: Writer) -> None:
    """After a failure: the instance is ACTIVE if it serves, and else FAILED: down for now.

    What is missing is the monitor's to bring back.
    """
    settle(context.resources, connection, context.instance_id)


def settle(resources: Resources, connection: Writer, instance_id: str) -> None:
    """The same of any instance that the task holds."""
    serving = serves(resources, instance_id)
    set_status(connection, instance_id, InstanceStatus.ACTIVE if serving else InstanceStatus.FAILED)


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
