"""What is written down of major upgrades, and of looking what hinders one."""

from uuid import UUID

from openrds.store.database import Writer
from openrds.store.queries import Queries

_sql = Queries("upgrades")

#: Of each kind, of an instance.
_KEPT = 100


def begin(
    connection: Writer, task_id: UUID, instance_id: str, kind: str, old: str, new: str, statistics: str = ""
) -> None:
    connection.execute(
        _sql.begin_report,
        {
            "id": task_id,
            "instance_id": instance_id,
            "kind": kind,
            "old_version": old,
            "new_version": new,
            "statistics": statistics,
        },
    )
    connection.execute(_sql.forget_reports, {"instance_id": instance_id, "kind": kind, "kept": _KEPT})


def end(connection: Writer, task_id: UUID, *, succeeded: bool, detail: str = "") -> None:
    """Where a task failed, its own reason is told besides."""
    result = "success" if succeeded else "failed"
    connection.execute(_sql.end_report, {"id": task_id, "result": result, "detail": detail})
