"""An instance whose volume is full is read-only and STORAGE FULL, until there is room again."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from openrds.domain.capacity import GB, is_full
from openrds.domain.errors import Refusal
from openrds.hosts.volumes import Usage
from openrds.operations.instances import enlarge_volume, instance_changes, restart_instance
from openrds.operations.rounds.roster import Roster
from openrds.operations.rounds.volume_growth import VolumeGrowth
from openrds.operations.rounds.volume_watch import VolumeWatch
from support.scenarios import active_instance
from support.service import wait_for
from support.workbench import PASSWORD, Workbench

READ_ONLY = psycopg.errors.ReadOnlySqlTransaction


@pytest.fixture
def instance_id(workbench: Workbench) -> Iterator[str]:
    """An instance with a volume of 1 GB, less than a caller may ask for: filling it costs the machine little."""
    id_ = active_instance(workbench)
    set_size(workbench, id_, 1)
    yield id_
    filler(workbench, id_).unlink(missing_ok=True)


def set_size(bench: Workbench, instance_id: str, size: int) -> None:
    bench.store.rows(b"update instance set volume_size = %s where id = %s", [size, instance_id])


def connect(bench: Workbench, instance_id: str) -> psycopg.Connection[tuple[object, ...]]:
    instance = bench.resources.view.instance(instance_id)
    return psycopg.connect(
        host=instance.address, user="root", password=PASSWORD, dbname="postgres", autocommit=True
    )


def filler(bench: Workbench, instance_id: str) -> Path:
    return bench.resources.host.volumes.path(bench.resources.view.primary(instance_id).id) / "filler"


def fill(bench: Workbench, instance_id: str, leave: int) -> None:
    path = filler(bench, instance_id)
    used = bench.resources.host.volumes.usage(path.parent.name, 1).used
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, GB - used - leave)


def make_ballast(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """80 MB that can be deleted. Unlogged, as WAL would take room too."""
    connection.execute("create unlogged table ballast (x text)")
    connection.execute("alter table ballast alter column x set storage external")
    connection.execute("insert into ballast select repeat('x', 8000) from generate_series(1, 10000)")


def look(bench: Workbench, instance_id: str) -> str:
    VolumeWatch(bench.resources, Roster(bench.resources)).look_after_volumes()
    return str(bench.resources.view.instance(instance_id).status)


def used_bytes(bench: Workbench, instance_id: str) -> int:
    """Of its primary's volume, which was measured."""
    return bench.resources.view.primary(instance_id).used_bytes or 0


def run(bench: Workbench, module: Any, instance_id: str, request: object) -> None:
    task = bench.run(bench.submit(lambda intake: module.submit(intake, instance_id, request)))
    assert task["status"] == "Completed", task["fail_reason"]


def test_a_full_volume_makes_the_instance_read_only_until_data_is_deleted(
    workbench: Workbench, instance_id: str
) -> None:
    with connect(workbench, instance_id) as idle, connect(workbench, instance_id) as writer:
        make_ballast(idle)
        assert look(workbench, instance_id) == "ACTIVE"
        writer.execute("begin")
        writer.execute("create table unfinished (x int)")
        fill(workbench, instance_id, leave=20 * 2**20)

        assert look(workbench, instance_id) == "STORAGE FULL"

        assert idle.execute("select count(*) from ballast").fetchone() == (10000,)
        with pytest.raises(READ_ONLY):
            idle.execute("create table more (x int)")
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            writer.execute("select 1")
        with connect(workbench, instance_id) as fresh, pytest.raises(READ_ONLY):
            fresh.execute("create table more (x int)")

        run(workbench, restart_instance, instance_id, restart_instance.Restart())
        assert workbench.resources.view.instance(instance_id).status == "STORAGE FULL"

    with connect(workbench, instance_id) as cleaner:
        with pytest.raises(READ_ONLY):
            cleaner.execute("drop table ballast")
        with cleaner.transaction():
            cleaner.execute("set transaction_read_only = off")
            cleaner.execute("drop table ballast")

        assert look(workbench, instance_id) == "ACTIVE"

        cleaner.execute("create table more (x int)")


def test_clients_may_make_room_for_some_minutes(workbench: Workbench, instance_id: str) -> None:
    def unlock(minutes: int) -> None:
        request = instance_changes.Unlock(minutes)
        workbench.submit(lambda intake: instance_changes.unlock(intake, instance_id, request))

    with pytest.raises(Refusal, match="not read-only"):
        unlock(30)
    fill(workbench, instance_id, leave=20 * 2**20)
    assert look(workbench, instance_id) == "STORAGE FULL"
    with pytest.raises(Refusal, match="status_preservation_time"):
        unlock(1441)
    unlock(30)
    assert look(workbench, instance_id) == "ACTIVE"
    with connect(workbench, instance_id) as client:
        client.execute("create table more (x int)")
        unlock(0)
        assert look(workbench, instance_id) == "STORAGE FULL"
        with pytest.raises(READ_ONLY):
            client.execute("drop table more")
    unlock(30)
    filler(workbench, instance_id).unlink()
    fill(workbench, instance_id, leave=8 * 2**20)
    assert look(workbench, instance_id) == "STORAGE FULL", "the last percent is not for clients"


