"""What an earlier openrds had all servers share: its folders become ours, and an instance gets a user of its own."""

import logging
from collections.abc import Sequence

from openrds.hosts import processes
from openrds.hosts.folders import take_back_homes
from openrds.hosts.user import ServerUser
from openrds.operations.steps.host import Host
from openrds.operations.steps.owners import family_of
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.instances import replicas_of
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("instances")
_backups = Queries("backups")


def take_back_folders(host: Host) -> None:
    """Also those of servers that run: they only write into folders in these."""
    settings = host.settings
    for root in (settings.nodes_dir, settings.backups_dir, settings.scratch_dir, settings.forwarder_dir):
        try:
            take_back_homes(root)
        except OSError:
            logger.exception("not every folder in %s is ours", root)


def hand_over(resources: Resources, instance_id: str) -> None:
    """Give an instance, with its read replicas, a user of its own, unless a server of them runs or a restore reads it.

    It comes before any of their servers is started, and goes on where it was cut off: until all is handed over they are
    started as the old user.
    """
    family = family_of(resources.view.instance(instance_id))
    if not resources.host.owners.assign(family):
        return
    with resources.store.transaction() as connection:
        row = connection.execute(_sql.lock_os_user, [family]).fetchone()
        members = [family, *(replica.id for replica in replicas_of(connection, family))]
        nodes = [node.id for member in members for node in resources.view.nodes(member)]
        if row is None or row["handed_over"] or _are_in_use(resources.host, connection, members, nodes):
            return
        user = resources.host.owners.users.user(row["uid"])
        _hand_over_files(resources.host, members, nodes, user)
        connection.execute(_sql.set_handed_over, [family])
    logger.info("instance %s has the user %s of its own", family, user.name)


def _are_in_use(host: Host, connection: Writer, members: Sequence[str], nodes: Sequence[str]) -> bool:
    if any(processes.find(host.record(node)) for node in nodes):
        return True
    question = _backups.task_restoring_from_instance
    return any(connection.execute(question, {"instance_id": member}).fetchone() for member in members)


def _hand_over_files(host: Host, members: Sequence[str], nodes: Sequence[str], user: ServerUser) -> None:
    for node in nodes:
        host.volumes.make_ready(node)
    places = [*map(host.volumes.path, nodes), *map(host.socket_dir, nodes)]
    for place in (*places, *map(host.backups.home, members)):
        if place.exists():
            user.take_over(place, host.owners.users.service.uid)
