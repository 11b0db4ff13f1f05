"""Larger volumes, other flavors, and what the machine holds instances to."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from test_instances import connect

from openrds.domain.capacity import GB
from openrds.hosts.mounts import mounts
from openrds.hosts.processes import RECORD, find
from support.means import limits_of, needs_cgroups, needs_images
from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.windows import set_window

MEDIUM, LARGE, HUGE = "rds.pg.n1.medium.2", "rds.pg.n1.large.2", "rds.pg.n1.8xlarge.8"
READ_ONLY = psycopg.errors.ReadOnlySqlTransaction


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> Iterator[dict[str, Any]]:
    created = service.create(name="sizes")
    yield created
    service.delete(created["id"])


@pytest.fixture(scope="module")
def on_images() -> Iterator[ServiceUnderTest]:
    """A service whose volumes are images, with one spare data directory as by default."""
    with running_service(volumes="xfs", spare_data_dirs="1", monitor_interval="0.2") as running:
        yield running
    assert not mounts_of(running)
    assert not subprocess.run(["losetup", "--list"], capture_output=True, text=True, check=True).stdout.count(
        str(running.data_dir)
    )


def mounts_of(service: ServiceUnderTest) -> list[Path]:
    return [mount.point for mount in mounts() if service.data_dir in mount.point.parents]


def act(service: ServiceUnderTest, instance_id: str, action: dict[str, Any]) -> Any:
    return service.call("POST", f"instances/{instance_id}/action", action, headers=fresh())


def done(service: ServiceUnderTest, instance_id: str, action: dict[str, Any]) -> dict[str, Any]:
    answer = act(service, instance_id, action)
    assert answer.status_code == 202, answer.text
    return service.completed(answer.json()["job_id"])


def node_folder(service: ServiceUnderTest, instance: dict[str, Any]) -> Path:
    return service.data_dir / "nodes" / instance["nodes"][0]["id"]


def take(path: Path, size: int) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def show(instance: dict[str, Any], setting: str) -> str:
    with connect(instance) as connection:
        return connection.execute(f"show {setting}".encode()).fetchone()[0]


def can_connect(instance: dict[str, Any]) -> bool:
    try:
        connect(instance).close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def inserting(instance: dict[str, Any]) -> Iterator[list[int]]:
    """A client that keeps inserting on one connection until the end; fails if the connection was lost."""
    stop, inserted, failures = threading.Event(), [], []

    def insert() -> None:
        try:
            with connect(instance) as connection:
                connection.execute("create table if not exists written (x int)")
                while not stop.is_set():
                    connection.execute("insert into written values (1)")
                    connection.commit()
                    inserted.append(1)
        except psycopg.Error as error:
            failures.append(error)

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        wait_for(lambda: inserted or failures)
        yield inserted
    finally:
        stop.set()
        thread.join()
    assert not failures


# --- Larger volumes ---


def test_a_volume_is_enlarged_while_clients_write(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    size = service.instance(instance["id"])["volume"]["size"]
    with inserting(instance) as inserted:
        job = done(service, instance["id"], {"enlarge_volume": {"size": size + 10}})
        count = len(inserted)
        wait_for(lambda: len(inserted) > count)

    assert job["name"] == "EnlargePostgresqlVolume"
    assert job["entities"] == {
        "volume": {"type": "CLOUDSSD", "original_size": str(size), "target_size": str(size + 10)},
        "resource_ids": [f"{instance['id']}.volume"],
    }
    after = service.instance(instance["id"])
    assert (after["status"], after["volume"]["size"]) == ("ACTIVE", size + 10)


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (30, "DBS.200306"),
        (-10, "DBS.200306"),
        (4010, "DBS.200023"),
        (4095, "DBS.200023"),
        (3995, "DBS.200027"),
        ("large", "DBS.200001"),
        (None, "DBS.200001"),
    ],
)
def test_a_size_that_cannot_be(
    service: ServiceUnderTest, instance: dict[str, Any], size: Any, code: str
) -> None:
    answer = act(service, instance["id"], {"enlarge_volume": {"size": size}})
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert service.instance(instance["id"])["status"] == "ACTIVE"


def test_the_present_size_is_no_larger_one(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    size = service.instance(instance["id"])["volume"]["size"]
    answer = act(service, instance["id"], {"enlarge_volume": {"size": size}})
    assert answer.json()["error_code"] == "DBS.200306"
    assert f"at least {size + 10}" in answer.json()["error_msg"]


def test_what_is_used_is_what_was_written(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    def used() -> float:
        answer = service.get(f"instances/{instance['id']}/storage-used-space")
        assert answer["node_id"] == instance["nodes"][0]["id"]
        return float(answer["used"])

    wait_for(lambda: 0.02 < used() < 1, 60)


def test_volumes_grow_by_themselves_if_one_says_so(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    path = f"instances/{instance['id']}/disk-auto-expansion"
    grows = {"switch_option": True, "limit_size": 4000, "trigger_threshold": 10}
    off = {"switch_option": False, "limit_size": 0, "trigger_threshold": 0, "step_percent": 0}
    assert service.get(path) == off
    for wanted in (grows, grows | {"step_percent": 20}):
        answer = service.call("PUT", path, wanted)
        assert (answer.status_code, answer.json()) == (200, {})
        assert service.get(path) == wanted
    for wrong in ({"limit_size": 30}, {"trigger_threshold": 11}, {"step_percent": 51}, {"limit_size": None}):
        answer = service.call("PUT", path, grows | wrong)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001")
    assert service.get(path)["step_percent"] == 20
    assert service.call("PUT", path, {"switch_option": False}).status_code == 200
    assert service.get(path) == off


def test_a_new_volume_grows_by_itself_if_one_says_so(service: ServiceUnderTest) -> None:
    strategy = {"option": True, "limitSize": 50, "triggerAvailablePercent": 20, "stepPercent": 5}
    made = service.create(name="growing", auto_enlarge_strategy=strategy)
    shown = service.get(f"instances/{made['id']}/disk-auto-expansion")
    assert shown == {"switch_option": True, "limit_size": 50, "trigger_threshold": 20, "step_percent": 5}
    service.delete(made["id"])
    body = service.create_body(name="wrong", auto_enlarge_strategy=strategy | {"limitSize": 30})
    answer = service.call("POST", "instances", body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001")
    assert "auto_enlarge_strategy.limitSize must be 40 to 4000" in answer.json()["error_msg"]


# --- Other flavors ---


def test_another_flavor_is_other_settings(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    before = show(instance, "shared_buffers")
    job = done(service, instance["id"], {"resize_flavor": {"spec_code": LARGE}})

    assert (job["name"], job["entities"]) == ("ResizePostgresqlFlavor", {})
    after = service.instance(instance["id"])
    assert (after["status"], after["flavor_ref"], after["cpu"], after["mem"]) == ("ACTIVE", LARGE, "2", "4")
    assert (before, show(instance, "shared_buffers")) == ("512MB", "1GB")
    done(service, instance["id"], {"resize_flavor": {"spec_code": MEDIUM}})
    assert show(instance, "shared_buffers") == "512MB"


@pytest.mark.parametrize(
    ("spec_code", "code"),
    [
        (MEDIUM, "DBS.200054"),
        ("rds.pg.n1.large.2.ha", "DBS.200054"),
        ("rds.pg.n1.large.2.rr", "DBS.200054"),
        ("rds.mysql.n1.large.2", "DBS.200053"),
        ("rds.pg.n1.large.3", "DBS.200053"),
        ("", "DBS.200053"),
        (1, "DBS.200001"),
    ],
)
def test_a_flavor_that_cannot_be(
    service: ServiceUnderTest, instance: dict[str, Any], spec_code: Any, code: str
) -> None:
    answer = act(service, instance["id"], {"resize_flavor": {"spec_code": spec_code}})
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert service.instance(instance["id"])["status"] == "ACTIVE"


def test_a_delayed_change_waits_for_the_maintenance_window(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    set_window(service, instance, begins_in_hours=2)
    asked = {"resize_flavor": {"spec_code": LARGE, "is_delay": True}}
    id_ = act(service, instance["id"], asked).json()["job_id"]

    (waiting,) = service.get(f"schedule-tasks?instance_id={instance['id']}")["schedule_tasks"]
    assert (waiting["id"], waiting["name"], waiting["status"]) == (id_, "RESIZE_FLAVOR", "Pending")
    assert waiting["target_config"] == {"flavor": LARGE, "cpu": "2", "mem": "4"}
    assert service.instance(instance["id"])["flavor_ref"] == MEDIUM
    set_window(service, instance, begins_in_hours=0)
    wait_for(lambda: service.instance(instance["id"])["flavor_ref"] == LARGE, 60)
    wait_for(lambda: service.instance(instance["id"])["status"] == "ACTIVE")
    done(service, instance["id"], {"resize_flavor": {"spec_code": MEDIUM}})


@pytest.mark.skipif(psutil.virtual_memory().total > 60 * GB, reason="this machine has memory for any flavor")
def test_a_flavor_that_the_machine_has_no_memory_for(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """The server does not start with it; it does with the old one."""
    answer = act(service, instance["id"], {"resize_flavor": {"spec_code": HUGE}})
    job = service.ended(answer.json()["job_id"])

    assert job["status"] == "Failed"
    assert "could not map anonymous shared memory" in job["fail_reason"]
    after = service.instance(instance["id"])
    assert (after["status"], after["flavor_ref"]) == ("ACTIVE", MEDIUM)
    assert show(instance, "shared_buffers") == "512MB"


def test_the_flavors_that_it_could_have(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    path = f"instances/{instance['id']}/available-flavors"
    answer = service.get(path)
    codes = [flavor["spec_code"] for flavor in answer["optional_flavors"]]

    assert answer["total_count"] == len(codes) == 35
    assert MEDIUM not in codes
    assert not [code for code in codes if code.endswith((".ha", ".rr"))]
    assert answer["optional_flavors"][0]["az_status"] == {"local-1a": "normal"}
    page = service.get(
        f"{path}?spec_code_like=large&offset=1&limit=2&ha_mode=single&availability_zone_ids=local-1a"
    )
    assert [flavor["spec_code"] for flavor in page["optional_flavors"]] == [
        code for code in codes if "large" in code
    ][1:3]
    assert service.get(f"{path}?ha_mode=ha")["total_count"] == 0
    assert service.get(f"{path}?availability_zone_ids=elsewhere")["total_count"] == 0
    wrong = service.call("GET", f"{path}?ha_mode=cluster")
    assert wrong.json()["error_code"] == "DBS.200001"


@needs_cgroups
def test_the_machine_holds_a_server_to_its_flavor(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    done(service, instance["id"], {"resize_flavor": {"spec_code": LARGE}})
    node = instance["nodes"][0]["id"]
    process = find(node_folder(service, instance) / RECORD)
    assert process is not None

    for member in (psutil.Process(process.pid), *psutil.Process(process.pid).children()):
        assert f"/{node}" in Path(f"/proc/{member.pid}/cgroup").read_text()
    assert limits_of(node) == ["200000", str(4 * GB)]
    done(service, instance["id"], {"resize_flavor": {"spec_code": MEDIUM}})


# --- Volumes as images ---


@needs_images
def test_an_instance_on_an_image_from_creation_to_deletion(on_images: ServiceUnderTest) -> None:
    created = on_images.create()
    folder = node_folder(on_images, created)
    assert mounts_of(on_images) == [folder]
    assert free(folder) < 40 * GB
    with inserting(created):
        done(on_images, created["id"], {"enlarge_volume": {"size": 100}})
    assert 95 * GB < free(folder) < 100 * GB

    assert on_images.down().returncode == 0
    assert mounts_of(on_images) == []
    on_images.start()

    wait_for(lambda: on_images.instance(created["id"])["status"] == "ACTIVE" and can_connect(created), 60)
    assert mounts_of(on_images) == [folder]
    on_images.delete(created["id"])
    assert mounts_of(on_images) == []
    assert not folder.exists()
    assert not [path for path in (on_images.data_dir / "images").iterdir() if path.suffix == ".xfs"]


@needs_images
def test_a_full_image_is_read_only_until_it_is_enlarged(on_images: ServiceUnderTest) -> None:
    created = on_images.create()
    folder = node_folder(on_images, created)
    with connect(created) as client:
        client.autocommit = True
        take(folder / "filler", free(folder) - GB // 2)
        wait_for(lambda: on_images.instance(created["id"])["status"] == "STORAGE FULL", 45)
        assert float(on_images.get(f"instances/{created['id']}/storage-used-space")["used"]) > 38
        with pytest.raises(READ_ONLY):
            client.execute("create table refused (x int)")
        refused = act(on_images, created["id"], {"resize_flavor": {"spec_code": LARGE}})
        assert refused.json()["error_code"] == "DBS.200086"

        done(on_images, created["id"], {"enlarge_volume": {"size": 60}})

        assert on_images.instance(created["id"])["status"] == "ACTIVE"
        client.execute("create table accepted (x int)")
    on_images.delete(created["id"])


@needs_images
def test_a_server_that_dies_of_a_volume_full_to_the_last_byte_comes_back(on_images: ServiceUnderTest) -> None:
    created = on_images.create()
    folder = node_folder(on_images, created)
    process = find(folder / RECORD)
    assert process is not None
    with connect(created) as client:
        client.autocommit = True
        client.execute("create table kept as select 7 as x")
    # Nobody is to make it read-only, or give it the reserve, before the volume is full.
    process.send(signal.SIGSTOP)
    on_images.child("worker").suspend()
    with contextlib.suppress(OSError):
        for number, size in enumerate((GB, 2**20, 2**12)):
            for part in range(64):
                take(folder / f"filler-{number}-{part}", size)
    with contextlib.suppress(OSError), (folder / "last").open("wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    process.send(signal.SIGKILL)
    on_images.child("worker").resume()

    wait_for(
        lambda: on_images.instance(created["id"])["status"] == "STORAGE FULL" and can_connect(created), 90
    )
    with connect(created) as client:
        assert client.execute("select x from kept").fetchone() == (7,)
    done(on_images, created["id"], {"enlarge_volume": {"size": 60}})
    with connect(created) as client:
        client.execute("create table accepted (x int)")
    on_images.delete(created["id"])


# --- Settings that cannot be kept ---


@pytest.mark.parametrize(("setting", "value"), [("volumes", "ext4"), ("limits", "maybe")])
def test_a_setting_that_does_not_exist(setting: str, value: str) -> None:
    done = refused_start(**{setting: value})
    assert done.returncode == 2
    assert f"{setting} must be one of " in done.stderr


def test_images_that_cannot_be_made_are_a_clear_error() -> None:
    """As root a file is in their way; others may not mount."""
    done = refused_start(volumes="xfs", in_the_way="images")
    assert done.returncode == 1
    assert done.stderr.startswith("openrds: The setting volumes = xfs cannot be kept here: ")
    assert len(done.stderr.splitlines()) == 1


def refused_start(in_the_way: str = "", **options: str) -> subprocess.CompletedProcess[str]:
    with running_service(start=False, **options) as service:
        service.data_dir.mkdir(mode=0o711)
        if in_the_way:
            # With it, it is a data directory that was in use before.
            (service.data_dir / "serve.lock").write_text("")
            (service.data_dir / in_the_way).write_text("")
        return subprocess.run(
            [sys.executable, "-m", "openrds.cli", "serve", "--data-dir", str(service.data_dir)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=service.environment(),
        )
