"""Backups that outlive the machine: they get into the repository, and from there a service comes back."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace as replace_in

from openrds.domain.engine import EngineName
from openrds.hosts.addresses import is_answering
from openrds.hosts.backups import GENERATION
from openrds.hosts.forwarders import stop_filtering, stop_forwarding
from openrds.hosts.user import ServerUser
from openrds.repository import place
from openrds.repository.logs import files_in
from openrds.repository.records import read_instances
from openrds.repository.repository import Repository, open_repository
from support.backups import UNKNOWN_BACKUP, back_up, backups, folder, post, refusal, restored_to_new, rows
from support.command import completed
from support.dialects import DIALECTS, POSTGRESQL, Dialect
from support.engines import found
from support.folders import short_folder
from support.means import WHY_NO_FORWARDING
from support.repositories import await_outside, opened, s3_settings
from support.s3 import S3
from support.service import (
    ALL_ENGINES,
    ServiceUnderTest,
    dialect_of,
    fresh,
    private_cidr,
    public_cidr,
    running_service,
    session,
    wait_for,
)

TOKEN = "a-token-of-who-runs-it"


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """What somebody has who has nothing of the machine: the key, and the keys to the storage."""
    path = short_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def lost(s3: S3, kept: Path) -> Iterator[ServiceUnderTest]:
    (kept / "copies").mkdir(mode=0o700)
    copies = {"backup_copies": f"file://{kept / 'copies'}"}
    options = {**s3_settings(s3, kept), **copies, **ALL_ENGINES, "projects": "local-1,other"}
    with running_service(metrics_token=TOKEN, **options) as service:
        yield service


def dialects() -> list[Dialect]:
    return [one for one in (POSTGRESQL, DIALECTS[EngineName.MARIADB]) if found(one.engine)]


def await_log_outside(service: ServiceUnderTest, instance: dict[str, Any], since: float) -> None:
    """Until all that was committed is archived, and in the repository, whose record of the instance says so."""
    if dialect_of(instance) is POSTGRESQL:
        with service.superuser(instance["nodes"][0]["id"], instance["port"]) as connection:
            connection.execute("select pg_switch_wal()")
    archive = folder(service, instance["id"]) / "wal"
    owner = ServerUser.owning(archive)
    wait_for(lambda: files_in(archive, owner)[-1].written > since * 1e9, 60, "its log is archived")
    generation = (archive / GENERATION).read_text()
    prefix = place.log(instance["id"], generation)
    wanted = {name for file in files_in(archive, owner) for name in file.names(prefix)}
    repository = opened(service)
    wait_for(lambda: wanted <= {name for name, _ in repository.sizes(prefix)}, 60, "its log is there")

    def is_recorded() -> bool:
        records = [record for record in read_instances(repository) if record.id == instance["id"]]
        return [(record.generation, len(record.backups)) for record in records] == [(generation, 1)]

    wait_for(is_recorded, 60, "it is recorded there")


def copy_of(service: ServiceUnderTest) -> Repository:
    """The second place."""
    key_file = Path(service.options["backup_key_file"])
    return open_repository(service.options["backup_copies"], None, key_file, may_make_key=False)


def await_copied(service: ServiceUnderTest) -> None:
    def is_copied() -> bool:
        first, copy = opened(service), copy_of(service)
        if not dict(first.sizes(place.INSTANCES)).items() <= dict(copy.sizes(place.INSTANCES)).items():
            return False
        return read_instances(first) == [replace_in(one, deleted=[]) for one in read_instances(copy)]

    wait_for(is_copied, 90, "all of it is copied")


@dataclass
class Before:
    """What a service had when its machine was lost."""

    instances: dict[Dialect, dict[str, Any]]
    replicas: dict[Dialect, dict[str, Any]]
    credentials: dict[str, str]
    recycled: dict[str, Any]
    frozen: dict[str, Any]
    public_ip: str


@pytest.fixture(scope="module")
def before(lost: ServiceUnderTest, kept: Path) -> Before:
    """Its processes die at once; what is in its data directory is not used any more."""
    instances, made_backups = {}, []
    group = lost.call(
        "POST", f"/v3/{lost.project_id}/vpc/security-groups", {"security_group": {"name": "kept"}}
    ).json()["security_group"]["id"]
    hook = {"url": "https://hooks.example.com/", "description": "kept", "enabled": False}
    assert lost.call("POST", "webhooks", hook).status_code == 200
    for dialect in dialects():
        made = lost.create(dialect, name=f"db-{dialect.engine.value.lower()}", security_group_id=group)
        with session(made) as client:
            client.execute(dialect.rows("before_backup", 1000))
        made_backups.append(back_up(lost, made["id"], f"first-{dialect.engine.value.lower()}"))
        with session(made) as client:
            client.execute(dialect.rows("after_backup", 300))
        instances[dialect] = made
    replicas = {dialect: replicate(lost, made) for dialect, made in instances.items()}
    recycled, public_ip = recycle(lost), bind(lost, instances[POSTGRESQL])
    bind(lost, replicas[POSTGRESQL], 1)
    replicas[POSTGRESQL] = lost.instance(replicas[POSTGRESQL]["id"])
    frozen = lost.create(name="in-arrears")
    with session(frozen) as client:
        client.execute(POSTGRESQL.rows("unpaid", 11))
    made_backups.append(back_up(lost, frozen["id"], "first-of-frozen"))
    operator(lost, "freeze", frozen["id"])
    for backup_id in (*(one["id"] for one in made_backups), recycled["recycle_backup_id"]):
        await_outside(lost, backup_id)
    # A worker that begins has the servers finish their log, but for those that archive by themselves.
    since = time.time()
    lost.stop()
    lost.start()
    for made in instances.values():
        await_log_outside(lost, made, since)
    await_copied(lost)
    credentials = lost.credentials
    lost.kill_everything()
    # A machine that is lost keeps nobody out of what another has, and passes nothing on to it.
    stop_filtering(lost.data_dir)
    stop_forwarding(lost.data_dir)
    shutil.copytree(kept / "copies", kept / "vault")
    return Before(instances, replicas, credentials, recycled, frozen, public_ip)


def replicate(service: ServiceUnderTest, primary: dict[str, Any]) -> dict[str, Any]:
    body = {
        "name": f"replica-of-{primary['name']}",
        "replica_of_id": primary["id"],
        "flavor_ref": f"{primary['flavor_ref']}.rr",
        "volume": {"type": "CLOUDSSD"},
        "region": "local-1",
        "availability_zone": "local-1a",
    }
    created = service.call("POST", "instances", body, headers=fresh()).json()
    service.completed(created["job_id"])
    return service.instance(created["instance"]["id"])


def bind(service: ServiceUnderTest, instance: dict[str, Any], number: int = 0) -> str:
    """The public address that it has now; none where there are no means for it."""
    if WHY_NO_FORWARDING:
        return ""
    found = service.get(f"/v1/{service.project_id}/publicips")["publicips"][number]
    body = {"public_ip": found["public_ip_address"], "public_ip_id": found["id"], "is_bind": True}
    answer = service.call("PUT", f"instances/{instance['id']}/public-ip", body, headers=fresh())
    service.completed(answer.json()["job_id"])
    return str(body["public_ip"])


def operator(service: ServiceUnderTest, *arguments: str) -> None:
    done = completed(("instance", *arguments, "--data-dir", str(service.data_dir)), service.environment(), 60)
    assert done.returncode == 0, done.stderr


def recycle(service: ServiceUnderTest) -> dict[str, Any]:
    """One that was deleted, and is in the recycle bin."""
    made = service.create(name="recycled")
    with session(made) as client:
        client.execute(POSTGRESQL.rows("kept", 7))
    set_policy(service, "3")
    service.delete(made["id"])
    (listed,) = service.get("recycle-instances")["instances"]
    return dict(listed)


def set_policy(service: ServiceUnderTest, days: str) -> None:
    body = {"recycle_policy": {"retention_period_in_days": days}}
    assert service.call("PUT", "instances/recycle-policy", body, headers=fresh()).status_code == 200


@pytest.fixture(scope="module")
def again(lost: ServiceUnderTest, before: Before) -> Iterator[ServiceUnderTest]:
    """The service on another machine: all that it has of the old one are the repository and the key."""
    options = {name: value for name, value in lost.options.items() if name != "listen"}
    with running_service(start=False, **options) as service:
        arguments = ("restore-service", "--data-dir", str(service.data_dir))
        listed = completed((*arguments, "--list"), service.environment(), 60)
        assert listed.returncode == 0, listed.stderr
        assert all(one["id"] in listed.stdout for one in before.instances.values()), listed.stdout
        assert not service.data_dir.exists(), "to list writes nothing"

        done = completed(arguments, service.environment(), 120)
        assert done.returncode == 0, done.stderr
        wanted = len(before.instances) + len(before.replicas) + 1
        assert f"{wanted} instances will be restored" in done.stdout
        once_more = completed(arguments, service.environment(), 120)
        assert once_more.returncode == 0, once_more.stderr
        assert "0 instances will be restored" in once_more.stdout, "they are on their way"
        service.start()
        yield service


def test_what_instances_refer_to_comes_back(again: ServiceUnderTest, before: Before) -> None:
    for made in before.instances.values():
        assert again.instance(made["id"])["security_group_id"] == made["security_group_id"]
        found = again.get(f"/v3/{again.project_id}/vpc/security-groups/{made['security_group_id']}")
        assert found["security_group"]["name"] == "kept"
    assert [one["description"] for one in again.get("webhooks")["webhooks"]] == ["kept"]


def test_all_instances_come_back_as_they_were(again: ServiceUnderTest, before: Before) -> None:
    assert again.credentials | {"endpoint": ""} == before.credentials | {"endpoint": ""}
    for dialect, made in before.instances.items():
        task = again.get(f"tasklist?instance_id={made['id']}&limit=1")["tasks"][0]
        again.completed(task["id"], 120)
        restored = again.instance(made["id"])
        same = ("id", "name", "port", "datastore", "flavor_ref", "volume", "private_ips", "tags")
        assert {name: restored[name] for name in same} == {name: made[name] for name in same}
        assert restored["status"] == "ACTIVE"
        assert rows(restored, "before_backup") == 1000
        assert rows(restored, "after_backup") == 300, "what was committed behind the backup is there"
        (listed,) = backups(again, made["id"], backup_type="manual")
        assert listed["status"] == "COMPLETED"
        with session(restored) as client:
            client.execute(dialect.rows("written_since", 5))


def rows_so_far(replica: dict[str, Any], table: str) -> int:
    """None where it has not come to the table yet."""
    try:
        return rows(replica, table)
    except dialect_of(replica).Error:
        return 0


def test_read_replicas_are_made_anew(again: ServiceUnderTest, before: Before) -> None:
    for dialect, made in before.replicas.items():
        wait_for(lambda id_=made["id"]: again.instance(id_)["status"] == "ACTIVE", 120, "it is made")
        if made["public_ips"]:
            there = made["public_ips"][0], made["port"]
            wait_for(lambda at=there: is_answering(*at), 60, "its public address is bound")
        replica, primary = again.instance(made["id"]), again.instance(before.instances[dialect]["id"])
        same = ("id", "name", "type", "flavor_ref", "port", "vpc_id", "private_ips", "public_ips")
        assert {name: replica[name] for name in same} == {name: made[name] for name in same}
        assert [node["id"] for node in replica["nodes"]] == [node["id"] for node in made["nodes"]]
        assert replica["related_instance"] == [{"id": primary["id"], "type": "replica_of"}]
        assert rows(replica, "after_backup") == 300
        with session(primary) as client:
            client.execute(dialect.rows("of_replica", 3))
        wait_for(lambda one=replica: rows_so_far(one, "of_replica") == 3, 60, "it follows")


def test_the_copy_is_gone_on_with(again: ServiceUnderTest, before: Before) -> None:
    wait_for(lambda: copy_of(again).service() == opened(again).service(), 60, "it is that of this service")


def test_a_service_comes_back_from_the_copy_alone(lost: ServiceUnderTest, before: Before, kept: Path) -> None:
    """As it was when the machine was lost, beside the one that came back from the repository."""
    options = {
        name: value
        for name, value in lost.options.items()
        if name not in ("listen", "backup_copies", "backup_repository_options")
    } | {
        "backup_repository": f"file://{kept / 'vault'}",
        "private_cidr": private_cidr(),
        "public_cidr": public_cidr(),
    }
    with running_service(start=False, **options) as service:
        arguments = ("restore-service", "--data-dir", str(service.data_dir))
        done = completed(arguments, service.environment(), 120)
        assert done.returncode == 0, done.stderr
        service.start()
        for made in (*before.instances.values(), *before.replicas.values()):
            wait_for(lambda id_=made["id"]: service.instance(id_)["status"] == "ACTIVE", 120, made["name"])
            restored = service.instance(made["id"])
            assert rows(restored, "before_backup") == 1000
            assert rows(restored, "after_backup") == 300


def test_a_backup_that_is_in_the_repository_alone_is_restored(
    again: ServiceUnderTest, before: Before
) -> None:
    instance = before.instances[POSTGRESQL]
    (backup,) = backups(again, instance["id"], backup_type="manual")
    shutil.rmtree(folder(again, instance["id"]) / backup["id"])

    point = {"instance_id": instance["id"], "type": "backup", "backup_id": backup["id"]}
    copy = restored_to_new(again, "copy", point)

    assert rows(copy, "before_backup") == 1000


def test_what_is_in_a_backup_is_listed_from_the_repository(again: ServiceUnderTest, before: Before) -> None:
    instance = before.instances[POSTGRESQL]
    with session(instance) as client:
        client.execute("CREATE TABLE listed AS SELECT 1 AS x")
    backup = back_up(again, instance["id"], "listed")
    with session(instance) as client:
        client.execute("DROP TABLE listed")
    await_outside(again, backup["id"])
    (folder(again, instance["id"]) / backup["id"] / "inventory").unlink()

    moment = again.get(f"instances/{instance['id']}/restore-time")["restore_time"][-1]["end_time"]
    wanted = {"instance_ids": [instance["id"]], "restore_time": moment, "table_name_like": "listed"}
    (listed,) = post(again, "postgresql/instances/history/tables", wanted)["instances"]

    assert listed["seen_before"] == backup["end_time"]
    (table,) = listed["databases"][0]["schemas"][0]["tables"]
    assert table == {"name": "listed", "only": "before"}
    assert again.call("DELETE", f"backups/{backup['id']}", headers=fresh()).status_code == 200
    wait_for(lambda: backup["id"] not in [one["id"] for one in backups(again, instance["id"])])


def test_a_public_address_is_bound_again(again: ServiceUnderTest, before: Before) -> None:
    if not before.public_ip:
        pytest.skip(WHY_NO_FORWARDING)
    made = before.instances[POSTGRESQL]
    instance = again.instance(made["id"])
    assert instance["public_ips"] == [before.public_ip]
    assert is_answering(before.public_ip, instance["port"])


def test_what_was_frozen_is_frozen_until_the_operator_lets_it_serve(
    again: ServiceUnderTest, before: Before
) -> None:
    id_ = before.frozen["id"]
    task = again.get(f"tasklist?instance_id={id_}&limit=1")["tasks"][0]
    again.completed(task["id"], 120)
    frozen = again.instance(id_)
    assert frozen["status"] == "FROZEN"
    assert not is_answering(frozen["private_ips"][0], frozen["port"])
    operator(again, "unfreeze", id_)
    wait_for(lambda: again.instance(id_)["status"] == "ACTIVE", 60, "it serves again")
    assert rows(again.instance(id_), "unpaid") == 11


def test_what_was_in_the_recycle_bin_is_in_it(again: ServiceUnderTest, before: Before) -> None:
    assert again.get("recycle-instances")["instances"] == [before.recycled]
    assert again.get("instances/recycle-policy") == {"retention_period_in_days": 3}
    set_policy(again, "0")
    point = {"instance_id": before.recycled["id"], "backup_id": before.recycled["recycle_backup_id"]}
    assert rows(restored_to_new(again, "had-back", point), "kept") == 7


def test_the_files_of_a_backup_have_links(again: ServiceUnderTest, before: Before) -> None:
    instance_id = before.instances[POSTGRESQL]["id"]
    (backup,) = backups(again, instance_id, backup_type="manual")

    path = f"backup-files?backup_id={backup['id']}"
    wait_for(lambda: again.get(path)["files"], 30, "they are looked up")
    answer = again.get(path)

    there = dict(opened(again).sizes(place.backup(instance_id, backup["id"])))
    assert answer["bucket"] == "first"
    assert answer["total_count"] == len(answer["files"]) == len(there) > 1
    for file in answer["files"]:
        stored = opened(again).objects.get(f"{place.backup(instance_id, backup['id'])}/{file['name']}")
        assert httpx.get(file["download_link"]).content == stored
        assert file["size"] == -(-len(stored) // 1024)
    page = again.get(f"backup-files?backup_id={backup['id']}&offset=1&limit=1")
    assert [file["name"] for file in page["files"]] == [answer["files"][1]["name"]]

    other = replace(again, project="other")
    for service, id_ in ((other, backup["id"]), (again, UNKNOWN_BACKUP)):
        assert refusal(service, "GET", f"backup-files?backup_id={id_}")[:2] == (404, "DBS.201010")
    assert refusal(again, "GET", "backup-files")[:2] == (400, "DBS.200001")


def test_the_service_of_before_may_not_write_there(again: ServiceUnderTest, lost: ServiceUnderTest) -> None:
    """Should its machine come back."""
    lost.start()
    wait_for(lambda: "is another service's" in lost.log_text(), 60)

    checked = completed(("check", "--data-dir", str(lost.data_dir)), lost.environment(), 60)

    assert checked.returncode == 1
    assert "another service's" in checked.stdout
    checked = completed(("check", "--data-dir", str(again.data_dir)), again.environment(), 60)
    assert checked.returncode == 0
    assert "can be reached" in checked.stdout
    assert "s ago is copied" in checked.stdout


def test_the_age_of_what_is_there_can_be_watched(again: ServiceUnderTest, before: Before) -> None:
    metrics = httpx.get(f"{again.endpoint}/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text
    for made in before.instances.values():
        assert f'openrds_repository_age_seconds{{instance="{made["id"]}"}}' in metrics
    assert "openrds_repository_backups_waiting 0.0" in metrics
    for kind in ("records", "backups", "log"):
        assert f'openrds_copies_age_seconds{{kind="{kind}"}}' in metrics
    assert "openrds_copies_backups_waiting 0.0" in metrics


def test_nothing_is_restored_over_a_service(lost: ServiceUnderTest, again: ServiceUnderTest) -> None:
    done = completed(("restore-service", "--data-dir", str(again.data_dir)), again.environment(), 60)
    assert done.returncode == 1
    assert "serves" in done.stderr


def test_what_is_deleted_goes_there_too(again: ServiceUnderTest, before: Before) -> None:
    instance_id = before.instances[POSTGRESQL]["id"]
    (backup,) = backups(again, instance_id, backup_type="manual")
    assert list(opened(again).sizes(place.backup(instance_id, backup["id"])))

    again.call("DELETE", f"backups/{backup['id']}", headers=fresh())
    gone = place.backup(instance_id, backup["id"])
    wait_for(lambda: not list(opened(again).sizes(gone)), 60, "the backup is gone there")

    again.delete(instance_id)
    wait_for(lambda: not list(opened(again).sizes(f"instances/{instance_id}")), 60, "all of it is gone")
    records = place.INSTANCE_RECORDS
    wait_for(lambda: not [one for one, _ in opened(again).sizes(records) if instance_id in one], 60)
