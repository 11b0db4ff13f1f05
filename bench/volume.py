"""A volume that is enlarged while a client writes, beside an image grown by hand; and a creation on an image.

The client inserts on one connection, which must not be lost. By hand: `truncate`, `losetup`, `xfs_growfs`.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.create import by_hand, by_service, installation_of
from bench.figures import Figure, spread
from bench.pool import await_full_pool
from openrds.hosts import mounts
from openrds.hosts.images import ImageVolumes, detach
from openrds.hosts.volumes import FolderVolumes
from support.means import WHY_NO_IMAGES
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service

ROUNDS = 9
_FIRST_SIZE = 40


def measure() -> Iterator[Figure]:
    if WHY_NO_IMAGES:
        print(f"  left out: {WHY_NO_IMAGES}")
        return
    with running_service(volumes="xfs", spare_data_dirs="1") as service:
        yield _creation(service)
        await_full_pool(service)
        yield from _growth(service)


def _creation(service: ServiceUnderTest) -> Figure:
    installation = installation_of(service)
    bare, ours = [], []
    for round_ in range(ROUNDS + 1):
        await_full_pool(service)
        pair = by_hand(installation), by_service(service, round_)
        if round_ > 0:  # the first round warms the page cache
            bare.append(pair[0])
            ours.append(pair[1])
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    return Figure(
        "create on an image, warm pool / by hand on a folder",
        ratio,
        1,
        detail=f"{spread(ours)}; by hand {spread(bare)}",
    )


def _growth(service: ServiceUnderTest) -> Iterator[Figure]:
    instance = service.create(name="bench-volume")
    tasks, bare = [], []
    with _inserting(instance["private_ips"][0]) as lost, _image() as volumes:
        for round_ in range(ROUNDS):
            size = _FIRST_SIZE + 10 * (round_ + 1)
            begun = time.perf_counter()
            volumes.grow("by-hand", size)
            bare.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            answer = service.call(
                "POST",
                f"instances/{instance['id']}/action",
                {"enlarge_volume": {"size": size}},
                headers=fresh(),
            )
            service.completed(answer.json()["job_id"])
            tasks.append(time.perf_counter() - begun)
    service.delete(instance["id"])
    yield Figure(
        "volume grown online, call to completed",
        statistics.median(tasks),
        1,
        " s",
        detail=f"{spread(tasks, 'ms', 1000)}; an image by hand {spread(bare, 'ms', 1000)}",
    )
    yield Figure("connections lost while it grew", len(lost), 0)


@contextmanager
def _image() -> Iterator[ImageVolumes]:
    with tempfile.TemporaryDirectory(prefix="ords-", dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o711)
        volumes = ImageVolumes(root / "images", FolderVolumes(root / "nodes"))
        try:
            volumes.create("by-hand", _FIRST_SIZE)
            assert mounts.mounted_at(volumes.path("by-hand"))
            yield volumes
        finally:
            detach(root / "images", root / "nodes")


@contextmanager
def _inserting(address: str) -> Iterator[list[str]]:
    """A client that inserts on one connection until the end; what it yields tells of each that was lost."""
    stop, lost = threading.Event(), []

    def insert() -> None:
        try:
            with psycopg.connect(
                host=address, user="root", password=PASSWORD, dbname="postgres", autocommit=True
            ) as connection:
                connection.execute("create table written (x int)")
                while not stop.is_set():
                    connection.execute("insert into written values (1)")
        except psycopg.Error as error:
            lost.append(str(error))

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        yield lost
    finally:
        stop.set()
        thread.join()
