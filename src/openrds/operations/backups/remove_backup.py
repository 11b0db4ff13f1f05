"""Delete backups that a caller no longer wants. They leave the list at once; the host's worker removes the files."""

import msgspec

from openrds.domain.backup import BackupStatus, BackupType
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Several, Text
from openrds.operations.intake.intake import Intake
from openrds.store.queries import Queries

_sql = Queries("backups")

_MOST_AT_ONCE = 50


class DeleteBackups(msgspec.Struct):
    backup_ids: Several[Text]


def delete(intake: Intake, backup_id: str) -> None:
    """With the last state of an instance that is in the recycle bin goes all that is kept there of it.

    Raises:
        Refusal: there is no such backup, it is another automatic one, or a task is at work with it.
    """
    key = {"id": backup_id, "project_id": intake.project_id}
    backup = intake.connection.execute(_sql.get_backup, key).fetchone()
    if backup is None:
        raise Refusal(ErrorCode.BACKUP_NOT_FOUND, f"There is no backup {backup_id}.")
    is_last_state = backup["recycled"] is not None and backup["deleted_at"] is not None
    if backup["type"] != BackupType.MANUAL and not is_last_state:
        raise Refusal(
            ErrorCode.PARAMETER,
            "An automatic backup is removed when it is older than the policy's keep_days, or when its deleted instance "
            "leaves the recycle bin.",
        )
    if backup["status"] == BackupStatus.BUILDING:
        raise Refusal(
            ErrorCode.BACKUP_RUNNING, f"Backup {backup['name']} is running; wait until it has ended."
        )
    task = intake.connection.execute(_sql.task_restoring_from, [backup_id]).fetchone()
    if task is not None:
        raise Refusal(
            ErrorCode.INSTANCE_BUSY,
            f"{task['name']} ({task['id']}) restores from it; wait until it has ended.",
        )
    intake.connection.execute(_sql.delete_backup, [backup_id])
    if is_last_state:
        intake.connection.execute(_sql.take_out_of_bin, [backup["instance_id"]])


def delete_several(intake: Intake, request: DeleteBackups) -> None:
    """All of them, or none."""
    if not 1 <= len(request.backup_ids) <= _MOST_AT_ONCE:
        raise Refusal(ErrorCode.PARAMETER, f"backup_ids must have 1 to {_MOST_AT_ONCE} ids.")
    for backup_id in dict.fromkeys(request.backup_ids):
        delete(intake, backup_id)
