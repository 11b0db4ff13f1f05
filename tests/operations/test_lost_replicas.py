"""Read replicas of a lost service: made anew of their primary once that serves, and only once."""

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest

from openrds.domain.instance import InstanceStatus
from openrds.operations.backups import restore_lost_instance
from openrds.operations.instances import delete_instance
from openrds.operations.intake.intake import Intake
from openrds.operations.rounds import lost_replicas
from openrds.operations.rounds.repository_backups import send_backups
from openrds.operations.rounds.repository_logs import LogSending
from openrds.repository import copies, place
from openrds.repository.records import InstanceRecord
from openrds.store.queries import Queries
from support.prepared import Prepared
from support.repositories import running_workbench_with_repository
from support.scenarios import backed_up_instance, done, submit_replica
from support.workbench import Workbench


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with running_workbench_with_repository() as bench:
        yield bench
        Prepared(bench).clean_up()


def remade(bench: Workbench) -> set[UUID]:
    """The tasks that one round begins."""
    before = {row["id"] for row in bench.store.rows(b"select id from task")}
    lost_replicas.remake_lost_replicas(bench.store, bench.queue, bench.resources.settings)
    return {row["id"] for row in bench.store.rows(b"select id from task")} - before


def status(bench: Workbench, instance_id: str) -> InstanceStatus | None:
    instance = bench.instance(instance_id)
    return None if instance is None else instance.status


def test_they_wait_for_their_primary_and_are_made_once(bench: Workbench) -> None:
    primary_id = backed_up_instance(bench)
    done(bench, primary_id, bench.submit(lambda intake: submit_replica(intake, primary_id, bench)))
    (replica_id,) = (one.id for one in bench.instances() if one.replica_of == primary_id)
    resources = bench.resources
    assert resources.host.repository is not None
    repository = resources.host.repository.open(may_make_key=True)
    bench.engine.backups.archive_log(resources.primary_server(primary_id).node)
    send_backups(resources, repository)
    LogSending(resources).send(repository)
    rows = bench.store.rows(Queries("repository").records, {"ids": [primary_id, replica_id]})
    records = {row["id"]: msgspec.convert(row, InstanceRecord) for row in rows}
    primary, replica = records[primary_id], records[replica_id]
    done(bench, primary_id, bench.submit(lambda intake: delete_instance.submit(intake, primary_id)))
    (backup,) = primary.backups
    resources.host.backups.remove(primary_id, backup["id"])
    bench.store.rows(b"delete from backup where id = %s", [backup["id"]])
    bench.store.rows(b"delete from repository_removal")

    def restore(intake: Intake) -> UUID:
        restore_lost_instance.insert_backups(intake.connection, primary, intake.settings.host)
        task_id = restore_lost_instance.submit(intake, primary)
        lost_replicas.submit(intake, replica)
        return task_id

    # Its backup cannot be had: neither can the replica.
    manifest = copies.manifest_name(place.backup(primary_id, backup["id"]))
    kept = repository.objects.get(manifest)
    repository.remove([manifest])
    task_id = bench.submit(restore)
    assert status(bench, replica_id) is InstanceStatus.BUILD
    assert remade(bench) == set(), "its primary is not there yet"
    assert bench.run(task_id)["status"] == "Failed"
    assert status(bench, primary_id) is status(bench, replica_id) is InstanceStatus.CREATE_FAIL
    assert remade(bench) == set()

    # Given again, it begins both again.
    repository.objects.put(manifest, kept)
    task_id = bench.submit(restore)
    bench.submit(lambda intake: lost_replicas.submit(intake, replica))
    assert bench.run(task_id)["status"] == "Completed"
    assert status(bench, replica_id) is InstanceStatus.BUILD
    (making,) = remade(bench)
    assert remade(bench) == set()
    assert bench.task(making)["name"] == "CreatePostgresqlReplicaInstance"
    assert bench.run(making)["status"] == "Completed"
    assert remade(bench) == set()

    found = bench.instance(replica_id)
    assert found is not None
    assert replica.instance is not None
    same = ("name", "flavor_ref", "address", "replica_of", "parameters")
    known = {name: replica.instance[name] for name in same}
    assert {name: getattr(found, name) for name in same} == known
    assert found.status is InstanceStatus.ACTIVE
