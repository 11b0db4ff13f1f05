"""Folders that are shared with users who are trusted less: what they may put into theirs does us no harm."""

import os
import threading
from pathlib import Path

import pytest

from openrds.hosts import folders
from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has others' folders in its own")


@pytest.fixture
def secret(folder: Path) -> Path:
    path = folder / "secret"
    path.write_text("secret")
    path.chmod(0o600)
    return path


def test_only_regular_files_are_read_and_no_more_than_is_expected(own: Path) -> None:
    (own / "file").write_text("four")
    (own / "link").symlink_to(own / "file")
    os.mkfifo(own / "fifo")

    assert folders.read(own / "file") == b"four"
    for name, problem in (
        ("link", "symbolic links"),
        ("fifo", "Not a regular file"),
        ("none", "No such file"),
    ):
        with pytest.raises(OSError, match=problem):
            folders.read(own / name)
    with pytest.raises(OSError, match="File too large"):
        folders.read(own / "file", most=3)
    with pytest.raises(OSError, match="Not a regular file"):
        folders.read(own)


def test_a_home_is_no_link(folder: Path, own: Path) -> None:
    (folder / "link").symlink_to(own)
    with pytest.raises(HostError, match="link"):
        folders.make_home(folder / "link")


def test_what_is_no_file_does_not_keep_the_rest_from_the_disk(own: Path) -> None:
    (own / "file").write_text("x")
    (own / "link").symlink_to("nowhere")
    os.mkfifo(own / "fifo")
    folders.make_durable(own)


def test_links_count_for_themselves(folder: Path, own: Path) -> None:
    (folder / "large").write_bytes(b"x" * 2**20)
    before = folders.used_bytes(own)
    (own / "link").symlink_to(folder / "large")
    (own / "folder").symlink_to(folder)
    assert folders.used_bytes(own) - before < 2**16


def test_room_that_a_file_says_it_has_is_reserved(own: Path) -> None:
    with (own / "log").open("wb") as file:
        file.write(b"begin")
        file.truncate(2**20)
    (own / "empty").touch()
    (own / "link").symlink_to(own / "log")
    assert folders.used_bytes(own) < 2**20

    folders.reserve(own)

    assert folders.used_bytes(own) >= 2**20
    assert (own / "log").read_bytes() == b"begin".ljust(2**20, b"\0")


def test_a_folder_that_is_not_there_has_no_size(folder: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        folders.used_bytes(folder / "nothing")


@as_root
def test_acting_is_of_this_thread_and_ends(own: Path, user: ServerUser, secret: Path) -> None:
    (own / "link").symlink_to(secret)
    seen: list[str] = []

    def read() -> None:
        begin.wait(10)
        seen.append(secret.read_text())

    other = threading.Thread(target=read)
    begin = threading.Event()
    other.start()
    with user.acting():
        begin.set()
        other.join()
        with pytest.raises(PermissionError):
            (own / "link").read_text()
        with ServerUser("other", user.uid + 1, user.gid + 1).acting(), pytest.raises(PermissionError):
            list(own.iterdir())
        (own / "made").touch()

    assert seen == ["secret"]
    assert (own / "link").read_text() == "secret"
    assert ((own / "made").stat().st_uid, (own / "made").stat().st_gid) == (user.uid, user.gid)


@as_root
def test_acting_ends_with_an_error_too(own: Path, user: ServerUser, secret: Path) -> None:
    with pytest.raises(PermissionError), user.acting():
        secret.read_text()
    assert secret.read_text() == "secret"


@as_root
def test_only_what_is_the_old_users_alone_is_handed_over(own: Path, user: ServerUser, secret: Path) -> None:
    heir = ServerUser("heir", user.uid + 1, user.gid + 1)
    with user.acting():
        (own / "deep").mkdir()
        (own / "deep" / "file").touch()
        (own / "two names").touch()
        (own / "other").hardlink_to(own / "two names")
        (own / "link").symlink_to(secret)
    (own / "ours").touch()
    (own / "stolen").hardlink_to(secret)

    for _ in range(2):
        heir.take_over(own, user.uid)

    def owner(name: str) -> int:
        return (own / name).lstat().st_uid

    assert [owner(name) for name in (".", "deep", "deep/file")] == [heir.uid] * 3
    assert [owner(name) for name in ("two names", "other")] == [user.uid] * 2
    assert [owner(name) for name in ("ours", "stolen")] == [0, 0]
    assert secret.stat().st_uid == 0


@as_root
def test_each_data_directory_has_ids_of_its_own(folder: Path) -> None:
    one, other = (ServerUsers.choose(folder / name) for name in ("one", "other"))
    assert not set(one.ids) & set(other.ids)
    assert one == ServerUsers.choose(folder / "one")
    assert one.forwarder.uid not in set(one.candidates())
    assert one.any().uid in one.ids
    assert one.service.uid not in one.ids


@as_root
def test_ids_that_somebody_has_are_refused(folder: Path) -> None:
    with pytest.raises(HostError, match="The user 65534 of this machine"):
        ServerUsers.choose(folder, ids="65000-66000")
    assert ServerUsers.choose(folder, ids="200000-200001").ids == range(200000, 200002)


@pytest.mark.skipif(os.geteuid() == 0, reason="root has others")
def test_others_are_but_one_user(folder: Path) -> None:
    users = ServerUsers.choose(folder, ids="200000-200001")
    assert {users.service.uid, users.forwarder.uid, users.any().uid} == {os.geteuid()}
    assert not list(users.candidates())
