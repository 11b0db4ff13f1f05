"""What the restores have in common: bring the source's log into its archive, and make data of a backup and log.

Data is made apart from what serves, by a server of its own that nobody but us can reach, and is given its place when
it is whole and on disk.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from openrds.domain.engine import RULES
from openrds.engines.protocol import NodeSpec, RestorePoint, Server
from openrds.hosts.folders import clear, make_durable, make_root
from openrds.hosts.user import ServerUser
from openrds.operations.steps.fetching import fetch_backup
from openrds.operations.steps.host import Host
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import await_serving
from openrds.operations.steps.source import Source
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

_backups = Queries("backups")

#: Folders of a node while data is made for it, and when it is whole.
_RESTORING = "restoring"
_RESTORED = "restored"
#: Beside the data of a scratch node that has all.
_WHOLE = "whole"
#: A server that only replays log and is read once needs no more, whatever the flavor.
_SCRATCH_MB = 2048


def archive_source_log(resources: Resources, source: Source) -> None:
    """Let the archive reach the moment: what the source has committed by now is put there.

    A source that does not run has committed nothing since; what it did not archive is read where it lies. One that is
    being brought back is waited for.
    """
    server = _source_server(resources, source)
    if server is not None and await_serving(resources, source.source_id):
        backups = resources.engine(source.source_id).backups
        with resources.host.backups.shipping if backups.ships_log else contextlib.nullcontext():
            backups.archive_log(server.node)


def restore_apart(resources: Resources, source: Source, node: NodeSpec, name: str) -> Path:
    """Make data for a node beside what it has; the data directory, whole and at rest."""
    restored = node.folder / _RESTORED
    if not restored.exists():
        scratch = _scratch(resources.host, node, node.folder / _RESTORING, name)
        server = restore_and_run(resources, source, scratch)
        server.stop()
        node.user.take_over(scratch.data_dir, server.node.user.uid)
        make_durable(scratch.data_dir)
        clear(scratch.socket_dir)
        scratch.folder.rename(restored)
    return restored_data(node)


def restored_data(node: NodeSpec) -> Path:
    """Where `restore_apart` puts it."""
    return node.folder / _RESTORED / node.data_dir.name


def remove_apart(host: Host, server: Server, name: str) -> None:
    """Remove what `restore_apart` left, also where it was cut off."""
    node = server.node
    scratch = _scratch(host, node, node.folder / _RESTORING, name)
    host.engines[node.engine].backups.drop(scratch)
    clear(node.folder / _RESTORED)


def restore_and_run(resources: Resources, source: Source, scratch: NodeSpec) -> Server:
    """A server of its own on restored data; it is the caller's to stop.

    It runs as the user whose the backup and the log are, which no other can read.
    """
    engine, point = resources.host.engines[scratch.engine], _restore_point(resources, source)
    owner = resources.host.backups.owner(point.backup.parent.name, point.backup.name)
    return engine.backups.restore(replace(scratch, user=owner), point)


def set_remote_access(resources: Resources, instance_id: str) -> None:
    """As the instance has it: with the data came the accounts of the source, or an account was made anew."""
    instance = resources.view.instance(instance_id)
    rules = RULES[instance.engine]
    if rules.accounts_have_hosts:
        server = resources.primary_server(instance_id)
        server.set_remote_access(rules.administrator, instance.remote_access)


def scratch_node(host: Host, node: NodeSpec, name: str) -> NodeSpec:
    """A node beside all instances, for as long as a restore takes."""
    return _scratch(host, node, host.settings.scratch_dir / name, name)


def make_scratch_root(host: Host) -> None:
    """Others may pass through to what is theirs, but not list it."""
    make_root(host.settings.scratch_dir)


def restore_scratch(resources: Resources, source: Source, scratch: NodeSpec) -> None:
    """Its server runs long before it has all, so that it has is noted."""
    note = scratch.folder / _WHOLE
    note.unlink(missing_ok=True)
    restore_and_run(resources, source, scratch)
    note.touch()


def is_whole(scratch: NodeSpec) -> bool:
    """Whether a restore of it has come to its end."""
    return (scratch.folder / _WHOLE).exists()


def remove_scratch(host: Host, scratch: NodeSpec) -> None:
    host.engines[scratch.engine].backups.drop(scratch)
    with contextlib.suppress(OSError):  # others are at work there, or it is gone
        host.settings.scratch_dir.rmdir()


def _scratch(host: Host, node: NodeSpec, folder: Path, name: str) -> NodeSpec:
    """It is whose data it has; before there is any, that is not known."""
    data = folder / node.data_dir.name
    return replace(
        node,
        node_id=name,
        user=ServerUser.owning(data) if data.exists() else node.user,
        folder=folder,
        socket_dir=host.socket_dir(name),
        archive=folder / "archive",
        address="",
        upstream=None,
        confirmed_by=(),
        memory_mb=min(node.memory_mb, _SCRATCH_MB),
    )


def _restore_point(resources: Resources, source: Source) -> RestorePoint:
    folder = _backup_folder(resources, source)
    server = _source_server(resources, source)
    stopped = server is not None and not server.is_running()
    return RestorePoint(
        backup=folder,
        archive=resources.host.backups.archive(source.source_id),
        moment=source.moment,
        remains=server.node.data_dir if server is not None and stopped else None,
        to_the_end=source.to_the_end,
    )


def _backup_folder(resources: Resources, source: Source) -> Path:
    """One that is in the repository alone is fetched first.

    Raises:
        StepFailed: there is no such backup any more.
    """
    found = resources.store.rows(_backups.backup_by_id, [source.backup_id])
    if not found:
        raise StepFailed(f"backup {source.backup_id} was removed meanwhile")
    instance_id, outside = found[0]["instance_id"], found[0]["outside"]
    folder = resources.host.backups.backup(instance_id, source.backup_id)
    if not folder.exists() and outside in ("whole", "found"):
        fetch_backup(resources, instance_id, source.backup_id)
    return folder


def _source_server(resources: Resources, source: Source) -> Server | None:
    """The server that has the source's latest data; none when the instance is gone."""
    found = resources.view.find_instance(source.source_id)
    if found is None or source.moment is None or source.to_the_end:
        return None
    return resources.server(found, resources.view.primary(source.source_id))
