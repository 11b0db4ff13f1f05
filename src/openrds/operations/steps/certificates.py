"""The certificates of an instance's servers are for the addresses at which clients come to it."""

from openrds.engines.protocol import Server
from openrds.operations.steps.resources import Resources


def renew_certificates(resources: Resources, instance_id: str) -> None:
    """Have each server of an instance show one for its addresses as they are now.

    Raises:
        EngineError: one cannot be written, or a server that runs does not take it.
    """
    instance = resources.view.instance(instance_id)
    for node in resources.view.nodes(instance_id):
        show_certificate(resources.server(instance, node))


def show_certificate(server: Server) -> None:
    """One that does not run shows it when it is started."""
    if server.keep_certificate() and server.is_running():
        server.load_certificate()
