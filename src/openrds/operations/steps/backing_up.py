"""A base backup gets its name only when it is whole and on disk, and what the engine said of it lies beside it."""

import datetime as dt

import msgspec

from openrds.engines.protocol import BaseBackup, Server
from openrds.hosts.folders import read
from openrds.operations.steps import inventories
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

_sql = Queries("backups")

#: What the engine said of a backup, in the folder beside its data: a second run of the step finds it there.
_FACTS = "backup.json"


class Facts(msgspec.Struct, frozen=True):
    """What is recorded of a finished backup; `size_kb` is what it takes on disk."""

    end_time: dt.datetime
    log_position: str
    size_kb: int


def facts_of(resources: Resources, instance_id: str, backup_id: str) -> Facts | None:
    """What is to be recorded of a backup; None where it is not finished."""
    finished = resources.host.backups.backup(instance_id, backup_id) / _FACTS
    return msgspec.json.decode(read(finished), type=Facts) if finished.exists() else None


def copy_data(resources: Resources, server: Server, instance_id: str, backup_id: str) -> Facts:
    """Back up a server that runs, unless that was done.

    Raises:
        StepFailed: the backup was stopped.
        EngineError: it failed.
    """
    if (known := facts_of(resources, instance_id, backup_id)) is not None:
        return known
    folders = resources.host.backups
    unfinished = folders.begin(instance_id, backup_id)
    _check_wanted(resources, backup_id)
    try:
        made = resources.engine(instance_id).backups.back_up(server.node, unfinished)
    finally:
        _check_wanted(resources, backup_id)
    inventories.note(resources.engine(instance_id).copying, server.node, unfinished)
    facts = _facts(made)
    (unfinished / _FACTS).write_bytes(msgspec.json.encode(facts))
    folders.finish(instance_id, backup_id, unfinished)
    return facts


def complete(connection: Writer, backup_id: str, facts: Facts) -> None:
    """Write down that a backup is finished."""
    connection.execute(_sql.complete_backup, {"id": backup_id, **msgspec.structs.asdict(facts)})


def _check_wanted(resources: Resources, backup_id: str) -> None:
    """
    Raises:
        StepFailed: the backup was stopped.
    """
    (backup,) = resources.store.rows(_sql.backup_by_id, [backup_id])
    if backup["stopping"]:
        raise StepFailed("it was stopped, as was asked for")


def _facts(made: BaseBackup) -> Facts:
    return Facts(made.end, made.log_position, -(-made.size_bytes // 1024))
