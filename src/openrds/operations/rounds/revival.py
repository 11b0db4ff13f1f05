"""What the monitor does about an instance that is to serve and does not, and notes about it.

An instance that a task holds is left to that task, and what a caller has asked for meanwhile comes first: it is looked
at anew before anything is begun.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from openrds.domain.instance import Confirmation, InstanceStatus, NodeRole, SwitchStrategy, Wanted
from openrds.domain.recovery import AT_ONCE, pause_after
from openrds.domain.task import TaskName
from openrds.operations.instances.restart_instance import RESTART_INSTANCE
from openrds.operations.intake.intake import Intake
from openrds.operations.pairs import rebuild_standby, switchover
from openrds.operations.steps.replication import end_confirmation, replicates_synchronously
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import serves, set_status
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries
from openrds.tasks.queue import Queue

logger = logging.getLogger(__name__)

_sql = Queries("instances")


@dataclass(frozen=True)
class Revival:
    """Each `row` is one of `nodes_of_host`, of the node that is missing."""

    resources: Resources
    queue: Queue

    def bring_back(self, row: Row, *, died: bool) -> None:
        """Start the server again; with `died` it counts, and the next time may have to wait."""

        def begin(intake: Intake, instance: Row) -> None:
            if self._runs(row):
                return
            revivals = _note_revival(intake.connection, row) if died else 0
            logger.warning(
                "the server of instance %s does not run and is started again%s",
                row["id"],
                _in_a_row(revivals),
            )
            if revivals >= AT_ONCE and self._can_be_copied_anew(row):
                rebuild_standby.begin(intake, instance, row["node_id"])
                return
            intake.accept(instance, RESTART_INSTANCE, TaskName.RESTART)
            intake.set_status(instance, InstanceStatus.REBOOTING)

        self._begin(row, begin)

    def _runs(self, row: Row) -> bool:
        """A caller's task may have ended since it was looked at."""
        return self.resources.node_server(row["id"], row["node_id"]).is_running()

    def _can_be_copied_anew(self, row: Row) -> bool:
        """A read replica whose own data does not start any more, while its primary serves."""
        if row["role"] != NodeRole.READ_REPLICA:
            return False
        return bool(self.resources.instance(row["replica_of"])["status"] == InstanceStatus.ACTIVE)

    def let_take_over(self, row: Row, standby: Row) -> None:
        """Replace a dead primary by its standby."""

        def begin(intake: Intake, instance: Row) -> None:
            if self._runs(row):
                return
            logger.warning("the primary of instance %s died and is replaced by its standby", row["id"])
            _note_revival(intake.connection, row)
            parameters = switchover.Parameters(
                row["node_id"],
                standby["node_id"],
                force=True,
                rescue=not replicates_synchronously(row)
                and row["switch_strategy"] == SwitchStrategy.RELIABILITY,
            )
            switchover.begin(intake, instance, parameters)

        self._begin(row, begin)

    def rebuild(self, row: Row) -> None:
        """Have a standby or a read replica follow again, by whatever means."""

        def begin(intake: Intake, instance: Row) -> None:
            rebuild_standby.begin(intake, instance, row["node_id"])
            _note_revival(intake.connection, row)

        self._begin(row, begin)

    def release_writes(self, row: Row) -> None:
        """Let commits wait no more for a standby that is not there and is not brought back yet."""
        if row["confirmation"] == Confirmation.NO:
            return
        with self.resources.store.transaction() as connection:
            if connection.execute(_sql.free_instance, [row["id"]]).fetchone() is not None:
                end_confirmation(self.resources, row["id"])

    def note_down(self, row: Row, seconds: float) -> None:
        """It is FAILED until it is brought back, in so many seconds."""
        with self.resources.store.transaction() as connection:
            if connection.execute(_sql.free_instance, [row["id"]]).fetchone() is None:
                return
            logger.error(
                "instance %s is down: its server died %d times in a row, and is started again in %.0f s",
                *(row["id"], row["revivals"] + 1, seconds),
            )
            set_status(connection, row["id"], InstanceStatus.FAILED)

    def note_serving(self, row: Row) -> None:
        """It is ACTIVE, or STORAGE FULL, whatever its status was, unless somebody holds it.

        That it answers is not enough: what failed may have left a primary that was demoted and takes no writes.
        """
        with self.resources.store.transaction() as connection:
            if connection.execute(_sql.free_instance, [row["id"]]).fetchone() is None:
                return
            if not serves(self.resources, row["id"]):
                return
            logger.warning("instance %s serves again", row["id"])
            set_status(connection, row["id"], InstanceStatus.ACTIVE)

    def _begin(self, row: Row, begin: Callable[[Intake, Row], None]) -> None:
        """
        Raises:
            Refusal: a task holds the instance by now.
        """
        with self.resources.store.transaction() as connection:
            intake = Intake(connection, self.queue, self.resources.settings, row["project_id"])
            instance = intake.instance(row["id"])
            if instance["wanted"] == Wanted.SERVING:
                begin(intake, instance)


def _note_revival(connection: Writer, row: Row) -> int:
    (node,) = connection.execute(_sql.note_revival, [row["node_id"]]).fetchall()
    return int(node["revivals"])


def _in_a_row(revivals: int) -> str:
    if revivals < AT_ONCE:
        return ""
    return f", for the {revivals}th time in a row; should it not serve, again after {pause_after(revivals):.0f} s"
