"""What the monitor does about an instance that is to serve and does not, and notes about it.

An instance that a task holds is left to that task, and what a caller has asked for meanwhile comes first: it is looked
at anew before anything is begun.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from openrds.domain.instance import Confirmation, InstanceStatus, SwitchStrategy, Wanted
from openrds.domain.instance_values import Instance, Node
from openrds.domain.recovery import AT_ONCE, pause_after
from openrds.operations.instances.restart_instance import RESTART_INSTANCE
from openrds.operations.intake.intake import Intake
from openrds.operations.pairs import rebuild_standby, switchover
from openrds.operations.steps.replication import end_confirmation, replicates_synchronously
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import serves, set_status
from openrds.store.database import Writer
from openrds.store.instances import lock_free_instance
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("instances")


@dataclass(frozen=True)
class Revival:
    """Each is told of an instance as the roster has it, and of the node that is missing."""

    resources: Resources
    queue: Queue

    def bring_back(self, seen: Instance, node: Node, *, died: bool) -> None:
        """Start the server again; with `died` it counts, and the next time may have to wait."""

        def begin(intake: Intake, instance: Instance) -> None:
            if self._runs(node):
                return
            revivals = _note_revival(intake.connection, node) if died else 0
            logger.warning(
                "the server of instance %s does not run and is started again%s",
                instance.id,
                _in_a_row(revivals),
            )
            if revivals >= AT_ONCE and self._can_be_copied_anew(instance):
                rebuild_standby.begin(intake, instance, node.id)
                return
            intake.accept(instance, RESTART_INSTANCE)

        self._begin(seen, begin)

    def _runs(self, node: Node) -> bool:
        """A caller's task may have ended since it was looked at."""
        return self.resources.node_server(node.instance_id, node.id).is_running()

    def _can_be_copied_anew(self, instance: Instance) -> bool:
        """A read replica whose own data does not start any more, while its primary serves."""
        if instance.replica_of is None:
            return False
        return self.resources.view.instance(instance.replica_of).status is InstanceStatus.ACTIVE

    def let_take_over(self, seen: Instance, node: Node, standby: Node) -> None:
        """Replace a dead primary by its standby."""

        def begin(intake: Intake, instance: Instance) -> None:
            if self._runs(node):
                return
            logger.warning("the primary of instance %s died and is replaced by its standby", instance.id)
            _note_revival(intake.connection, node)
            parameters = switchover.Parameters(
                node.id,
                standby.id,
                force=True,
                rescue=not replicates_synchronously(instance)
                and instance.switch_strategy is SwitchStrategy.RELIABILITY,
            )
            switchover.begin(intake, instance, parameters)

        self._begin(seen, begin)

    def rebuild(self, seen: Instance, node: Node) -> None:
        """Have a standby or a read replica follow again, by whatever means."""

        def begin(intake: Intake, instance: Instance) -> None:
            rebuild_standby.begin(intake, instance, node.id)
            _note_revival(intake.connection, node)

        self._begin(seen, begin)

    def release_writes(self, standby: Node) -> None:
        """Let commits wait no more for a standby that is not there and is not brought back yet."""
        if standby.confirmation is Confirmation.NO:
            return
        with self.resources.store.transaction() as connection:
            if lock_free_instance(connection, standby.instance_id) is not None:
                end_confirmation(self.resources, standby.instance_id)

    def note_down(self, node: Node, seconds: float) -> None:
        """It is FAILED until it is brought back, in so many seconds."""
        with self.resources.store.transaction() as connection:
            if lock_free_instance(connection, node.instance_id) is None:
                return
            logger.error(
                "instance %s is down: its server died %d times in a row, and is started again in %.0f s",
                *(node.instance_id, node.revivals + 1, seconds),
            )
            set_status(connection, node.instance_id, InstanceStatus.FAILED)

    def note_serving(self, instance_id: str) -> None:
        """It is ACTIVE, or STORAGE FULL, whatever its status was, unless somebody holds it.

        That it answers is not enough: what failed may have left a primary that was demoted and takes no writes.
        """
        with self.resources.store.transaction() as connection:
            if lock_free_instance(connection, instance_id) is None:
                return
            if not serves(self.resources, instance_id):
                return
            logger.warning("instance %s serves again", instance_id)
            set_status(connection, instance_id, InstanceStatus.ACTIVE)

    def _begin(self, seen: Instance, begin: Callable[[Intake, Instance], None]) -> None:
        """
        Raises:
            Refusal: a task holds the instance by now.
        """
        with self.resources.store.transaction() as connection:
            intake = Intake(connection, self.queue, self.resources.settings, seen.project_id)
            instance = intake.instance(seen.id)
            if instance.wanted is Wanted.SERVING:
                begin(intake, instance)


def _note_revival(connection: Writer, node: Node) -> int:
    (noted,) = connection.execute(_sql.note_revival, [node.id]).fetchall()
    return int(noted["revivals"])


def _in_a_row(revivals: int) -> str:
    if revivals < AT_ONCE:
        return ""
    return f", for the {revivals}th time in a row; should it not serve, again after {pause_after(revivals):.0f} s"
