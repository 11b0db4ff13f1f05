"""Servers are started with the parameters that are set, and where they do not come up with them, with earlier ones."""

import logging

from psycopg.types.json import Jsonb

from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance
from openrds.domain.parameters import changed
from openrds.engines.protocol import EngineError, Server
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.parameters import note_changes
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

_sql = Queries("parameters")
_instances = Queries("instances")

#: Seconds in which a standby must have heard what its primary allows now.
_NEWS_SECONDS = 10.0


def start_primary(resources: Resources, instance_id: str) -> None:
    """Start the server of the primary, and note that it has its parameters, and its version.

    Raises:
        EngineError: it does not come up.
        StepFailed: not with the parameters that were set last. They are taken back, and it runs without them.
    """
    instance, server = resources.view.instance(instance_id), resources.primary_server(instance_id)
    ran = server.is_running()
    try:
        resources.host.start(server)
    except EngineError as error:
        if not server.is_running():
            _start_with_earlier(resources, instance, server, error)
        raise
    if not ran:
        with resources.store.transaction() as connection:
            set_in_force(connection, instance_id, instance.parameters)
            _note_version(connection, instance, server)


def _note_version(connection: Writer, instance: Instance, server: Server) -> None:
    """Another than the store says, where the host has not got that any more."""
    complete = server.node.installation.complete_version
    version = {"id": instance.id, "version": instance.version, "complete_version": complete}
    if complete != instance.complete_version:
        connection.execute(_instances.set_version, version)


def set_in_force(connection: Writer, instance_id: str, parameters: object) -> None:
    connection.execute(_sql.set_in_force, {"id": instance_id, "parameters": Jsonb(parameters)})


def make_room(resources: Resources, instance_id: str) -> None:
    """Restart the read replicas that would not be able to follow with less than their primary allows now."""
    if not resources.view.instance(instance_id).parameters:
        return
    parameters = resources.engine(instance_id).parameters
    for replica in resources.view.replicas(instance_id):
        server = resources.primary_server(replica.id)
        try:
            if replica.status is InstanceStatus.ACTIVE and parameters.lacks_room(server.node):
                server.stop()
                resources.host.start(server)
        except EngineError:
            logger.warning("replica %s has no room for what its primary allows", replica.id, exc_info=True)


def drop_spare_room(resources: Resources, instance_id: str, standby: Server) -> None:
    """Restart a standby that was started to allow as much as its primary did before that was restarted.

    Raises:
        EngineError: it does not come back.
    """
    if resources.engine(instance_id).parameters.has_spare_room(standby.node):
        standby.replication.catch_up(_NEWS_SECONDS)
        standby.stop()
        standby.replication.follow()


def _start_with_earlier(resources: Resources, instance: Instance, server: Server, error: EngineError) -> None:
    """With those that it had last, or else with none.

    Raises:
        StepFailed: so it came up.
    """
    for earlier in (instance.parameters_in_force, {}):
        culprits = changed(earlier, instance.parameters)
        if not culprits:
            continue
        try:
            resources.host.start(resources.host.changed(server, parameters=earlier))
        except EngineError:
            continue
        with resources.store.transaction() as connection:
            connection.execute(
                _sql.set_parameters,
                {
                    "id": instance.id,
                    "parameters": Jsonb(earlier),
                    "configuration_id": None,
                },
            )
            set_in_force(connection, instance.id, earlier)
            note_changes(connection, instance.id, instance.parameters, earlier, succeeded=True)
        logger.warning("instance %s: %s are taken back", instance.id, ", ".join(culprits))
        raise StepFailed(
            f"the server does not start with what was set of {', '.join(culprits)}; that is taken back: {error}"
        ) from error
