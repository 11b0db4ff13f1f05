"""Give an instance another flavor: its servers are restarted with other settings, under other limits."""

import logging
from uuid import UUID

import msgspec

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import Flavor, find_flavor
from openrds.domain.instance import InstanceStatus
from openrds.domain.schedule import ScheduledName
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import Server
from openrds.hosts.processes import wait_until
from openrds.operations.intake import Intake
from openrds.operations.resources import Resources, flavor_of, set_status, settle_by_looking
from openrds.operations.scheduling import schedule
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Output, Step, StepContext

logger = logging.getLogger(__name__)

_sql = Queries("instances")

_NEWS_SECONDS = 10.0


class ResizeFlavor(msgspec.Struct):
    """Nothing is paid here; with `is_delay` it waits for the maintenance window."""

    spec_code: str
    is_auto_pay: bool | None = None
    is_delay: bool = False


class Parameters(msgspec.Struct, frozen=True):
    old: str
    new: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: ResizeFlavor) -> UUID:
    """The id of the task, or with `is_delay` of the scheduled task."""
    instance = intake.instance(instance_id)
    intake.check(instance, Action.RESIZE_FLAVOR)
    flavor = _check_flavor(instance, request.spec_code)
    if request.is_delay:
        now = ResizeFlavor(request.spec_code)
        target = {"flavor": flavor.spec_code, "cpu": str(flavor.vcpus), "mem": str(flavor.memory_gb)}
        return schedule(
            intake, instance, ScheduledName.RESIZE_FLAVOR, TaskName.RESIZE_FLAVOR, now, target_config=target
        )
    replicas = intake.connection.execute(_sql.replicas_of_instance, [instance_id]).fetchall()
    task_id = intake.accept(
        instance,
        RESIZE_FLAVOR,
        TaskName.RESIZE_FLAVOR,
        Parameters(instance["flavor_ref"], flavor.spec_code),
        also_held=[replica["id"] for replica in replicas],
    )
    intake.set_status(instance, InstanceStatus.MODIFYING)
    return task_id


def restart_servers(context: Context) -> None:
    """With the new flavor."""
    _change(context, context.parameters.old, context.parameters.new)


def restart_servers_as_before(context: Context) -> None:
    _change(context, context.parameters.new, context.parameters.old)


def completed(context: Context, connection: Writer) -> Output:
    set_status(connection, context.instance_id, InstanceStatus.ACTIVE)
    return {}


def _change(context: Context, before: str, after: str) -> None:
    """Whoever follows must allow as many connections as whom it follows: it grows first, and shrinks last."""
    resources = context.resources
    with resources.store.transaction() as connection:
        connection.execute(_sql.set_flavor, {"id": context.instance_id, "flavor": after})
    instance = resources.instance(context.instance_id)
    servers = [(instance, node) for node in resources.nodes(context.instance_id)]
    servers += [
        pair for pair in _running_replicas(resources, instance) if _is_concerned(pair[0], before, after)
    ]
    engine = EngineName(instance["engine"])
    grows = _memory(engine, after) >= _memory(engine, before)
    for row, node in reversed(servers) if grows else servers:
        server = resources.server(row, node)
        if not grows and server.node.upstream is not None:
            _await_news(server)
        server.stop()
        resources.start(server)


def _await_news(follower: Server) -> None:
    """It has to have heard that whom it follows allows less, before it may."""

    def heard() -> bool:
        state = follower.replication.state()
        return state.streaming and state.lag_bytes == 0

    if not wait_until(heard, _NEWS_SECONDS, every=0.05):
        logger.warning("%s does not stream", follower.node.node_id)


def _running_replicas(resources: Resources, instance: Row) -> list[tuple[Row, Row]]:
    replicas = resources.store.rows(_sql.replicas_of_instance, [instance["id"]])
    pairs = [(replica, resources.primary(replica["id"])) for replica in replicas]
    return [pair for pair in pairs if pair[0]["status"] == InstanceStatus.ACTIVE]


def _is_concerned(replica: Row, before: str, after: str) -> bool:
    """One that is larger than its primary was and will be stays as it is."""
    engine = EngineName(replica["engine"])
    return max(_memory(engine, before), _memory(engine, after)) > flavor_of(replica).memory_gb


def _memory(engine: EngineName, spec_code: str) -> int:
    flavor = find_flavor(engine, spec_code)
    assert flavor is not None, "an instance was accepted with a flavor that does not exist"
    return flavor.memory_gb


def _check_flavor(instance: Row, spec_code: str) -> Flavor:
    engine, old = EngineName(instance["engine"]), flavor_of(instance)
    new = find_flavor(engine, spec_code)
    if new is None:
        raise Refusal(
            ErrorCode.FLAVOR, f"{engine} has no flavor {spec_code}; GET flavors/{engine} lists them."
        )
    if new == old:
        raise Refusal(ErrorCode.FLAVOR_CHANGE, f"The instance has the flavor {spec_code} already.")
    if new.instance_type is not old.instance_type:
        raise Refusal(
            ErrorCode.FLAVOR_CHANGE,
            f"{spec_code} is for {new.instance_type} instances, and this one is {old.instance_type}.",
        )
    return new


RESIZE_FLAVOR: Operation[Resources, Parameters] = Operation(
    key="resize_flavor",
    parameters=Parameters,
    steps=(Step("restart server", restart_servers, undo=restart_servers_as_before, expected=0.2),),
    on_completed=completed,
    on_failed=settle_by_looking,
)
