"""`openrds restore-service`: have a service again on an empty machine, from the backup repository and its key alone.

Its records are written here, and for each instance a task that restores it; those run when the service does.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from msgspec.structs import replace
from psycopg.types.json import Jsonb

from openrds.domain.engine import EngineName
from openrds.domain.errors import Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.settings import Settings
from openrds.engines.protocol import EngineError
from openrds.engines.registry import found_on_host
from openrds.hosts.errors import HostError, in_words
from openrds.hosts.users import ServerUsers
from openrds.operations.backups import restore_lost_instance
from openrds.operations.backups.restore_lost_instance import best_base, is_replica, why_not
from openrds.operations.intake.intake import Intake
from openrds.operations.rounds import lost_replicas
from openrds.operations.rounds.repository_access import adopt
from openrds.repository.errors import RepositoryError
from openrds.repository.records import InstanceRecord, ServiceRecord, read_instances, read_service
from openrds.repository.repository import Repository
from openrds.service import places
from openrds.service.means import choose_repository, choose_users
from openrds.service.private_store import open_private_store
from openrds.store.database import Store, Writer
from openrds.store.instances import find_instance
from openrds.store.migrate import migrate
from openrds.store.queries import Queries
from openrds.store.records import insert_record
from openrds.tasks.queue import Queue
from openrds.tasks.retention import prepare_partitions

_sql = Queries("repository")
_instances = Queries("instances")

_Refused = (RepositoryError, HostError, EngineError, places.DataDirectoryError, Refusal, OSError)


@dataclass(frozen=True)
class _Found:
    """What is in a repository."""

    repository: Repository
    service: ServiceRecord
    instances: list[InstanceRecord]

    @property
    def restorable(self) -> list[InstanceRecord]:
        """Primaries before their read replicas."""
        return sorted((record for record in self.instances if not self.problem(record)), key=is_replica)

    def problem(self, record: InstanceRecord) -> str:
        """Why one cannot be restored; empty where it can. A read replica is made of its primary."""
        if (problem := why_not(record)) or not is_replica(record):
            return problem
        assert record.instance is not None, "it is a replica"
        primary_id = record.instance["replica_of"]
        primary = next((one for one in self.instances if one.id == primary_id), None)
        if primary is None:
            return f"it is a read replica, and its primary, instance {primary_id}, is not there"
        if problem := why_not(primary):
            return f"it is a read replica, and its primary, instance {primary_id}, is not restored: {problem}"
        return ""


def restore_service(settings: Settings, *, only_list: bool, deleted_too: bool = False) -> int:
    """Say what there is, and unless it shall only be listed, write it down; the exit code.

    With `deleted_too` also backups that were deleted and are still in a copy.
    """
    try:
        found = _look(settings, deleted_too=deleted_too)
        _print(found, settings)
        if only_list:
            return 0
        _check_versions(settings, found.restorable)
        users, lock = choose_users(settings), places.Lock(settings.data_dir)
        with places.prepared(settings.data_dir, users, lock), _store(settings, users) as store:
            begun = _write(store, settings, found)
    except _Refused as error:
        print(f"openrds: {in_words(error)}", file=sys.stderr)
        return 1
    except psycopg.Error as error:
        print(f"openrds: the store cannot be used: {error}", file=sys.stderr)
        return 1
    print(
        f"{begun} instances will be restored as soon as the service runs, with the settings that this command had:"
    )
    print(f"  openrds serve --data-dir {settings.data_dir}")
    return 0


def _look(settings: Settings, *, deleted_too: bool) -> _Found:
    place = choose_repository(settings)
    if place is None:
        raise RepositoryError("Say which repository: set backup_repository, and backup_key_file to its key.")
    repository = place.open()
    if repository.service() is None:
        raise RepositoryError(f"No service has written to {place.url}.")
    records = read_instances(repository)
    if deleted_too:
        records = [replace(one, backups=[*one.backups, *one.deleted], deleted=[]) for one in records]
    return _Found(repository, read_service(repository), records)


def _print(found: _Found, settings: Settings) -> None:
    for record in found.instances:
        row = record.instance or {}
        what = f"{row.get('name', '(deleted)')} {row.get('engine', '')} {row.get('version', '')}".strip()
        deleted = f", {len(record.deleted)} deleted ones (--deleted)" if record.deleted else ""
        print(f"{record.id}  {what}  {len(record.backups)} backups{deleted}  {_says(found, record)}")
        if not restore_lost_instance.has_public_address(record, settings):
            print(f"  {record.public_address} is no public address here: bind another")


def _says(found: _Found, record: InstanceRecord) -> str:
    if problem := found.problem(record):
        return f"not restored: {problem}"
    if is_replica(record):
        assert record.instance is not None
        return f"read replica, made anew once instance {record.instance['replica_of']} serves"
    base = best_base(record)
    return f"backup of {base['end_time']}, and log" if base else ""


def _check_versions(settings: Settings, records: Iterable[InstanceRecord]) -> None:
    """
    Raises:
        RepositoryError: this machine has not the servers that are needed. Nothing was written.
    """
    needed = {(str(one.instance["engine"]), str(one.instance["version"])) for one in records if one.instance}
    has = {
        (engine.value, installation.version)
        for engine in EngineName
        for installation in found_on_host(engine, settings.data_dir, settings.engine_dirs)
    }
    if missing := sorted(needed - has):
        names = ", ".join(" ".join(one) for one in missing)
        raise RepositoryError(f"This machine has no {names}: install it first (openrds engine install).")


@contextmanager
def _store(settings: Settings, users: ServerUsers) -> Iterator[Store]:
    server = None if settings.store else open_private_store(settings, users)
    try:
        dsn = settings.store if server is None else server.dsn
        migrate(dsn)
        with Store(dsn, connections=2) as store:
            yield store
    finally:
        if server is not None:
            server.stop()


def _write(store: Store, settings: Settings, found: _Found) -> int:
    """How many instances are to be restored. Done again, it begins those again that could not be."""
    _check_ours(store, found)
    prepare_partitions(store)
    for name, text in found.service.files.items():
        _write_file(settings.data_dir / name, text)
    known = next(iter(store.rows(_sql.repository)), None)
    # From now on nobody else writes there; if we end here, the next attempt takes it over again.
    service = None if known else found.repository.claim()
    with store.transaction() as connection:
        if service is not None:
            adopt(connection, found.repository.address, service)
        _insert_service(connection, settings, found)
        return sum(_restore(connection, settings, record) for record in found.restorable)


def _check_ours(store: Store, found: _Found) -> None:
    """
    Raises:
        RepositoryError: the store has another service's records.
    """
    known = next(iter(store.rows(_sql.repository)), None)
    is_empty = not store.rows(_sql.any_project)
    is_ours = known is not None and known["service"] == found.repository.service()
    if not is_empty and not is_ours:
        raise RepositoryError("The store has another service's records: restore to an empty data directory.")


def _insert_service(connection: Writer, settings: Settings, found: _Found) -> None:
    for project in found.service.projects:
        insert_record(connection, "project", project)
    for account in found.service.accounts:
        insert_record(connection, "account", account)
    for table, rows in found.service.belongings.items():
        for row in rows:
            insert_record(connection, table, row)
    host = {
        "name": settings.host,
        "availability_zone": settings.availability_zones[0],
        "installations": Jsonb([]),
        "forwarding": "",
        "memory_mb": 0,
    }
    connection.execute(_instances.set_host, host)
    for record in found.instances:
        restore_lost_instance.insert_backups(connection, record, settings.host)


def _restore(connection: Writer, settings: Settings, record: InstanceRecord) -> bool:
    """Whether that was begun: one that is there, or on its way, is not restored again."""
    assert record.instance is not None, "it is restorable"
    known = find_instance(connection, record.id)
    if known is not None and known.status is not InstanceStatus.CREATE_FAIL:
        return False
    intake = Intake(connection, Queue(), settings, record.instance["project_id"])
    if not is_replica(record):
        restore_lost_instance.submit(intake, record)
    elif find_instance(connection, record.instance["replica_of"]) is None:
        return False  # it was deleted since the record was written
    else:
        lost_replicas.submit(intake, record)
    return True


def _write_file(path: Path, text: str) -> None:
    """Unless it is there. Only the owner may read it."""
    if path.exists():
        return
    unfinished = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
