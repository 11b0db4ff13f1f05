"""A backup to be: whether there is room for it, and its row."""

import datetime as dt

from openrds.domain.backup import BackupType, automatic_name, new_backup_id
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.quotas import check_backups, check_disk
from openrds.store.database import Row
from openrds.store.instances import nodes_of
from openrds.store.queries import Queries

_sql = Queries("backups")


def check_room(intake: Intake, instance: Instance, what: str, *, of_quota: bool) -> None:
    """A backup takes about as much as the data, which was measured half a minute ago at most.

    Raises:
        Refusal: QUOTA, where it counts and the project has too many; STORAGE_SOLD_OUT.
    """
    primary, *_ = nodes_of(intake.connection, instance.id)
    size = primary.used_bytes or 0
    if of_quota:
        check_backups(intake.connection, intake.project_id, intake.settings, size // 1024)
    check_disk(intake.settings, what, size)


def write_backup(
    intake: Intake, instance: Instance, type_: BackupType, name: str, description: str = ""
) -> Row:
    """
    Raises:
        Refusal: BACKUP_NAME, which a manual one must have for itself.
    """
    node, *_ = nodes_of(intake.connection, instance.id)
    columns = {
        "id": new_backup_id(instance.engine),
        "instance_id": instance.id,
        "host": node.host,
        "name": name,
        "description": description,
        "type": type_,
    }
    written = intake.connection.execute(_sql.insert_backup, columns).fetchone()
    if written is None:
        raise Refusal(ErrorCode.BACKUP_NAME, f"There is a backup {name} already; choose another name.")
    return written


def write_last_backup(intake: Intake, instance: Instance) -> str:
    """The id of the backup that an instance is to be had back from after its deletion."""
    name = automatic_name(instance.name, dt.datetime.now(dt.UTC))
    backup_id: str = write_backup(intake, instance, BackupType.AUTO, name)["id"]
    intake.connection.execute(_sql.mark_last_backup, [backup_id])
    return backup_id
