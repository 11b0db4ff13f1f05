"""Restore an instance whose machine is lost, from the backup repository: it keeps its id, its name and its passwords.

It comes to what was archived last. Its own archive begins anew, as after any restore.
"""

import datetime as dt
import ipaddress
import logging
from pathlib import Path
from uuid import UUID

from openrds.domain.deadline import LONG
from openrds.domain.dns_names import DAYS_HELD
from openrds.domain.instance import STOPPED, InstanceStatus, InstanceType, Wanted
from openrds.domain.instance_values import Instance
from openrds.domain.network import public_addresses
from openrds.domain.settings import Settings
from openrds.domain.task import TaskName
from openrds.hosts.addresses import port_is_free
from openrds.hosts.errors import HostError
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.restore_source import milliseconds
from openrds.operations.steps import creating, restoring
from openrds.operations.steps.fetching import fetch_backup, fetch_log
from openrds.operations.steps.public_address import set_bound
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.source import Source
from openrds.operations.steps.status import ACTIVE, instance_of, set_status, set_wanted
from openrds.repository.records import InstanceRecord, Row
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.store.records import insert_record
from openrds.tasks.operation import Ending, Operation, Output, Step, StepContext, TaskContext

logger = logging.getLogger(__name__)

_sql = Queries("backups")
_instances = Queries("instances")
_names = Queries("dns_names")
_repository = Queries("repository")


class Parameters(Source, frozen=True):
    """`generation` is that of the archive whose log is replayed; empty where none is.

    `rests` is for one that was stopped or frozen, and comes back as that.
    """

    generation: str = ""
    rests: InstanceStatus | None = None


Context = StepContext[Resources, Parameters]


def best_base(record: InstanceRecord) -> Row | None:
    """The newest backup of an instance that its log goes on from; else the newest of all."""
    key = "continuous" if any(row["continuous"] for row in record.backups) else "id"
    fitting = [row for row in record.backups if row[key]]
    return max(fitting, key=lambda row: dt.datetime.fromisoformat(row["end_time"]), default=None)


def why_not(record: InstanceRecord) -> str:
    """Why an instance cannot be restored; empty where it can."""
    if record.instance is None:
        return "it was deleted, and only backups are left"
    if record.instance["deleting"] or record.instance["status"] == InstanceStatus.CREATE_FAIL:
        return f"it was {'being deleted' if record.instance['deleting'] else 'never made'}"
    if not is_replica(record) and best_base(record) is None:
        return "no backup of it was there yet"
    return ""


def is_replica(record: InstanceRecord) -> bool:
    """One of which there are no backups: it is made anew, of its primary (`rounds/lost_replicas.py`)."""
    return record.instance is not None and record.instance["type"] == InstanceType.REPLICA


def has_public_address(record: InstanceRecord, settings: Settings) -> bool:
    """Whether what was bound to it, if anything, is an address of this machine too."""
    return record.public_address is None or any(
        str(one.address) == record.public_address for one in public_addresses("", settings)
    )


def insert_backups(connection: Writer, record: InstanceRecord, host: str) -> None:
    """Write the backups of an instance down as those that are in the repository alone. Those that are known stay."""
    for row in record.backups:
        insert_record(connection, "backup", row | {"host": host, "outside": "found"})


def submit(intake: Intake, record: InstanceRecord) -> UUID:
    """Write an instance down as it was, unless that was done, and begin to restore it.

    `why_not` says nothing against it, and no task holds it.
    """
    base = best_base(record)
    assert base is not None, "see why_not"
    insert(intake, record, Wanted.SERVING)
    instance = intake.instance(record.id)
    intake.set_wanted(instance, Wanted.SERVING)
    with_log = bool(base["continuous"] and record.generation)
    parameters = Parameters(
        source_id=instance.id,
        backup_id=base["id"],
        restore_time=milliseconds(dt.datetime.now(dt.UTC)) if with_log else None,
        to_the_end=with_log,
        generation=record.generation or "" if with_log else "",
        rests=next((status for status in STOPPED if status == (record.instance or {})["status"]), None),
    )
    return intake.accept(instance, RESTORE_LOST_INSTANCE, parameters, {"instance": creating.aim_of(instance)})


def insert(intake: Intake, record: InstanceRecord, wanted: Wanted) -> None:
    """Write an instance down as it was, unless that was done; it is BUILD.

    The addresses that it had it gets again, if they are of the pool of this machine and free.
    """
    assert record.instance is not None, "see why_not"
    connection, settings = intake.connection, intake.settings
    changed = {
        "status": InstanceStatus.BUILD,
        "wanted": wanted,
        "storage_full": False,
        "stopped_at": None,
        "address": None,
        "dns_label": None,
    }
    insert_record(connection, "instance", record.instance | changed)
    for node in record.nodes:
        insert_record(
            connection, "node", node | {"host": settings.host, "address": None, "confirmation": "no"}
        )
    for address in record.addresses:
        if ipaddress.ip_address(address["address"]) in settings.private_network:
            insert_record(connection, "address", address | {"host": settings.host})
    if record.generation:
        # Should this machine be lost too before the log was fetched, the next is to find it.
        reached = {
            "instance_id": record.id,
            "generation": record.generation,
            "reached": dt.datetime.now(dt.UTC),
        }
        connection.execute(_repository.note_log_sent, reached)
    if record.public_address and has_public_address(record, settings):
        taken = {"address": record.public_address, "instance_id": record.id}
        connection.execute(_instances.take_public_address, taken)
    if label := record.instance.get("dns_label"):
        _take_name(connection, record.instance, label)


