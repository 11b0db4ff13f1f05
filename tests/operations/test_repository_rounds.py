"""What goes to the backup repository by itself, and out of it again; that it is away fails nothing."""

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from openrds.control.changes import Subject
from openrds.operations.backups import remove_backup
from openrds.operations.rounds.backup_schedule import remove_deleted, tidy_backups
from openrds.operations.rounds.repository_access import RETRY, RepositoryAccess
from openrds.operations.rounds.repository_backups import send_backups
from openrds.operations.rounds.repository_logs import LogSending
from openrds.operations.rounds.repository_records import SERVICE, RecordSending
from openrds.operations.steps import fetching
from openrds.operations.steps.fetching import fetch_backup
from openrds.repository import copies, place
from openrds.repository.errors import RepositoryError
from openrds.repository.place import Place
from openrds.repository.records import read_instances, read_service
from openrds.repository.repository import Repository
from openrds.store.database import Row
from openrds.tasks.operation import StepFailed
from support.prepared import Prepared
from support.repositories import running_workbench_with_repository
from support.s3 import S3, relay
from support.scenarios import active_instance, run_backup
from support.workbench import Workbench


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with running_workbench_with_repository() as bench:
        yield bench
        Prepared(bench).clean_up()


@pytest.fixture(scope="module")
def instance(bench: Workbench) -> str:
    return active_instance(bench)


@pytest.fixture(scope="module")
def repository(bench: Workbench) -> Repository:
    assert bench.resources.host.repository is not None
    return bench.resources.host.repository.open(may_make_key=True)


def backup_of(bench: Workbench, backup_id: str) -> Row:
    (row,) = bench.store.rows(b"select * from backup where id = %s", [backup_id])
    return row


def there(repository: Repository, prefix: str) -> set[str]:
    return {name for name, _ in repository.sizes(prefix)}


def delete(bench: Workbench, backup_id: str) -> None:
    bench.submit(lambda intake: remove_backup.delete(intake, backup_id))
    assert remove_deleted(bench.resources)


def on_s3(bench: Workbench, s3: S3, folder: Path, endpoint: str, bucket: str = "first") -> Place:
    options = folder / "options.toml"
    options.write_text(s3.options(endpoint))
    options.chmod(0o600)
    return Place(f"s3://{bucket}/{folder.name}", options, folder / "key")


def test_a_backup_goes_there_and_out_again(bench: Workbench, instance: str, repository: Repository) -> None:
    backup_id = run_backup(bench, instance)
    prefix = place.backup(instance, backup_id)

    send_backups(bench.resources, repository)

    assert backup_of(bench, backup_id)["outside"] == "whole"
    manifest = copies.read_manifest(repository, prefix)
    assert {"backup.json", "data", "data/PG_VERSION"} <= {entry.path for entry in manifest.entries}
    (files,) = bench.store.rows(b"select * from backup_outside where backup_id = %s", [backup_id])
    assert {f"{prefix}/{name}" for name in files["names"]} == there(repository, prefix)

    delete(bench, backup_id)
    send_backups(bench.resources, repository)

    assert there(repository, prefix) == set()
    assert bench.store.rows(b"select from repository_removal") == []


def test_a_line_that_is_cut_costs_no_backup_and_nothing_twice(
    bench: Workbench, instance: str, s3: S3, folder: Path
) -> None:
    with relay(s3.port) as line:
        repository = on_s3(bench, s3, folder, line.endpoint).open(may_make_key=True)
        backup_id = run_backup(bench, instance)
        line.budget = line.sent + 2_000_000
        with pytest.raises(RepositoryError, match="cannot be used"):
            send_backups(bench.resources, repository)
        found = backup_of(bench, backup_id)
        assert (found["status"], found["outside"]) == ("COMPLETED", "sending")

    prefix = place.backup(instance, backup_id)
    repository = on_s3(bench, s3, folder, s3.endpoint).open()
    before = {name: repository.objects.get(name) for name in there(repository, prefix)}
    assert before, "something had got there"
    send_backups(bench.resources, repository)
    assert backup_of(bench, backup_id)["outside"] == "whole"
    assert {name: repository.objects.get(name) for name in before} == before, "it was not sent again"

    delete(bench, backup_id)
    send_backups(bench.resources, repository)
    assert there(repository, prefix) == set()


