"""All that is in the backup repository gets to a second place, which nobody empties by emptying the first."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from openrds.operations.backups import remove_backup
from openrds.operations.rounds.backup_schedule import remove_deleted
from openrds.operations.rounds.copy_access import CopyAccess, now
from openrds.operations.rounds.copy_backups import BackupCopying
from openrds.operations.rounds.copy_logs import LogCopying
from openrds.operations.rounds.copy_records import CopiedRecords
from openrds.operations.rounds.repository_access import RETRY, RepositoryAccess
from openrds.operations.rounds.repository_backups import send_backups
from openrds.operations.rounds.repository_logs import LogSending
from openrds.operations.rounds.repository_records import RecordSending
from openrds.repository import copies, place
from openrds.repository.copying import Pace
from openrds.repository.place import Place
from openrds.repository.records import InstanceRecord, read_instance
from openrds.repository.repository import Repository, open_repository
from openrds.store.queries import Queries
from support.prepared import Prepared
from support.repositories import running_workbench_with_repository
from support.s3 import S3, relay
from support.scenarios import active_instance, run_backup
from support.workbench import Workbench

_copies = Queries("copies")


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with running_workbench_with_repository() as bench:
        yield bench
        Prepared(bench).clean_up()


@pytest.fixture(scope="module")
def instance(bench: Workbench) -> str:
    return active_instance(bench)


@pytest.fixture(scope="module")
def first(bench: Workbench) -> RepositoryAccess:
    assert bench.resources.host.repository is not None
    access = RepositoryAccess(bench.resources, bench.resources.host.repository)
    access.open()
    return access


@pytest.fixture
def backup_id(bench: Workbench, instance: str, first: RepositoryAccess) -> Iterator[str]:
    """A backup in the first repository, with log and records."""
    made = run_backup(bench, instance)
    send(bench, instance, first)
    yield made
    if bench.store.rows(b"select from backup where id = %s", [made]):
        delete(bench, made)
    send_backups(bench.resources, first.open())


def send(bench: Workbench, instance: str, first: RepositoryAccess) -> None:
    bench.engine.backups.archive_log(bench.resources.primary_server(instance).node)
    send_backups(bench.resources, first.open())
    LogSending(bench.resources).send(first.open())
    RecordSending(bench.resources).send(first.open(), None)


def delete(bench: Workbench, backup_id: str) -> None:
    bench.submit(lambda intake: remove_backup.delete(intake, backup_id))
    assert remove_deleted(bench.resources)


@dataclass
class Copier:
    """What the rounds of a process do."""

    bench: Workbench
    first: RepositoryAccess
    place: Place

    def __post_init__(self) -> None:
        access, pace = CopyAccess(self.bench.resources, self.first, self.place), Pace(0)
        backups, log = BackupCopying(self.bench.resources, pace), LogCopying(self.bench.resources, pace)
        records = RecordSending(self.bench.resources, CopiedRecords(self.bench.resources).shape)

        def record(_source: Repository, target: Repository) -> Any:
            records.send(target, None)
            return now()

        self.rounds = [
            access.guarded("backups", backups.copy, every=0.0),
            access.guarded("log", log.copy, every=0.0),
            access.guarded("records", record, every=0.0),
        ]

    def run(self) -> str:
        """Each round once; what is wrong, if anything."""
        pauses = [one_round() for one_round in self.rounds]
        problem = "".join(row["problem"] for row in self.bench.store.rows(_copies.known))
        assert bool(problem) == (RETRY in pauses) or not self.bench.store.rows(_copies.known)
        return problem or ("?" if RETRY in pauses else "")

    @property
    def target(self) -> Repository:
        return self.place.open()

    def record(self, instance: str) -> InstanceRecord:
        return read_instance(self.target, instance)


def in_folder(bench: Workbench, folder: Path, name: str = "copies") -> Place:
    key = bench.resources.settings.repository_key_file
    return Place(f"file://{folder / name}", None, key)


def made_in(folder: Path) -> Path:
    path = folder / "copies"
    path.mkdir(mode=0o700)
    return path


def on_s3(bench: Workbench, s3: S3, folder: Path, endpoint: str = "", **options: str) -> Place:
    file = folder / "options.toml"
    file.write_text(s3.options(endpoint, **options))
    file.chmod(0o600)
    return Place(f"s3://first/{folder.name}", file, bench.resources.settings.repository_key_file)


def contents(repository: Repository, prefix: str = place.INSTANCES) -> dict[str, bytes]:
    return {name: repository.objects.get(name) for name, _ in repository.sizes(prefix)}


def ages(bench: Workbench) -> dict[str, float]:
    return {row["kind"]: row["seconds"] for row in bench.store.rows(_copies.ages)}


def is_copied(bench: Workbench, backup_id: str) -> bool:
    (row,) = bench.store.rows(b"select copied from backup where id = %s", [backup_id])
    return bool(row["copied"])


def let_pass(bench: Workbench, seconds: float) -> None:
    bench.store.rows(b"update copy_removal set noted_at = noted_at - make_interval(secs => %s)", [seconds])


def test_all_of_it_gets_there_sealed_as_it_is(
    bench: Workbench, instance: str, first: RepositoryAccess, backup_id: str, folder: Path
) -> None:
    copier = Copier(bench, first, in_folder(bench, folder))
    assert copier.run(), "the place is not there"
    assert bench.store.rows(_copies.known) == []

    made_in(folder)
    assert copier.run() == ""
    source, target = first.open(), copier.target
    assert contents(target) == contents(source)
    assert is_copied(bench, backup_id)
    assert copier.record(instance).backups == read_instance(source, instance).backups != []
    assert copier.record(instance).generation == read_instance(source, instance).generation is not None
    assert max(ages(bench).values()) < 60
    written = {path: path.stat().st_mtime_ns for path in (folder / "copies").rglob("*") if path.is_file()}
    assert copier.run() == ""
    assert {path: path.stat().st_mtime_ns for path in written} == written, "nothing is copied twice"

    mark = target.mark()
    assert mark is not None
    assert mark.copy
    another = open_repository(in_folder(bench, folder).url, None, copier.place.key_file, may_make_key=False)
    another.claim()
    assert "another service's" in Copier(bench, first, in_folder(bench, folder)).run()
    assert bench.resources.host.repository is not None
    assert "itself" in Copier(bench, first, replace(bench.resources.host.repository)).run()


def test_a_line_that_is_cut_costs_nothing_twice_and_holds_nothing_up(
    bench: Workbench, instance: str, first: RepositoryAccess, backup_id: str, s3: S3, folder: Path
) -> None:
    with relay(s3.port) as line:
        copier = Copier(bench, first, on_s3(bench, s3, folder, line.endpoint))
        copier.target.service()
        line.budget = line.sent + 2_000_000
        assert "cannot be used" in copier.run()
        send(bench, instance, first)  # as if nothing was
        line.budget = 0
        assert "cannot be used" in copier.run()

    copier = Copier(bench, first, on_s3(bench, s3, folder))
    before = {one.name: one.modified for one in copier.target.objects.listed(place.INSTANCES)}
    assert before, "something had got there"
    assert copies.manifest_name(place.backup(instance, backup_id)) not in before
    assert not is_copied(bench, backup_id)
    assert copier.run() == ""
    after = {one.name: one.modified for one in copier.target.objects.listed(place.INSTANCES)}
    assert {name: after[name] for name in before} == before, "it was not sent again"
    assert contents(copier.target) == contents(first.open())

    refused = Copier(bench, first, on_s3(bench, s3, folder, aws_secret_access_key="another-secret"))
    assert "the secret key is wrong" in refused.run()
    missing = replace(on_s3(bench, s3, folder), url="s3://nowhere/copies")
    assert "the bucket does not exist" in Copier(bench, first, missing).run()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_place_that_is_full_is_said_and_gone_on_with(
    bench: Workbench, instance: str, first: RepositoryAccess, backup_id: str, folder: Path
) -> None:
    path = made_in(folder)
    mount = ("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", str(path))
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        copier = Copier(bench, first, in_folder(bench, folder))
        assert "No space left" in copier.run()
        assert not is_copied(bench, backup_id)
        grow = ("mount", "-o", "remount,size=200m", str(path))
        subprocess.run(grow, check=True)
        assert copier.run() == ""
        assert contents(copier.target) == contents(first.open())
    finally:
        subprocess.run(("umount", str(path)), check=True)


def test_a_first_repository_that_was_emptied_or_spoilt_spoils_no_copy(
    bench: Workbench, instance: str, first: RepositoryAccess, backup_id: str, folder: Path
) -> None:
    made_in(folder)
    copier = Copier(bench, first, in_folder(bench, folder))
    assert copier.run() == ""
    source, good = first.open(), contents(copier.target)
    known, record = contents(source), contents(source, place.INSTANCE_RECORDS)
    name = next(name for name in known if "/part/" in name)

    # Damaged, or another object in its place; and a copy that lacks it.
    copier.target.remove([name])
    for spoilt in (
        known[name][:-1],
        b"garbage",
        known[copies.manifest_name(place.backup(instance, backup_id))],
    ):
        source.objects.put(name, spoilt)
        copier = Copier(bench, first, in_folder(bench, folder))
        assert "damaged" in copier.run() or "no object of openrds" in copier.run()
        assert contents(copier.target) == {other: good[other] for other in good if other != name}
    source.objects.put(name, known[name])
    assert Copier(bench, first, in_folder(bench, folder)).run() == ""

    # An older record, given back.
    bench.store.rows(b"update instance set alias = 'newer' where id = %s", [instance])
    RecordSending(bench.resources).send(source, None)
    for each, content in record.items():
        source.objects.put(each, content)
    copier = Copier(bench, first, in_folder(bench, folder))
    assert copier.run() == ""
    row = copier.record(instance).instance
    assert row is not None
    assert row["alias"] == "newer"

    # Emptied, but for whose it is; and as a whole, which claims it anew.
    mark = source.objects.get("repository")
    source.remove_below("")
    source.objects.put("repository", mark)
    for _ in range(2):
        copier = Copier(bench, first, in_folder(bench, folder))
        let_pass(bench, 10**7)
        copier.run()
        assert contents(copier.target) == good
    source.remove_below("")
    access = RepositoryAccess(bench.resources, first._place)
    access.open()
    copier = Copier(bench, access, in_folder(bench, folder))
    copier.run()
    let_pass(bench, 10**7)
    copier.run()
    assert contents(copier.target) == good
    assert [row["id"] for row in copier.record(instance).backups] == [backup_id]
    send(bench, instance, access)
    assert Copier(bench, access, in_folder(bench, folder)).run() == ""


def test_what_is_deleted_stays_for_a_while_and_its_log_too(
    bench: Workbench, instance: str, backup_id: str, folder: Path
) -> None:
    assert bench.resources.host.repository is not None
    first = RepositoryAccess(bench.resources, bench.resources.host.repository)
    made_in(folder)
    copier = Copier(bench, first, in_folder(bench, folder))
    assert copier.run() == ""
    newer = run_backup(bench, instance)
    send(bench, instance, first)
    delete(bench, backup_id)
    send_backups(bench.resources, first.open())
    prefix = place.backup(instance, backup_id)
    assert contents(first.open(), prefix) == {}
    logs = contents(first.open(), place.logs(instance))
    gone = sorted(logs)[0]
    first.open().remove([gone])

    assert copier.run() == ""
    assert contents(copier.target, prefix)
    assert gone in contents(copier.target, place.logs(instance)), "a backup that is there still needs it"
    record = copier.record(instance)
    assert [row["id"] for row in record.backups] == [newer]
    assert [row["id"] for row in record.deleted] == [backup_id]

    let_pass(bench, bench.resources.settings.backup_copies_delay - 60)
    copier.run()
    assert contents(copier.target, prefix)
    let_pass(bench, 120)
    copier.run()
    assert contents(copier.target, prefix) == {}
    assert copier.record(instance).deleted == []

    # Log that no backup needs any more goes when it is gone there.
    assert gone in contents(copier.target, place.logs(instance))
    host = bench.resources.host
    at_once = replace(host, settings=replace(host.settings, backup_copies_delay=0.0))
    log = LogCopying(replace(bench.resources, host=at_once), Pace(0))
    log.copy(first.open(), copier.target)
    assert contents(copier.target, place.logs(instance)) == contents(first.open(), place.logs(instance))
    first.open().objects.put(gone, logs[gone])

    # What somebody takes away from the copy is found when a process looks at all of it, and copied again.
    copier.target.remove([copies.manifest_name(place.backup(instance, newer)), place.record(instance)])
    copier = Copier(bench, first, in_folder(bench, folder))
    assert copier.run() == ""
    assert contents(copier.target, place.backups(instance)) == contents(first.open(), place.backups(instance))
    delete(bench, newer)
    send_backups(bench.resources, first.open())


def test_one_that_is_deleted_while_it_is_copied_is_no_failure(
    bench: Workbench,
    instance: str,
    first: RepositoryAccess,
    backup_id: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_in(folder)
    copier, write = Copier(bench, first, in_folder(bench, folder)), Repository.write_sealed
    written: list[str] = []

    def delete_meanwhile(self: Repository, name: str, sealed: bytes) -> int:
        if "/part/" in name and not written:
            written.append(name)
            delete(bench, backup_id)
            send_backups(bench.resources, first.open())
        return write(self, name, sealed)

    monkeypatch.setattr(Repository, "write_sealed", delete_meanwhile)
    assert copier.run() == ""
    assert written
    let_pass(bench, 10**7)
    assert copier.run() == ""
    assert contents(copier.target, place.backup(instance, backup_id)) == {}


def test_a_pace_is_kept_by_all_together() -> None:
    slept: list[float] = []
    pace = Pace(1000.0, clock=lambda: 50.0, sleep=slept.append)
    for _ in range(3):
        pace.keep(500)
    assert slept == [0.5, 1.0]
