import os
import stat

import pytest

from openrds.hosts.errors import HostError
from openrds.hosts.volumes import FolderVolumes


@pytest.fixture
def volumes(folder):
    return FolderVolumes(folder / "volumes")


def test_a_volume_is_ours_and_others_may_pass_through(volumes):
    path = volumes.create("one", 40)
    (path / "file").write_text("kept")

    assert volumes.create("one", 40) == path == volumes.path("one")
    assert (path / "file").read_text() == "kept"
    found = path.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), 0o700 if os.geteuid() else 0o711)


def test_remove_takes_all_and_may_be_repeated(volumes):
    for name in ("one", "one-b"):
        (volumes.create(name, 40) / "deep" / "er").mkdir(parents=True)

    volumes.remove("one")
    volumes.remove("one")

    assert [path.name for path in volumes.root.iterdir()] == ["one-b"]


def test_remove_finishes_what_was_interrupted(volumes):
    volumes.create("one", 40).rename(volumes.root / ".one.removed-cafe")

    volumes.remove("one")

    assert list(volumes.root.iterdir()) == []


def test_remove_of_nothing_at_all(volumes):
    volumes.remove("one")


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/etc"])
def test_a_name_stays_within_the_root(volumes, name):
    with pytest.raises(HostError):
        volumes.create(name, 40)
    with pytest.raises(HostError):
        volumes.remove(name)


def test_what_is_used_is_what_is_on_the_disk(volumes):
    path = volumes.create("one", 40)
    before = volumes.usage("one", 40)
    (path / "deep").mkdir()
    (path / "deep" / "file").write_bytes(b"x" * 2**20)
    with (path / "hole").open("wb") as file:
        file.truncate(2**40)

    after = volumes.usage("one", 40)

    assert 2**20 <= after.used - before.used < 2 * 2**20
    assert after.used + after.free == 40 * 2**30
    assert volumes.usage("one", 50).free == after.free + 10 * 2**30


def test_a_volume_that_is_not_there_has_no_usage(volumes):
    with pytest.raises(HostError, match="not there"):
        volumes.usage("one", 40)


def test_something_else_in_the_place_is_an_error(volumes):
    volumes.create("one", 40)
    (volumes.root / "two").symlink_to("/etc")

    with pytest.raises(HostError, match="Not a directory"):
        volumes.create("two", 40)