def test_what_is_fetched_waits_for_a_repository_that_is_away(
    bench: Workbench, instance: str, s3: S3, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    with relay(s3.port) as line:
        found = on_s3(bench, s3, folder, line.endpoint)
        repository = found.open(may_make_key=True)
        backup_id = run_backup(bench, instance)
        send_backups(bench.resources, repository)
        home = bench.resources.host.backups.backup(instance, backup_id)
        before = {path.name: path.lstat().st_uid for path in home.rglob("*")}
        shutil.rmtree(home)

        def wait(seconds: float) -> None:
            waits.append(seconds)
            line.budget = float("inf")

        monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=wait))
        line.budget = 0
        host = replace(bench.resources.host, repository=found)
        fetch_backup(replace(bench.resources, host=host), instance, backup_id)

    assert len(waits) == 1
    assert {path.name: path.lstat().st_uid for path in home.rglob("*")} == before
    delete(bench, backup_id)
    send_backups(bench.resources, on_s3(bench, s3, folder, s3.endpoint).open())


def test_what_is_not_there_is_not_waited_for(bench: Workbench, instance: str) -> None:
    with pytest.raises(StepFailed, match="There is no instances/"):
        fetch_backup(bench.resources, instance, "0" * 32 + "br03")


def test_one_that_is_deleted_on_its_way_leaves_nothing(
    bench: Workbench, instance: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup_id = run_backup(bench, instance)
    write = Repository.write
    written: list[str] = []

    def delete_meanwhile(self: Repository, name: str, content: Any) -> int:
        if not written:
            bench.store.rows(b"update backup set status = 'DELETING' where id = %s", [backup_id])
        written.append(name)
        return write(self, name, content)

    monkeypatch.setattr(Repository, "write", delete_meanwhile)
    send_backups(bench.resources, repository)
    assert remove_deleted(bench.resources)
    send_backups(bench.resources, repository)

    assert written
    assert there(repository, place.backup(instance, backup_id)) == set()


def test_retention_goes_there_too(bench: Workbench, instance: str, repository: Repository) -> None:
    old, new = run_backup(bench, instance), run_backup(bench, instance)
    bench.store.rows(
        b"update backup set type = 'auto', begin_time = begin_time - %s, end_time = end_time - %s where id = %s",
        [dt.timedelta(days=30), dt.timedelta(days=30), old],
    )
    send_backups(bench.resources, repository)
    assert there(repository, place.backup(instance, old))

    tidy_backups(bench.resources)
    send_backups(bench.resources, repository)

    assert there(repository, place.backup(instance, old)) == set()
    assert there(repository, place.backup(instance, new))
    delete(bench, new)
    send_backups(bench.resources, repository)


def test_log_goes_there_and_of_a_former_life_out_again(
    bench: Workbench, instance: str, repository: Repository
) -> None:
    resources, folders, sending = bench.resources, bench.resources.host.backups, LogSending(bench.resources)
    node = resources.primary_server(instance).node
    bench.engine.backups.archive_log(node)
    sending.send(repository)
    first = folders.generation(instance)
    assert first
    assert there(repository, place.log(instance, first))
    (noted,) = bench.store.rows(b"select * from log_outside where instance_id = %s", [instance])
    assert noted["generation"] == first

    folders.set_archive_aside(instance, "mark")
    node.user.make_folder(node.archive)
    folders.forget_aside(instance)
    bench.store.rows(b"update backup set continuous = false where instance_id = %s", [instance])
    bench.engine.backups.archive_log(node)
    sending.send(repository)
    second = folders.generation(instance)
    assert second
    assert second != first
    assert there(repository, place.log(instance, second))
    assert there(repository, place.log(instance, first)), "it may still be wanted"

    backup_id = run_backup(bench, instance)
    send_backups(resources, repository)
    sending.send(repository)
    assert there(repository, place.log(instance, first)) == set()
    assert there(repository, place.log(instance, second))
    delete(bench, backup_id)


def test_what_is_recorded_is_what_there_is(bench: Workbench, instance: str, repository: Repository) -> None:
    records = RecordSending(bench.resources)
    records.send(repository, None)
    (known,) = [one for one in read_instances(repository) if one.id == instance]
    assert known.instance is not None
    assert known.instance["name"] == "proof-db"
    assert [node["instance_id"] for node in known.nodes] == [instance]
    service = read_service(repository)
    assert service.projects[0]["id"] == bench.project_id
    assert service.accounts[0]["project_id"] == bench.project_id
    assert "authority.pem" in service.files

    bench.store.rows(b"update instance set alias = 'renamed' where id = %s", [instance])
    records.send(repository, frozenset())
    assert [one.instance for one in read_instances(repository)] == [known.instance], "nobody told of it"
    records.send(repository, frozenset({instance}))
    (changed,) = read_instances(repository)
    assert changed.instance is not None
    assert changed.instance["alias"] == "renamed"

    repository.write_large(place.record("0" * 32 + "in03"), b"{}")
    RecordSending(bench.resources).send(repository, None)
    assert [one.id for one in read_instances(repository)] == [instance]


def test_the_service_is_read_where_something_of_it_has_changed(
    bench: Workbench, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, asked = RecordSending(bench.resources), Counter[str]()
    monkeypatch.setattr(RecordSending, "_service", counted(RecordSending._service, asked))
    records.send(repository, None)
    for _ in range(3):
        records.send(repository, frozenset())
    assert asked["_service"] == 1

    bench.store.rows(b"update project set recycle_days = 5")
    records.send(repository, frozenset({SERVICE}))
    assert read_service(repository).projects[0]["recycle_days"] == 5
    bench.store.rows(b"update project set recycle_days = null")
    file = bench.resources.settings.data_dir / "credentials-other.json"
    file.write_text("{}")
    records.send(repository, frozenset())
    assert read_service(repository).files["credentials-other.json"] == "{}"
    file.unlink()
    records.send(repository, frozenset())
    assert "credentials-other.json" not in read_service(repository).files
    assert asked["_service"] == 4


def counted(method: Callable[[Any], Any], asked: Counter[str]) -> Callable[[Any], Any]:
    def call(self: Any) -> Any:
        asked[method.__name__] += 1
        return method(self)

    return call


@pytest.mark.parametrize(
    "table",
    [
        "project",
        "account",
        "vpc",
        "subnet",
        "security_group",
        "security_group_rule",
        "configuration",
        "webhook",
    ],
)
def test_whatever_changes_of_the_service_is_told_of(bench: Workbench, table: str) -> None:
    with psycopg.connect(bench.store.dsn, autocommit=True) as connection:
        connection.execute("listen openrds_changed")
        connection.execute(f"delete from {table} where false".encode())
        (told,) = connection.notifies(timeout=10, stop_after=1)
    assert told.payload == f"{Subject.SERVICE} {SERVICE}"


def test_nothing_of_it_is_there_in_clear(bench: Workbench, instance: str, repository: Repository) -> None:
    RecordSending(bench.resources).send(repository, None)
    (account,) = bench.store.rows(b"select * from account")
    for name, _ in repository.sizes(""):
        stored = repository.objects.get(name)
        assert account["secret_key"].encode() not in stored
        assert b"PRIVATE KEY" not in stored


def test_what_is_wrong_is_noted_until_it_is_well_again(
    bench: Workbench, s3: S3, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now, reached = 0.0, []

    def problem() -> str:
        return "".join(row["problem"] for row in bench.store.rows(b"select problem from repository"))

    with relay(s3.port) as line:
        found = on_s3(bench, s3, folder, line.endpoint)
        access = RepositoryAccess(bench.resources, found, clock=lambda: now)
        work = access.guarded("base backups", lambda repository: reached.append(repository.address))
        assert work() is None
        assert reached == [found.url]
        assert problem() == ""

        line.budget = 0
        now += 3600
        assert work() == RETRY
        assert "cannot be used" in problem()
        assert work() == RETRY
        assert len(reached) == 1

        line.budget = float("inf")
        assert work() is None
        assert problem() == ""
    said = [record.getMessage() for record in caplog.records if "this machine" in record.getMessage()]
    assert len(said) == 1, "once, and not each time"


def test_another_services_repository_is_left_alone(bench: Workbench, s3: S3, folder: Path) -> None:
    found = on_s3(bench, s3, folder, s3.endpoint)
    found.open(may_make_key=True).claim()
    reached: list[str] = []
    access = RepositoryAccess(bench.resources, replace(found))
    work = access.guarded("base backups", lambda repository: reached.append(repository.address))

    assert work() == RETRY
    assert reached == []


def test_a_bucket_that_is_missing_is_said(bench: Workbench, s3: S3, folder: Path) -> None:
    found = on_s3(bench, s3, folder, s3.endpoint, bucket="nowhere")
    access = RepositoryAccess(bench.resources, found)

    assert access.guarded("base backups", lambda _repository: None)() == RETRY
    assert not found.key_file.exists(), "no key for what is not there"
