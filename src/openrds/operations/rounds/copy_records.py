"""What is recorded of instances in the copy: written there by the service itself, and never taken from the repository.

So nobody who has the repository can give back an older state of it. It says what is in the copy: a record never names a
backup that is not whole there, so a service can be had again from the copy at any moment.
"""

import msgspec

from openrds.operations.steps.resources import Resources
from openrds.repository import copies, place
from openrds.repository.errors import NotInRepositoryError, StrangeObjectError
from openrds.repository.records import InstanceRecord, read_instance
from openrds.repository.repository import Repository
from openrds.store.queries import Queries

_sql = Queries("copies")


class CopiedRecords:
    """Gives records the shape that they have in the copy."""

    def __init__(self, resources: Resources) -> None:
        self._store = resources.store

    def shape(self, target: Repository, record: InstanceRecord) -> InstanceRecord | None:
        """With the backups and the log that are in the copy; those that are deleted and still there stay named."""
        (known,) = self._store.rows(_sql.copied_of, [[record.id]])
        before = _read(target, record.id)
        copied, wanted = set(known["backups"]), {row["id"] for row in record.backups}
        # A service that was restored has not looked yet at what the one of before has copied.
        has_log = record.generation in (known["generation"], before.generation)
        deleted = {
            row["id"]: row
            for row in (*before.backups, *before.deleted)
            if row["id"] not in wanted and _is_whole(target, place.backup(record.id, row["id"]))
        }
        shaped = msgspec.structs.replace(
            record,
            backups=[
                row
                for row in record.backups
                if row["id"] in copied or _is_whole(target, place.backup(record.id, row["id"]))
            ],
            generation=record.generation if has_log else None,
            deleted=[deleted[id_] for id_ in sorted(deleted)],
        )
        return shaped if shaped.instance or shaped.backups or shaped.deleted else None


def _read(target: Repository, instance_id: str) -> InstanceRecord:
    """What was written last; nothing where that was cut off."""
    try:
        return read_instance(target, instance_id)
    except (NotInRepositoryError, StrangeObjectError):
        return InstanceRecord(instance_id, None, [], [], [], None)


def _is_whole(target: Repository, prefix: str) -> bool:
    try:
        target.read(copies.manifest_name(prefix))
    except (NotInRepositoryError, StrangeObjectError):
        return False
    return True
