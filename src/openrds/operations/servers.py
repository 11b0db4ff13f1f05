"""All servers of an instance at once, its primary first: a standby has then heard of the last change."""

from openrds.hosts import processes
from openrds.operations.resources import Resources


def stop_servers(resources: Resources, instance_id: str) -> None:
    """Stop those that run."""
    instance = resources.instance(instance_id)
    for node in resources.nodes(instance_id):
        resources.stop(instance, node)


def start_servers(resources: Resources, instance_id: str) -> None:
    """Start those that do not run, with the configuration that the store says now."""
    instance = resources.instance(instance_id)
    for node in resources.nodes(instance_id):
        server = resources.server(instance, node)
        server.configure()
        server.start()


def any_server_runs(resources: Resources, instance_id: str) -> bool:
    """Also one whose binaries the host no longer has."""
    folders = [resources.volumes.path(node["id"]) for node in resources.nodes(instance_id)]
    return any(processes.find(folder / processes.RECORD) for folder in folders)
