"""Give a primary and its standby another flavor. Clients are cut off once, for as long as by a switchover.

The standby is restarted with the new flavor and takes over, and the old primary is restarted as its standby. So no
client waits for a server to start, and a flavor that none can be started with is found out before anybody is cut off.

A standby must have room for as many connections as its primary, but only if it lets somebody in:

- For a larger flavor the standby, and read replicas, get more room than the primary has, before there is a new one.
- For a smaller one the standby is started with less room than the primary has, as one that lets nobody in
  (`NodeSpec.takes_over`), not even us, until it is promoted. With the room of the old flavor it would need another
  restart, as the primary then. The old primary follows with as much room as it had, until it has heard that it needs
  less; then it is restarted once more, and so are read replicas.

From the restart of the standby until it takes over each commit waits for it, in any replication mode: what is
acknowledged is on its disk when the primary is stopped, also where it cannot be asked for it.
"""

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.instance import InstanceStatus
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.hosts.processes import wait_until
from openrds.operations.steps.nodes import named
from openrds.operations.steps.replication import (
    build_standby,
    end_confirmation,
    restore_confirmation,
    start_confirmation,
)
from openrds.operations.steps.resizing import NEWS_SECONDS, Resizing
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.operations.steps.takeover import Takeover, what_hinders
from openrds.tasks.operation import Operation, Step, StepContext

#: Seconds in which a standby that streams must have applied what it missed.
_FIT_SECONDS = 60.0


class Parameters(msgspec.Struct, frozen=True):
    """Flavors by their codes, and the nodes that change roles."""

    old: str
    new: str
    old_node_id: str
    new_node_id: str


Context = StepContext[Resources, Parameters]


def restart_standby(context: Context) -> None:
    """With the new flavor; no commit waits for it while it is away."""
    resources, instance_id, takeover = context.resources, context.instance_id, _takeover(context)
    resizing = _resizing(context)
    takeover.keep_serving()
    resizing.widen_replicas()
    end_confirmation(resources, instance_id)
    standby = resources.host.changed(takeover.new, **resizing.new, takes_over=True)
    standby.stop()
    resources.host.volumes.make_ready(standby.node.node_id)
    standby.replication.follow()
    wait_until(lambda: not what_hinders(standby), _FIT_SECONDS, every=0.1)
    start_confirmation(resources, instance_id)


def restart_standby_as_before(context: Context) -> None:
    """Unless it has become the primary."""
    resources, instance_id, takeover = context.resources, context.instance_id, _takeover(context)
    if takeover.is_done:
        return
    takeover.keep_serving()
    end_confirmation(resources, instance_id)
    takeover.new.stop()
    build_standby(resources, instance_id, takeover.new)
    restore_confirmation(resources, instance_id)
    _resizing(context).reversed.narrow_replicas()


def change_roles(context: Context) -> None:
    takeover = _takeover(context)
    takeover.change_roles(takeover.hand_over)


def change_roles_back(context: Context) -> None:
    _takeover(context).change_roles_back()


def restart_old_primary(context: Context) -> None:
    """As the standby, with the new flavor."""
    resources, instance_id, takeover = context.resources, context.instance_id, _takeover(context)
    resizing = _resizing(context)
    takeover.prepare_rejoin()
    if resizing.shrinks:
        with_room = resources.host.changed(takeover.old, **resizing.both)
        build_standby(resources, instance_id, with_room)
        with_room.replication.catch_up(NEWS_SECONDS)
    end_confirmation(resources, instance_id)
    takeover.old.stop()  # where it lived on it has the settings of its old flavor
    takeover.rejoin()
    restore_confirmation(resources, instance_id)
    resizing.narrow_replicas()


def _resizing(context: Context) -> Resizing:
    parameters = context.parameters
    return Resizing(context.resources, context.instance_id, parameters.old, parameters.new)


def _takeover(context: Context) -> Takeover:
    parameters = context.parameters
    return Takeover(
        context.resources,
        context.instance_id,
        parameters.old_node_id,
        parameters.new_node_id,
        note=_resizing(context).note,
        prepare=lambda: restart_standby(context),
    )


RESIZE_PAIR: Operation[Resources, Parameters] = Operation(
    key="resize_pair",
    name=TaskName.RESIZE_FLAVOR,
    action=Action.RESIZE_FLAVOR,
    status=InstanceStatus.MODIFYING,
    parameters=Parameters,
    steps=(
        Step(
            "restart standby",
            restart_standby,
            undo=restart_standby_as_before,
            of=named("new_node_id"),
            expected=0.5,
        ),
        Step(
            "change roles",
            change_roles,
            undo=change_roles_back,
            of=named("new_node_id"),
            expected=0.15,
            final=True,
        ),
        Step(
            "restart old primary",
            restart_old_primary,
            of=named("old_node_id"),
            expected=0.5,
            deadline=LONG,
        ),
    ),
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
