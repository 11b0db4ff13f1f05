"""Certificates of servers are renewed long before they end, and when their issuer or the addresses have changed."""

import logging

from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.resources import Resources
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)


class CertificateWatch:
    """Looks after those of the instances of one host that serve and are held by no task.

    A server does not say which it shows. So each is told once to load what there is, and again when that has changed:
    whoever renewed it may have died before the server knew.
    """

    def __init__(self, resources: Resources, roster: Roster) -> None:
        self._resources = resources
        self._roster = roster
        #: Of each node what it is known to show.
        self._shown: dict[str, str] = {}

    def look_after_certificates(self) -> None:
        """One round. Only what a node has beside its configuration is written, which is its instance's holder's."""
        nodes = [(node.instance_id, node.id) for one in self._roster.instances() for node in one.nodes]
        self._shown = {id_: mark for _, id_ in nodes if (mark := self._shown.get(id_))}
        for instance_id, node_id in nodes:
            try:
                self._look_after(instance_id, node_id)
            except (StepFailed, EngineError, HostError, OSError):
                logger.warning("instance %s: its certificate is not renewed", instance_id, exc_info=True)

    def _look_after(self, instance_id: str, node_id: str) -> None:
        server = self._resources.node_server(instance_id, node_id)
        if not server.is_running():
            return
        mark = server.keep_certificate()
        if mark and mark != self._shown.get(node_id):
            server.load_certificate()
            self._shown[node_id] = mark
