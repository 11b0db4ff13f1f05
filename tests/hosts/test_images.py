"""Volumes as XFS images, really mounted: these need root, loop devices and xfsprogs."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from openrds.domain.capacity import GB
from openrds.hosts import mounts
from openrds.hosts.errors import HostError
from openrds.hosts.images import RESERVE_BYTES, ImageVolumes, detach, try_images
from openrds.hosts.processes import wait_until
from openrds.hosts.volumes import FolderVolumes
from support.means import needs_images


@pytest.fixture
def volumes(folder):
    made = ImageVolumes(folder / "images", FolderVolumes(folder / "nodes"))
    yield made
    detach(made.images, made.folders.root)
    assert not loop_devices(folder)


def loop_devices(folder: Path) -> list[str]:
    listed = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


def fill(path: Path, leave: int) -> Path:
    """Take all of a volume but so many bytes; on the disk below it takes nothing."""
    found = os.statvfs(path)
    filler = path / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - leave)
    return filler


def available(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


@needs_images
def test_a_volume_is_ours_and_a_file_system_of_its_own(volumes):
    path = volumes.create("one", 40)
    (path / "file").write_text("kept")

    assert volumes.create("one", 40) == path == volumes.path("one")
    assert (path / "file").read_text() == "kept"
    found = path.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o711)
    assert found.st_dev != volumes.folders.root.stat().st_dev
    image = volumes.images / "one.xfs"
    assert image.stat().st_size == 40 * GB
    assert image.stat().st_blocks * 512 < GB
    assert stat.S_IMODE(image.stat().st_mode) == 0o600


@needs_images
def test_more_than_its_size_does_not_fit(volumes):
    path = volumes.create("one", 1)

    with pytest.raises(OSError, match="No space left"):
        fill(path, leave=-(2**20))


@needs_images
def test_it_grows_while_a_file_in_it_is_being_written(volumes):
    path = volumes.create("one", 40)
    before = volumes.usage("one", 40)
    with (path / "file").open("w") as file:
        file.write("before ")
        volumes.grow("one", 100)
        volumes.grow("one", 100)
        file.write("and after")

    after = volumes.usage("one", 100)
    assert (path / "file").read_text() == "before and after"
    assert after.free - before.free == pytest.approx(60 * GB, rel=0.02)


@needs_images
def test_growth_that_stopped_half_way_is_finished(volumes):
    volumes.create("one", 40)
    os.truncate(volumes.images / "one.xfs", 100 * GB)

    volumes.grow("one", 100)

    assert volumes.usage("one", 100).free > 95 * GB


@needs_images
def test_it_does_not_shrink(volumes):
    volumes.create("one", 50)

    volumes.grow("one", 40)

    assert (volumes.images / "one.xfs").stat().st_size == 50 * GB


@needs_images
def test_remove_takes_all_and_may_be_repeated(volumes, folder):
    for name in ("one", "one-b"):
        (volumes.create(name, 1) / "deep" / "er").mkdir(parents=True)

    volumes.remove("one")
    volumes.remove("one")

    assert [path.name for path in volumes.folders.root.iterdir()] == ["one-b"]
    assert [path.name for path in volumes.images.iterdir()] == ["one-b.xfs"]
    assert len(loop_devices(folder)) == 1


@needs_images
@pytest.mark.parametrize("left", ["unmounted", "image renamed", "only a folder", "half-made"])
def test_remove_finishes_what_was_interrupted(volumes, left):
    path = volumes.create("one", 1)
    mounts.unmount(path)
    image = volumes.images / "one.xfs"
    if left != "unmounted":
        image.rename(volumes.images / ".one.removed-cafe")
    if left == "only a folder":
        (volumes.images / ".one.removed-cafe").unlink()
    if left == "half-made":
        (volumes.images / ".one.making-cafe").write_text("")

    volumes.remove("one")

    assert list(volumes.folders.root.iterdir()) == []
    assert list(volumes.images.iterdir()) == []


@needs_images
def test_a_volume_in_use_is_not_removed(volumes, monkeypatch):
    path = volumes.create("one", 1)
    monkeypatch.setattr(mounts, "_BUSY_SECONDS", 0.1)
    with (path / "file").open("w"), pytest.raises(HostError, match="busy"):
        volumes.remove("one")

    assert mounts.mounted_at(path)


@needs_images
def test_attach_brings_back_what_a_reboot_took_away(volumes, folder):
    for name in ("one", "two"):
        (volumes.create(name, 1) / "file").write_text(name)
    detach(volumes.images, volumes.folders.root)
    assert not loop_devices(folder)
    with pytest.raises(HostError, match="not mounted"):
        volumes.usage("one", 1)

    volumes.attach()
    volumes.attach()

    assert [(volumes.path(name) / "file").read_text() for name in ("one", "two")] == ["one", "two"]
    assert len(loop_devices(folder)) == 2


@needs_images
def test_attach_goes_on_past_an_image_that_is_broken(volumes):
    (volumes.create("two", 1) / "file").write_text("kept")
    detach(volumes.images, volumes.folders.root)
    (volumes.images / "one.xfs").write_bytes(b"not a file system" * 10_000)

    with pytest.raises(HostError, match="mount failed"):
        volumes.attach()

    assert (volumes.path("two") / "file").read_text() == "kept"


@needs_images
def test_the_reserve_is_free_and_given_up_when_nothing_else_is_left(volumes):
    path = volumes.create("one", 4)
    empty = volumes.usage("one", 4)
    assert available(path) == pytest.approx(empty.free - RESERVE_BYTES, rel=0.001)
    filler = fill(path, leave=16 * 2**20)
    assert available(path) <= 16 * 2**20

    volumes.make_ready("one")

    assert available(path) >= RESERVE_BYTES
    assert volumes.usage("one", 4).free == pytest.approx(RESERVE_BYTES, rel=0.05)
    filler.unlink()  # XFS gives the room back in its own time

    def is_laid_by() -> bool:
        volumes.make_ready("one")
        return available(path) < empty.free - RESERVE_BYTES / 2

    assert wait_until(lambda: volumes.usage("one", 4) == empty and is_laid_by(), 30)


@needs_images
def test_a_link_in_the_place_of_the_reserve_is_not_followed(volumes, folder):
    (folder / "precious").write_text("kept")
    path = volumes.create("one", 4)
    (path / ".reserve").unlink()
    (path / ".reserve").symlink_to(folder / "precious")

    with pytest.raises(HostError, match="reserve"):
        volumes.make_ready("one")

    assert (folder / "precious").read_text() == "kept"


@needs_images
def test_a_folder_from_before_stays_one(volumes):
    (volumes.folders.create("one", 40) / "file").write_text("kept")

    path = volumes.create("one", 40)
    volumes.grow("one", 50)
    volumes.make_ready("one")

    assert mounts.mounted_at(path) is None
    assert volumes.usage("one", 50).free < 50 * GB
    volumes.remove("one")
    assert not path.exists()


@needs_images
def test_an_image_from_before_goes_on_where_new_ones_are_folders(volumes):
    (volumes.create("one", 1) / "file").write_text("kept")
    detach(volumes.images, volumes.folders.root)
    later = ImageVolumes(volumes.images, volumes.folders, makes_images=False)

    later.attach()

    assert (later.path("one") / "file").read_text() == "kept"
    assert mounts.mounted_at(later.create("two", 1)) is None


@needs_images
def test_a_place_with_a_blank_in_its_name(folder):
    volumes = ImageVolumes(folder / "a b" / "images", FolderVolumes(folder / "a b" / "nodes"))
    (folder / "a b").mkdir(mode=0o711)
    path = volumes.create("one", 1)

    assert mounts.mounted_at(path)
    volumes.remove("one")
    assert not path.exists()


@needs_images
def test_trying_leaves_nothing(folder):
    try_images(folder / "images")

    assert list((folder / "images").iterdir()) == []
    assert not loop_devices(folder)


def test_trying_says_what_is_missing(folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="Only root"):
        try_images(folder / "images")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name == "mkfs.xfs" else name)
    with pytest.raises(HostError, match=r"There is no program mkfs\.xfs"):
        try_images(folder / "images")


def test_a_hidden_name_is_ours(folder):
    """A hidden image is one that is being made or removed."""
    volumes = ImageVolumes(folder / "images", FolderVolumes(folder / "nodes"))
    with pytest.raises(HostError):
        volumes.create(".hidden", 1)
