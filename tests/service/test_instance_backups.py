"""Backups through the API, on real servers, and what goes wrong with them."""

import contextlib
import datetime as dt
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.backups import UNKNOWN_INSTANCE, backups, folder, now, post, refusal, tables_of
from support.service import ServiceUnderTest, fresh, running_service, wait_for

pytestmark = pytest.mark.xdist_group("backups")


@pytest.fixture(scope="module")
def service(backup_service: ServiceUnderTest) -> ServiceUnderTest:
    return backup_service


def test_a_backup_is_made_listed_and_deleted(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    body = {"instance_id": orders["id"], "name": "by-hand", "description": "before the release"}
    made = post(service, "backups", body)["backup"]
    assert made["status"] == "BUILDING"
    assert {name: made[name] for name in (*body, "type")} == {**body, "type": "manual"}
    task = service.get(f"tasklist?instance_id={orders['id']}&limit=1")["tasks"][0]
    assert task["name"] == "BackupPostgresqlInInstance"
    assert service.completed(task["id"])["entities"] == {}

    (listed,) = backups(service, orders["id"], backup_id=made["id"])
    assert listed["status"] == "COMPLETED"
    assert listed["size"] > 1024
    assert listed["datastore"] == {"type": "PostgreSQL", "version": orders["datastore"]["version"]}
    assert listed["begin_time"] <= listed["end_time"]
    assert (folder(service, orders["id"]) / made["id"]).is_dir()
    assert backups(service, orders["id"], backup_id=made["id"], backup_type="auto") == []
    assert backups(service, orders["id"], backup_type="incremental") == []

    assert service.call("DELETE", f"backups/{made['id']}", headers=fresh()).json() == {}
    assert {one["status"] for one in backups(service, orders["id"], backup_id=made["id"])} <= {"DELETING"}
    wait_for(lambda: backups(service, orders["id"], backup_id=made["id"]) == [], 30, "it is gone")
    assert not (folder(service, orders["id"]) / made["id"]).exists()
    assert refusal(service, "DELETE", f"backups/{made['id']}")[:2] == (404, "DBS.201010")


def test_backups_are_filtered_by_time_and_paged(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    (first,) = [one for one in backups(service, orders["id"]) if one["name"] == "first-backup"]
    begin = first["begin_time"]
    # As clients write it: with a plus that is encoded, or not, or with a letter.
    for zone in ("%2B0000", "+0000", "Z"):
        times = {"begin_time": "1990-01-01T00:00:00" + zone, "end_time": "2099-01-01T00:00:00" + zone}
        assert first in backups(service, orders["id"], **times)
    times = {"begin_time": "1990-01-01T00:00:00Z", "end_time": "1990-01-02T00:00:00Z"}
    assert backups(service, orders["id"], **times) == []
    assert service.get(f"backups?instance_id={orders['id']}&offset=1000")["backups"] == []
    for query in (
        f"begin_time={begin}",
        "begin_time=yesterday&end_time=today",
        "begin_time=2099-01-01T00:00:00Z&end_time=2020-01-01T00:00:00Z",
        "begin_time=2020-01-01T00:00:00&end_time=2020-01-01T00:00:00",
        "limit=101",
        "offset=-1",
        "backup_type=partial",
    ):
        path = f"backups?instance_id={orders['id']}&{query}"
        assert refusal(service, "GET", path)[:2] == (400, "DBS.200001"), query
    assert refusal(service, "GET", "backups")[:2] == (400, "DBS.200001")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "abc"}, (400, "DBS.280277")),
        ({"name": "1st-backup"}, (400, "DBS.280277")),
        ({"name": "a b c d"}, (400, "DBS.280277")),
        ({"name": "a" * 65}, (400, "DBS.280277")),
        ({"name": "first-backup"}, (400, "DBS.280277")),
        ({"description": "a < b"}, (400, "DBS.280127")),
        ({"description": "a" * 257}, (400, "DBS.280127")),
        ({"databases": [{"name": "postgres"}]}, (400, "DBS.200001")),
        ({"instance_id": UNKNOWN_INSTANCE}, (404, "DBS.200002")),
        ({"instance_id": "orders"}, (400, "DBS.280404")),
        ({"name": None}, (400, "DBS.200001")),
    ],
)
def test_what_is_wrong_with_a_backup_is_said(
    service: ServiceUnderTest, orders: dict[str, Any], changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = service.get("tasklist")["total_count"]
    body = {"instance_id": orders["id"], "name": "wrong-backup", **changes}
    assert refusal(service, "POST", "backups", body)[:2] == expected
    assert service.get("tasklist")["total_count"] == before
    assert service.instance(orders["id"])["status"] == "ACTIVE"


def test_one_backup_at_a_time_which_may_be_stopped(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    worker = service.child("worker")
    worker.suspend()
    try:
        made = post(service, "backups", {"instance_id": orders["id"], "name": "slow-backup"})["backup"]
        assert service.instance(orders["id"])["status"] == "BACKING UP"
        second = {"instance_id": orders["id"], "name": "second-backup"}
        assert refusal(service, "POST", "backups", second)[:2] == (409, "DBS.201205")
        assert refusal(service, "DELETE", f"backups/{made['id']}")[:2] == (409, "DBS.201205")
        stopped = post(service, f"instances/{orders['id']}/backups/stop", None)["job_id"]
        action: dict[str, Any] = {"restart": {}}
        assert refusal(service, "POST", f"instances/{orders['id']}/action", action)[:2] == (409, "DBS.200019")
    finally:
        worker.resume()
    job = service.ended(stopped)
    assert (job["name"], job["status"]) == ("BackupPostgresqlInInstance", "Failed")
    assert "it was stopped" in job["fail_reason"]
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    (listed,) = backups(service, orders["id"], backup_id=made["id"])
    assert listed["status"] == "FAILED"
    path = f"instances/{orders['id']}/backups/stop"
    assert refusal(service, "POST", path)[:2] == (400, "DBS.200086")
    post(service, "backups/batch-delete", {"backup_ids": [made["id"]]})
    wait_for(lambda: backups(service, orders["id"], backup_id=made["id"]) == [], 30, "it is gone")


def test_backups_of_another_project_are_closed(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    (first,) = [one for one in backups(service, orders["id"]) if one["name"] == "first-backup"]
    other = replace(service, project="other")
    assert backups(other, orders["id"]) == []
    assert refusal(other, "DELETE", f"backups/{first['id']}")[:2] == (404, "DBS.201010")
    batch = {"backup_ids": [first["id"]]}
    assert refusal(other, "POST", "backups/batch-delete", batch)[:2] == (404, "DBS.201010")
    assert refusal(other, "GET", f"instances/{orders['id']}/restore-time")[:2] == (404, "DBS.200002")
    point = {"instance_id": orders["id"], "backup_id": first["id"]}
    body = {**other.create_body(name="stolen"), "restore_point": point}
    assert refusal(other, "POST", "instances", body)[:2] == (404, "DBS.200013")


@contextlib.contextmanager
def full_disk(home: Path, aside: Path) -> Iterator[Path]:
    """A small disk in the place of an instance's backups; but its log is archived where it was, or it would be lost."""
    archive = home / "wal"
    subprocess.run(["mount", "--bind", archive, aside], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=711", "tmpfs", home], check=True)
    try:
        archive.mkdir()
        subprocess.run(["mount", "--bind", aside, archive], check=True)
        yield home
    finally:
        for point in (archive, home, aside):
            subprocess.run(["umount", point], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_leaves_nothing(
    service: ServiceUnderTest, orders: dict[str, Any], tmp_path: Path
) -> None:
    with full_disk(folder(service, orders["id"]), tmp_path) as home:
        made = post(service, "backups", {"instance_id": orders["id"], "name": "no-room"})["backup"]
        task = service.get(f"tasklist?instance_id={orders['id']}&limit=1")["tasks"][0]
        job = service.ended(task["id"])
        left = {path.name for path in home.iterdir()}
    assert job["status"] == "Failed"
    assert "No space left on device" in job["fail_reason"]
    assert left <= {"wal"}
    (listed,) = backups(service, orders["id"], backup_id=made["id"])
    assert listed["status"] == "FAILED"
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    assert service.call("DELETE", f"backups/{made['id']}", headers=fresh()).status_code == 200


def test_a_backup_that_fails_leaves_nothing(service: ServiceUnderTest, orders: dict[str, Any]) -> None:
    home = folder(service, orders["id"])
    before = {path.name for path in home.iterdir()}
    data = service.data_dir / "nodes" / orders["nodes"][0]["id"] / "data"
    # A file that the server cannot read: the copy breaks off in the middle.
    obstacle = data / "base" / "obstacle"
    obstacle.mkdir(mode=0)
    try:
        made = post(service, "backups", {"instance_id": orders["id"], "name": "broken-backup"})["backup"]
        task = service.get(f"tasklist?instance_id={orders['id']}&limit=1")["tasks"][0]
        job = service.ended(task["id"])
    finally:
        obstacle.rmdir()
    assert job["status"] == "Failed"
    assert "pg_basebackup failed" in job["fail_reason"]
    (listed,) = backups(service, orders["id"], backup_id=made["id"])
    assert listed["status"] == "FAILED"
    assert {path.name for path in home.iterdir()} == before
    assert service.instance(orders["id"])["status"] == "ACTIVE"
    assert service.call("DELETE", f"backups/{made['id']}", headers=fresh()).status_code == 200


# What can be restored


def test_an_instance_without_a_backup_has_no_restore_time(service: ServiceUnderTest) -> None:
    created = service.create(name="without-backup")
    assert service.get(f"instances/{created['id']}/restore-time") == {"restore_time": []}
    body = {"instances": [tables_of(created["id"], now(), ("a", "b"))]}
    status, code, message = refusal(service, "POST", "instances/batch/restore/tables", body)
    assert (status, code) == (400, "DBS.200001")
    assert "no finished backup" in message
    service.delete(created["id"])


def test_the_restore_time_begins_with_a_backup_and_ends_now(
    service: ServiceUnderTest, orders: dict[str, Any]
) -> None:
    earliest = now() - 3600_000
    (range_,) = service.get(f"instances/{orders['id']}/restore-time")["restore_time"]
    assert earliest < range_["start_time"] < range_["end_time"] <= now() + 1000
    first = dt.datetime.fromtimestamp(range_["start_time"] / 1000, dt.UTC).date()
    for days, count in ((0, 1), (-1, 0), (3, 0)):
        path = f"instances/{orders['id']}/restore-time?date={first + dt.timedelta(days=days)}"
        assert len(service.get(path)["restore_time"]) == count, path
    path = f"instances/{orders['id']}/restore-time?date=today"
    assert refusal(service, "GET", path)[:2] == (400, "DBS.200001")


# Automatic backups


def test_the_first_automatic_backup_comes_by_itself_and_goes_with_its_instance() -> None:
    with running_service(first_backup_after="0", spare_data_dirs="0") as service:
        created = service.create(name="by-itself")
        automatic = wait_for(
            lambda: [one for one in backups(service, created["id"]) if one["status"] == "COMPLETED"],
            60,
            "an automatic backup",
        )
        assert [one["type"] for one in automatic] == ["auto"]
        assert service.get(f"instances/{created['id']}/restore-time")["restore_time"]
        status, code, message = refusal(service, "DELETE", f"backups/{automatic[0]['id']}")
        assert (status, code) == (400, "DBS.200001")
        assert "keep_days" in message
        wait_for(lambda: service.instance(created["id"])["status"] == "ACTIVE", 10)
        service.delete(created["id"])
        assert backups(service, created["id"]) == []
        assert not folder(service, created["id"]).exists()