def test_a_larger_volume_makes_it_writable_again(workbench: Workbench, instance_id: str) -> None:
    fill(workbench, instance_id, leave=20 * 2**20)
    assert look(workbench, instance_id) == "STORAGE FULL"
    with connect(workbench, instance_id) as client:
        run(workbench, enlarge_volume, instance_id, enlarge_volume.EnlargeVolume(40))

        assert workbench.resources.view.instance(instance_id).status == "ACTIVE"
        client.execute("create table more (x int)")


def test_a_volume_grows_by_itself_up_to_its_limit(
    workbench: Workbench, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By tasks, one at a time, until more than 10 GB are free. What it holds is more than this machine may have."""
    used = [39 * GB]
    volumes = type(workbench.resources.host.volumes)
    monkeypatch.setattr(volumes, "usage", lambda _self, _id, size: Usage(used[0], size * GB - used[0]))

    def say(**growth: Any) -> None:
        request = instance_changes.SetVolumeGrowth(switch_option=bool(growth), **growth)
        workbench.submit(lambda intake: instance_changes.set_volume_growth(intake, instance_id, request))

    def grown() -> int:
        growth = VolumeGrowth(workbench.resources, workbench.queue)
        watch = VolumeWatch(workbench.resources, Roster(workbench.resources), growth.look)
        watch.look_after_volumes()
        held = workbench.store.rows(
            b"select task_id from instance_lock where instance_id = %s", [instance_id]
        )
        for row in held:
            assert workbench.run(row["task_id"])["status"] == "Completed"
        return workbench.resources.view.instance(instance_id).volume_size

    set_size(workbench, instance_id, 40)
    assert grown() == 40
    say(limit_size=60, trigger_threshold=10, step_percent=5)
    assert [grown() for _ in range(3)] == [50, 50, 50]
    used[0] = 45 * GB
    assert [grown() for _ in range(2)] == [60, 60]
    used[0] = 59 * GB
    assert grown() == 60
    assert workbench.resources.view.instance(instance_id).status == "STORAGE FULL"
    used[0] = 9 * GB
    assert grown() == 60
    say()
    used[0] = 55 * GB
    assert grown() == 60


def test_what_does_not_come_to_grow_is_not_tried_all_the_time(workbench: Workbench, instance_id: str) -> None:
    now = [0.0]
    growth = VolumeGrowth(workbench.resources, workbench.queue, clock=lambda: now[0])
    set_growth = b'update instance set growth = \'{"limit_size": 60, "trigger_threshold": 10}\' where id = %s'
    workbench.store.rows(set_growth, [instance_id])

    def begins() -> bool:
        """A task, which is then forgotten."""
        (one,) = [
            found for found in Roster(workbench.resources).instances() if found.instance.id == instance_id
        ]
        growth.look(one, [Usage(39 * GB, GB)])
        held = workbench.store.rows(
            b"select task_id from instance_lock where instance_id = %s", [instance_id]
        )
        for row in held:
            workbench.run(row["task_id"])
        set_size(workbench, instance_id, 40)
        return bool(held)

    set_size(workbench, instance_id, 40)

    assert [begins(), begins()] == [True, False]
    now[0] += 601
    assert begins()


def test_one_that_is_enlarged_too_little_stays_full(workbench: Workbench, instance_id: str) -> None:
    """A volume that was outgrown long before anybody looked."""
    fill(workbench, instance_id, leave=20 * 2**20)
    assert look(workbench, instance_id) == "STORAGE FULL"
    node = workbench.resources.view.primary(instance_id).id
    usage = workbench.resources.host.volumes.usage

    class Outgrown(type(workbench.resources.host.volumes)):
        def usage(self, name, size):
            found = usage(name, size)
            return type(found)(found.used + 40 * GB, found.free - 40 * GB) if name == node else found

    volumes: Any = workbench.resources.host.volumes
    object.__setattr__(workbench.resources.host, "volumes", Outgrown(volumes.root))
    try:
        run(workbench, enlarge_volume, instance_id, enlarge_volume.EnlargeVolume(40))
    finally:
        object.__setattr__(workbench.resources.host, "volumes", volumes)

    assert workbench.resources.view.instance(instance_id).status == "STORAGE FULL"
    with connect(workbench, instance_id) as client, pytest.raises(READ_ONLY):
        client.execute("create table more (x int)")


def test_an_instance_with_a_task_is_left_alone(workbench: Workbench, instance_id: str) -> None:
    fill(workbench, instance_id, leave=20 * 2**20)
    task_id = workbench.submit(
        lambda intake: restart_instance.submit(intake, instance_id, restart_instance.Restart())
    )

    assert look(workbench, instance_id) == "REBOOTING"

    workbench.run(task_id)
    assert look(workbench, instance_id) == "STORAGE FULL"


def test_a_volume_is_looked_at_when_it_could_have_been_filled(workbench: Workbench, instance_id: str) -> None:
    set_size(workbench, instance_id, 40)
    now = [1000.0]
    roster = Roster(workbench.resources)
    watch = VolumeWatch(workbench.resources, roster, clock=lambda: now[0])
    watch.look_after_volumes()
    set_size(workbench, instance_id, 1)
    roster.refresh()
    fill(workbench, instance_id, leave=20 * 2**20)

    watch.look_after_volumes()
    assert workbench.resources.view.instance(instance_id).status == "ACTIVE"
    now[0] += 30
    watch.look_after_volumes()
    assert workbench.resources.view.instance(instance_id).status == "STORAGE FULL"


def test_what_is_used_stands_in_the_store(workbench: Workbench, instance_id: str) -> None:
    look(workbench, instance_id)
    before = used_bytes(workbench, instance_id)
    fill(workbench, instance_id, leave=500 * 2**20)

    look(workbench, instance_id)

    assert before < used_bytes(workbench, instance_id) < GB - 490 * 2**20


@pytest.mark.parametrize(
    ("size", "free", "was_full", "full"),
    [
        (40, 1.19, False, True),
        (40, 1.21, False, False),
        (40, 1.21, True, True),
        (40, 1.81, True, False),
        (4000, 17.9, False, True),
        (4000, 18.1, False, False),
        (4000, 27.1, True, False),
        (40, -1, False, True),
    ],
)
def test_when_a_volume_is_full(size: int, free: float, was_full: bool, full: bool) -> None:
    assert is_full(size, int(free * GB), was_full=was_full) is full


class Measured:
    """The volumes of a host. How often one of them is measured is noted."""

    def __init__(self, volumes: Any, name: str) -> None:
        self._volumes = volumes
        self._name = name
        self.times = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._volumes, name)

    def usage(self, name: str, size: int) -> Any:
        self.times += name == self._name
        return self._volumes.usage(name, size)


@pytest.fixture
def measured(workbench: Workbench, instance_id: str) -> Iterator[Measured]:
    volumes = workbench.resources.host.volumes
    counting = Measured(volumes, workbench.resources.view.primary(instance_id).id)
    object.__setattr__(workbench.resources.host, "volumes", counting)
    yield counting
    object.__setattr__(workbench.resources.host, "volumes", volumes)


def test_a_volume_is_measured_again_only_when_its_server_has_written(
    workbench: Workbench, instance_id: str, measured: Measured
) -> None:
    for instance in workbench.instances():
        set_size(workbench, instance.id, 40)
    ahead = [0.0]
    watch = VolumeWatch(
        workbench.resources, Roster(workbench.resources), clock=lambda: time.monotonic() + ahead[0]
    )

    def look(seconds: float) -> int:
        """How often the volume was measured by a look so many seconds later."""
        before = measured.times
        ahead[0] += seconds
        watch.look_after_volumes()
        return measured.times - before

    with connect(workbench, instance_id) as client:
        client.execute("select 1")
        # Its own beginning may still be written down.
        wait_for(lambda: look(30) == 0, what="a server that writes nothing")
        assert 15 < watch.look_after_volumes() <= 30
        client.execute("create table little as select 1 as x")
        assert look(30) == 0
        client.execute("create table written as select generate_series(1, 100000) as x")
        assert look(1) == 0
        assert look(30) == 1
        client.execute("create temporary table aside as select generate_series(1, 1000000) as x")
        assert look(30) == 1
        wait_for(lambda: look(30) == 0, what="a server that writes nothing")
    # What others may have put there is found too, later.
    assert look(1800) == 1


def test_a_full_volume_is_measured_in_each_round(
    workbench: Workbench, instance_id: str, measured: Measured
) -> None:
    fill(workbench, instance_id, leave=20 * 2**20)
    roster = Roster(workbench.resources)
    watch = VolumeWatch(workbench.resources, roster)
    watch.look_after_volumes()
    roster.refresh()
    filler(workbench, instance_id).unlink()

    def look() -> bool:
        watch.look_after_volumes()
        return workbench.resources.view.instance(instance_id).status == "ACTIVE"

    wait_for(look, 10, "a look that finds room")
