"""What the operations on instances with a standby have in common."""

import logging
from contextlib import suppress

from openrds.domain.engine import RULES
from openrds.domain.instance import Confirmation, InstanceType
from openrds.domain.instance_values import Instance, Node
from openrds.engines.protocol import EngineError, Server
from openrds.operations.steps.addresses import listen_on, take_node_address
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("instances")
_backups = Queries("backups")

#: Seconds in which a standby must come to confirm what the primary commits.
_CONFIRMATION_SECONDS = 30.0


def give_own_address(resources: Resources, instance: Instance, node: Node) -> None:
    """An address beside the endpoint, for a node that others may take turns with; not while it runs elsewhere."""
    if node.address is None or node.address == instance.address:
        listen_on(resources, node, take_node_address(resources, instance, node))


def build_standby(resources: Resources, instance_id: str, standby: Server) -> None:
    """Have a standby that streams, whatever there is of it: a stopped one is attached or rewound, else it is copied.

    Raises:
        EngineError: it does not come to stream.
    """
    resources.host.volumes.create(standby.node.node_id, resources.view.instance(instance_id).volume_size)
    means = standby.replication.rejoin()
    logger.info("instance %s: its standby %s was %s", instance_id, standby.node.node_id, means)
    _note_lost_log(resources, instance_id)


def doubt_log(connection: Writer, instance_id: str) -> None:
    """Another primary's log goes on from the old one's, and nobody knows yet whether the archive has all of that."""
    connection.execute(_backups.doubt_reach, {"instance_id": instance_id})


def trust_log(resources: Resources, instance_id: str) -> None:
    """Claim each moment again that the archive leads to."""
    _sort_out_bases(resources, instance_id)


def _note_lost_log(resources: Resources, instance_id: str) -> None:
    """Claim no moment any more that cannot be reached: what a dead primary did not archive may be gone with it."""
    for base in _sort_out_bases(resources, instance_id):
        logger.warning("instance %s: log after its backup %s is lost", instance_id, base)
        resources.store.rows(_backups.end_continuity_of, [base])


def _sort_out_bases(resources: Resources, instance_id: str) -> list[str]:
    """Trust the backups whose log is in the archive without a gap, and name the others."""
    bases = resources.store.rows(_backups.bases, [instance_id])
    if not bases:
        return []
    archive, backups = resources.host.backups.archive(instance_id), resources.engine(instance_id).backups
    primary = resources.primary_server(instance_id).node
    doubtful = []
    for row in bases:
        if not backups.is_archived_since(archive, row["log_position"], primary):
            doubtful.append(row["id"])
        elif row["reaches"] is not None:
            resources.store.rows(_backups.trust_reach, [row["id"]])
    return doubtful


def start_confirmation(resources: Resources, instance_id: str) -> None:
    """Have each commit wait until the standby has it on disk, and note that when it is so.

    Raises:
        EngineError: the standby does not confirm; commits wait all the same until `end_confirmation`.
    """
    standbys = resources.view.standbys(instance_id)
    if all(node.confirmation is Confirmation.YES for node in standbys):
        return
    _note(resources, instance_id, Confirmation.ASKED)
    resources.primary_server(instance_id).replication.await_confirmation(_CONFIRMATION_SECONDS)
    _note(resources, instance_id, Confirmation.YES)


def end_confirmation(resources: Resources, instance_id: str) -> None:
    """Let commits wait for nobody any more.

    That the standby may lack something is noted first: it must not be promoted from then on.
    """
    if all(node.confirmation is Confirmation.NO for node in resources.view.standbys(instance_id)):
        return
    _note(resources, instance_id, Confirmation.NO)
    with suppress(EngineError):  # one that does not run takes the setting when it is started
        resources.primary_server(instance_id).reload()


def replicates_synchronously(instance: Instance) -> bool:
    """Whether commits are to wait for its standby: whatever the engine calls the mode in which they do."""
    waits = RULES[instance.engine].waits_in(instance.replication_mode)
    return instance.type is InstanceType.HA and waits


def restore_confirmation(resources: Resources, instance_id: str) -> None:
    """Have commits wait for the standby where the instance's replication mode says so."""
    if replicates_synchronously(resources.view.instance(instance_id)):
        start_confirmation(resources, instance_id)


def note_new_primary(connection: Writer, old_id: str, new_id: str) -> None:
    """Change the roles of two nodes in the store."""
    connection.execute(_sql.change_roles, {"old": old_id, "new": new_id})


def turn_replicas(resources: Resources, instance_id: str) -> None:
    """Have the read replicas of an instance follow its primary as it is now; the monitor mends one that cannot."""
    for replica in resources.view.replicas(instance_id):
        for node in resources.view.nodes(replica.id):
            try:
                server = resources.server(replica, node)
                if server.is_running():
                    server.replication.follow()
            except EngineError:
                logger.warning(
                    "replica %s does not follow its primary %s", replica.id, instance_id, exc_info=True
                )


def forget_follower(resources: Resources, primary_id: str, node_id: str) -> None:
    """Have a primary keep nothing back any more for a follower that is stopped for good.

    Raises:
        EngineError: it runs, and does not let go.
    """
    primary = resources.primary_server(primary_id)
    if primary.is_running():
        primary.replication.forget(node_id)


def _note(resources: Resources, instance_id: str, confirmation: Confirmation) -> None:
    with resources.store.transaction() as connection:
        connection.execute(_sql.set_confirmation, {"instance_id": instance_id, "confirmation": confirmation})
