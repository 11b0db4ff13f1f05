"""How a standby takes its primary's place, and the primary the standby's."""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from openrds.engines.protocol import EngineError, Server
from openrds.hosts.processes import wait_until
from openrds.operations.steps.replication import (
    build_standby,
    doubt_log,
    give_own_address,
    note_new_primary,
    trust_log,
    turn_replicas,
)
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import bring_all_back, start_primary
from openrds.store.database import Writer
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

#: A standby that lacks more than this would keep clients waiting for long.
_MOST_LAG_BYTES = 64 * 2**20
#: Seconds in which a standby that runs finds its primary; one of MySQL takes seconds to start, on a busy machine many.
_MEETING_SECONDS = 30.0
#: Who says nothing for so many seconds is not one that comes back.
_HANGING_SECONDS = 8.0
#: Seconds that clients wait at most for the standby to catch up, before the old primary serves again.
_CATCH_UP_SECONDS = 10.0


def what_hinders(standby: Server) -> str:
    """Why a standby cannot take over without loss, and soon; empty where it can."""
    try:
        state = standby.replication.state()
    except EngineError as error:
        return f"the standby does not answer: {error}"
    if not state.streaming:
        return "the standby does not stream from the primary"
    if state.lag_bytes > _MOST_LAG_BYTES:
        return f"the standby has {state.lag_bytes} bytes still to apply"
    return ""


def is_promoted(server: Server) -> bool:
    """One that died since has served nobody, and counts for nothing."""
    return server.is_running() and server.replication.is_primary()


def ended_well(server: Server) -> bool:
    """Whether a server that does not run ended as it should, so that its last position is known."""
    try:
        server.replication.demote()
    except EngineError:
        return False
    return True


def _nothing_more(_connection: Writer) -> None:
    pass


@dataclass(frozen=True)
class Takeover:
    """Two nodes of an instance that change their roles.

    `note` writes what else the store shall know from then on, `prepare` has both run as they must before they change.
    """

    resources: Resources
    instance_id: str
    old_node_id: str
    new_node_id: str
    note: Callable[[Writer], None] = _nothing_more
    prepare: Callable[[], None] | None = None

    @property
    def old(self) -> Server:
        return self.resources.node_server(self.instance_id, self.old_node_id)

    @property
    def new(self) -> Server:
        return self.resources.node_server(self.instance_id, self.new_node_id)

    @property
    def is_done(self) -> bool:
        return self.resources.view.primary(self.instance_id).id == self.new_node_id

    def hand_over(self, otherwise: str = "") -> None:
        """The old primary takes no more writes, and the standby gets the last of what it wrote.

        Before anything is cut off it is seen that the standby can take over; `otherwise` says what to do if not.

        Raises:
            StepFailed: it cannot, or does not get all.
        """
        old, new = self.old, self.new
        if not new.is_running() or not (old.is_running() or ended_well(old)):
            self._bring_both_back()
        if old.is_running() and (problem := self._meet(old, new)):
            raise StepFailed(problem + otherwise)
        if is_promoted(new):
            return  # an earlier try had come that far
        try:
            position = old.replication.demote()
            new.replication.await_position(position, _CATCH_UP_SECONDS)
        except EngineError as error:
            raise StepFailed(str(error)) from error

    def change_roles(self, hand_over: Callable[[], None]) -> None:
        """From the old primary's last write to the endpoint's way to the new one, clients wait: all in one step."""
        if not self.is_done:
            new = self.new
            if not is_promoted(new):
                hand_over()
            new.replication.promote()
            self._note_roles()
        self._lead_clients()
        self.new.replication.take_up()

    def change_roles_back(self) -> None:
        """Once the new primary is one it stays: the old one serves again only where it came not so far."""
        if not self.is_done and is_promoted(self.new):
            self._note_roles()
        self.keep_serving()
        self._lead_clients()
        self.resources.primary_server(self.instance_id).replication.take_up()

    def keep_serving(self) -> None:
        """Whoever is the primary now: nobody else revives one that dies while the task runs."""
        primary = self.resources.primary_server(self.instance_id)
        if not primary.answers():
            primary.stop()  # it may run where no client reaches it
        # One that answers may be one that takes no writes: it was demoted, and nobody took its place.
        start_primary(self.resources, self.instance_id)

    def _meet(self, old: Server, new: Server) -> str:
        """What hinders the standby still, after a while: it or its primary may have come back just now.

        One that was killed may look alive until it is gone, so that it is seen here only that it died. One whose
        promotion was cut off follows nobody any more.
        """
        problem = ""

        def is_settled() -> bool:
            nonlocal problem
            if not (old.is_running() and new.is_running()):
                self._bring_both_back()
            begun = time.monotonic()
            problem = "" if is_promoted(new) else what_hinders(new)
            return not problem or time.monotonic() - begun > _HANGING_SECONDS

        if not is_settled():
            with contextlib.suppress(EngineError):
                new.replication.go_on()
            wait_until(is_settled, _MEETING_SECONDS, every=0.1)
        return problem

    def _bring_both_back(self) -> None:
        """They died before they changed roles; there is nothing to hand over before they serve again."""
        if self.prepare is not None:
            self.prepare()
        else:
            bring_all_back(self.resources, self.instance_id)

    def _hand_in_log(self) -> None:
        """Of a dead primary, before anything else is done with its data: until then no moment since can be restored."""
        try:
            self.old.replication.archive_remains()
            trust_log(self.resources, self.instance_id)
        except EngineError:
            logger.warning("the log of %s is not archived yet", self.old_node_id, exc_info=True)

    def _note_roles(self) -> None:
        with self.resources.store.transaction() as connection:
            note_new_primary(connection, self.old_node_id, self.new_node_id)
            doubt_log(connection, self.instance_id)
            self.note(connection)

    def _lead_clients(self) -> None:
        self._leave_endpoint()
        self.resources.apply_routes(*self.resources.view.where_clients_come(self.instance_id))

    def _leave_endpoint(self) -> None:
        """One that was single listens on the endpoint itself, and clients would reach it there as long as it lives."""
        resources, endpoint = self.resources, self.resources.view.instance(self.instance_id).address
        for node in resources.view.standbys(self.instance_id):
            server = resources.node_server(self.instance_id, node.id)
            if node.address == endpoint and server.is_running():
                server.stop()

    def prepare_rejoin(self) -> None:
        """The new primary serves, and the old one is to listen on an address of its own from its next start on."""
        self.keep_serving()
        resources, instance_id = self.resources, self.instance_id
        node = resources.view.node(instance_id, self.old_node_id)
        give_own_address(resources, resources.view.instance(instance_id), node)

    def rejoin(self) -> None:
        """The old primary becomes the standby, and read replicas follow the new primary."""
        self._hand_in_log()
        build_standby(self.resources, self.instance_id, self.old)
        turn_replicas(self.resources, self.instance_id)
