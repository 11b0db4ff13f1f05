"""All servers of an instance at once, its primary first: a standby has then heard of the last change."""

import logging

from openrds.domain.instance_values import Instance
from openrds.engines.protocol import EngineError, Server
from openrds.hosts import processes
from openrds.hosts.errors import HostError
from openrds.operations.steps.handing_over import hand_over
from openrds.operations.steps.nodes import node_of
from openrds.operations.steps.parameters import drop_spare_room, make_room, start_primary
from openrds.operations.steps.replication import build_standby, end_confirmation, restore_confirmation
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.view import View
from openrds.tasks.operation import P, StepContext

logger = logging.getLogger(__name__)


def stop_servers(resources: Resources, instance_id: str) -> None:
    """Stop those that run."""
    instance = resources.view.instance(instance_id)
    for node in resources.view.nodes(instance_id):
        resources.stop(instance, node)


def stop_server(context: StepContext[Resources, P]) -> None:
    """That of the node of the step."""
    context.resources.stop(*node_of(context))


def start_servers(resources: Resources, instance_id: str) -> None:
    """Start those that do not run, with the configuration that the store says now."""
    hand_over(resources, instance_id)
    start_primary(resources, instance_id)
    _forget_strangers(resources.view, instance_id, resources.primary_server(instance_id))
    make_room(resources, instance_id)
    start_missing_standbys(resources, instance_id)


def _forget_strangers(view: View, instance_id: str, primary: Server) -> None:
    """A follower may have gone for good while its primary was dead, and could not be told."""
    family = [instance_id, *(replica.id for replica in view.replicas(instance_id))]
    followers = [node.id for member in family for node in view.nodes(member)]
    try:
        primary.replication.forget_others(followers)
    except EngineError:
        logger.warning("instance %s may keep log back for who is gone", instance_id, exc_info=True)


def start_missing_standbys(resources: Resources, instance_id: str) -> None:
    """The instance serves without them too: one that cannot be started is then the monitor's to bring back."""
    standbys = resources.view.standbys(instance_id)
    try:
        for node in standbys:
            server = resources.node_server(instance_id, node.id)
            build_standby(resources, instance_id, server)
            drop_spare_room(resources, instance_id, server)
        if standbys:
            restore_confirmation(resources, instance_id)
    except (EngineError, HostError):
        logger.warning("instance %s: its standby could not be started", instance_id, exc_info=True)
        end_confirmation(resources, instance_id)


def check_endpoint(resources: Resources, instance_id: str) -> None:
    """
    Raises:
        RuntimeError: clients would not reach the server.
    """
    server = resources.primary_server(instance_id)
    if not server.answers():
        raise RuntimeError(f"the server does not answer on {server.node.address}:{server.node.port}")


def any_server_runs(resources: Resources, instance_id: str) -> bool:
    """Also one whose binaries the host no longer has."""
    folders = [resources.host.volumes.path(node.id) for node in resources.view.nodes(instance_id)]
    return any(processes.find(folder / processes.RECORD) for folder in folders)


def hold_writes(resources: Resources, instance: Instance, *, full: bool) -> None:
    """Let every server of an instance know whether it may be written; one whose owner had it made read-only stays so.

    Raises:
        EngineError: one did not take it.
        HostError: a volume is not there.
    """
    for node in resources.view.nodes(instance.id):
        resources.host.volumes.make_ready(node.id)
        resources.server(instance, node).set_read_only(full or instance.read_only)
