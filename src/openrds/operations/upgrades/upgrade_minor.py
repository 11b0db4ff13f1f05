"""Give an instance the newest minor version that its host has: its servers are restarted with it, the standby first.

Until then each runs with the version that it has, as long as that is there: so a newer one that does not start is
exchanged for it again.
"""

from uuid import UUID

import msgspec

from openrds.domain.engine import numbers_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.schedule import ScheduledName
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.scheduling import schedule
from openrds.operations.steps.nodes import node_of, the_standby
from openrds.operations.steps.replication import build_standby, end_confirmation, restore_confirmation
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import check_endpoint, start_servers
from openrds.operations.steps.serving import with_primary
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.operations.upgrades.planning import newest_minor
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation, Step, StepContext

_sql = Queries("instances")


class UpgradeMinor(msgspec.Struct):
    """With `is_delayed` it waits for the maintenance window. `second_switch` makes no difference here."""

    is_delayed: bool = False
    second_switch: bool | None = None


class Parameters(msgspec.Struct, frozen=True):
    """Versions as binaries report them."""

    version: str
    old: str
    new: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, request: UpgradeMinor) -> UUID:
    """The id of the task, or with `is_delayed` of the scheduled task."""
    instance = intake.admit(instance_id, UPGRADE_MINOR)
    new = newest_minor(intake.connection, instance)
    if new is None:
        raise Refusal(
            ErrorCode.DATASTORE_VERSION,
            f"The instance has {instance.engine} {instance.complete_version}, and its host nothing newer of "
            f"{instance.version}.",
        )
    older = [
        replica.id
        for replica in replicas_of(intake.connection, instance.id)
        if numbers_of(replica.complete_version) < numbers_of(new)
    ]
    if older:
        raise Refusal(
            ErrorCode.STATUS_FORBIDS,
            f"Read replicas must not be older than what they follow: first upgrade {', '.join(older)}.",
        )
    if request.is_delayed:
        return schedule(
            intake, instance, ScheduledName.UPGRADE, UPGRADE_MINOR.name, UpgradeMinor(), {"version": new}
        )
    return intake.accept(
        instance, UPGRADE_MINOR, Parameters(instance.version, instance.complete_version, new)
    )


@with_primary
def restart_standby(context: Context) -> None:
    """No commit waits for it while it is away."""
    resources, parameters, (instance, node) = context.resources, context.parameters, node_of(context)
    end_confirmation(resources, context.instance_id)
    installation = resources.host.installation(instance.engine, parameters.version, parameters.new)
    standby = resources.host.changed(resources.server(instance, node), installation=installation)
    standby.stop()
    build_standby(resources, instance.id, standby)
    restore_confirmation(resources, context.instance_id)


def restart_standby_as_before(context: Context) -> None:
    """The primary has its old version again."""
    resources, (instance, node) = context.resources, node_of(context)
    end_confirmation(resources, context.instance_id)
    server = resources.server(instance, node)
    server.stop()
    build_standby(resources, instance.id, server)
    restore_confirmation(resources, context.instance_id)


def restart_primary(context: Context) -> None:
    _restart_primary(context, context.parameters.new)
    check_endpoint(context.resources, context.instance_id)


def restart_primary_as_before(context: Context) -> None:
    _restart_primary(context, context.parameters.old)


def _restart_primary(context: Context, complete: str) -> None:
    resources, instance_id = context.resources, context.instance_id
    resources.primary_server(instance_id).stop()
    version = {"id": instance_id, "version": context.parameters.version, "complete_version": complete}
    with resources.store.transaction() as connection:
        connection.execute(_sql.set_version, version)
    start_servers(resources, instance_id)


UPGRADE_MINOR: Operation[Resources, Parameters] = Operation(
    key="upgrade_minor",
    name=TaskName.UPGRADE_MINOR,
    action=Action.UPGRADE,
    status=InstanceStatus.REBOOTING,
    parameters=Parameters,
    steps=(
        Step(
            "restart standby", restart_standby, undo=restart_standby_as_before, of=the_standby, expected=0.5
        ),
        Step("restart primary", restart_primary, undo=restart_primary_as_before, expected=0.3),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
