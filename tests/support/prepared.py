"""Instances for the proofs, each kept from one case to the next for as long as the cases leave it as it was."""

from collections.abc import Callable

from openrds.domain.instance import InstanceStatus
from openrds.operations.backups import remove_backup
from openrds.operations.instances import delete_instance
from openrds.operations.rounds.backup_schedule import remove_deleted
from support.dialects import Dialect
from support.workbench import Workbench

Preparation = Callable[[Workbench], str | None]


class Prepared:
    """At most one instance, which `take` hands out again to whoever wants one of the same preparation."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._kept: tuple[Dialect, Preparation, str] | None = None

    def take(self, bench: Workbench, prepare: Preparation) -> str | None:
        """An instance of the bench's engine to run an operation on, or None if the preparation makes none."""
        if self._kept is not None and self._kept[:2] == (bench.dialect, prepare):
            (*_, instance_id), self._kept = self._kept, None
            self._finish(instance_id)
            return instance_id
        self.clean_up()
        return prepare(bench)

    def give_back(self, bench: Workbench, prepare: Preparation, instance_id: str | None, left: str) -> None:
        """Keep an instance that is as it was when it was taken. What an operation only began to make is deleted."""
        if left != instance_id:
            self._delete(left)
        if instance_id is not None:
            self._kept = (bench.dialect, prepare, instance_id)

    def clean_up(self) -> None:
        """Delete all there is, which also proves that an instance can be deleted after anything that happened to it."""
        self._kept = None
        for instance in self._bench.instances():
            # Replicas go with their primary.
            if instance.replica_of is None or instance.status is InstanceStatus.CREATE_FAIL:
                self._delete(instance.id)
        self._delete_backups()
        footprint = self._bench.footprint()
        assert footprint.processes == frozenset()
        assert footprint.folders == frozenset()
        assert footprint.sockets == frozenset()
        assert footprint.addresses == frozenset()
        assert footprint.mounts == frozenset()
        assert footprint.images == frozenset()
        assert footprint.limited == frozenset()
        assert footprint.backups == frozenset()
        assert footprint.scratch == frozenset()
        assert footprint.routes == frozenset()
        assert footprint.locks == 0
        assert self._bench.instances() == []

    def _delete_backups(self) -> None:
        """Manual ones outlive their instance, and so does the last state of one that is in the recycle bin."""
        bench = self._bench
        outlive = b"status <> 'DELETING' and (type = 'manual' or recycled is not null)"
        for row in bench.store.rows(b"select id from backup where " + outlive):
            bench.submit(lambda intake, id_=row["id"]: remove_backup.delete(intake, id_))
        remove_deleted(bench.resources)

    def _finish(self, instance_id: str) -> None:
        """A worker that was ended may have begun to bring back a standby or a server."""
        bench = self._bench
        for row in bench.store.rows(
            b"select task_id from instance_lock where instance_id = %s", [instance_id]
        ):
            task = bench.run(row["task_id"])
            assert task["status"] == "Completed", task["fail_reason"]

    def _delete(self, instance_id: str) -> None:
        self._finish(instance_id)
        bench = self._bench
        task = bench.run(bench.submit(lambda intake: delete_instance.submit(intake, instance_id)))
        assert task["status"] == "Completed", task["fail_reason"]