def _take_name(connection: Writer, instance: Row, label: str) -> None:
    """Unless it is another's by now, or the instance was there and has kept it."""
    row = {
        "label": label,
        "project_id": instance["project_id"],
        "instance_id": instance["id"],
        "days": DAYS_HELD,
    }
    if connection.execute(_names.take_name, row).fetchone() is not None:
        connection.execute(_names.set_name, {"label": label, "instance_id": instance["id"]})


def fetch(context: Context) -> None:
    parameters = context.parameters
    fetch_backup(context.resources, context.instance_id, parameters.backup_id)
    if parameters.generation and not _data(context).exists():
        fetch_log(context.resources, context.instance_id, parameters.generation)
        _warn_of_gap(context)


def _warn_of_gap(context: Context) -> None:
    """Whoever has the bucket can take log away. What was before is better than nothing, but shall not pass for all."""
    resources = context.resources
    (backup,) = resources.store.rows(_sql.backup_by_id, [context.parameters.backup_id])
    archive = resources.host.backups.archive(context.instance_id)
    engine = resources.engine(context.instance_id)
    if not engine.backups.is_archived_since(archive, backup["log_position"]):
        logger.warning(
            "log of instance %s is missing in the backup repository: what was behind the gap is lost",
            context.instance_id,
        )


def remove_fetched(context: Context) -> None:
    folders = context.resources.host.backups
    folders.remove_archive(context.instance_id)
    folders.remove(context.instance_id, context.parameters.backup_id)


def restore_data(context: Context) -> None:
    """The log that was replayed is of a former life: it makes room before the server begins to archive its own."""
    resources, (server, *standbys) = context.resources, creating.servers_of(context)
    if not server.node.data_dir.exists():
        data = restoring.restore_apart(resources, context.parameters, server.node, str(context.task_id))
        resources.host.backups.remove_archive(context.instance_id)
        data.rename(server.node.data_dir)
    restoring.remove_apart(resources.host, server, str(context.task_id))
    for standby in standbys:
        standby.replication.copy_upstream()


def remove_data(context: Context) -> None:
    server = context.resources.primary_server(context.instance_id)
    restoring.remove_apart(context.resources.host, server, str(context.task_id))


def start_servers(context: Context) -> None:
    if context.parameters.rests is None:
        _serve(context)
    _bind_public_address(context)


def _serve(context: Context) -> None:
    creating.start_servers(context)
    restoring.set_remote_access(context.resources, context.instance_id)
    creating.confirm_writes(context)
    creating.pass_on_endpoint(context)
    creating.check_endpoint(context)


def _bind_public_address(context: Context) -> None:
    """Where this host cannot, or another program has the address, the instance goes without."""
    resources, instance = context.resources, instance_of(context)
    for held in resources.store.rows(_instances.public_address_of_instance, [instance.id]):
        if held["bound"] or _can_be_bound(resources, held["address"], instance.port):
            set_bound(resources, instance.id, bound=True)
        else:
            logger.warning("instance %s does not get %s bound again", instance.id, held["address"])
            resources.store.rows(_instances.release_public_address, [instance.id])


def _can_be_bound(resources: Resources, address: str, port: int) -> bool:
    try:
        return bool(resources.host.forwarder.name) and port_is_free(address, port)
    except HostError:
        return False


def stop_servers(context: Context) -> None:
    if context.resources.view.public_address(context.instance_id):
        set_bound(context.resources, context.instance_id, bound=False)
    creating.stop_servers(context)
    context.resources.host.backups.remove_archive(context.instance_id)


def completed(context: TaskContext[Parameters], connection: Writer, instance: Instance) -> Output | None:
    """No log leads from the backups of before to what is to come."""
    connection.execute(_sql.break_continuity, [context.instance_id])
    made = creating.IS_MADE.write(context, connection, instance)
    if context.parameters.rests is not None:
        set_status(connection, context.instance_id, context.parameters.rests)
        set_wanted(connection, context.instance_id, Wanted.STOPPED)
        connection.execute(_instances.set_stopped, [context.instance_id])
    return made


def failed(context: TaskContext[Parameters], connection: Writer, seen: None) -> None:
    """Its read replicas wait for it, and cannot be made of what is not there."""
    creating.IS_UNMADE.write(context, connection, seen)
    for row in connection.execute(_instances.give_up_lost_replicas, [context.instance_id]).fetchall():
        logger.error(
            "read replica %s is not made, for its primary, instance %s, could not be restored: "
            "openrds restore-service begins both again",
            row["id"],
            context.instance_id,
        )


def _data(context: Context) -> Path:
    return context.resources.primary_server(context.instance_id).node.data_dir


RESTORE_LOST_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="restore_lost_instance",
    name=TaskName.RESTORE_NEW,
    status=InstanceStatus.BUILD,
    parameters=Parameters,
    steps=(
        creating.ALLOCATE_ADDRESS,
        creating.CREATE_VOLUME,
        Step("fetch backup", fetch, undo=remove_fetched, expected=5.0, deadline=LONG),
        Step("restore data", restore_data, undo=remove_data, expected=2.0, deadline=LONG),
        Step("start server", start_servers, undo=stop_servers, expected=0.2),
    ),
    on_completed=Ending(completed, instance_of, ACTIVE | STOPPED),
    on_failed=Ending(failed, statuses=creating.IS_UNMADE.statuses),
)
