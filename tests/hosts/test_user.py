import os
import pwd
import stat
from pathlib import Path

import pytest

from openrds.hosts import folders
from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose")


def test_servers_never_run_as_root(user):
    assert user.uid != 0
    assert pwd.getpwnam(user.name).pw_uid == user.uid


@as_root
@pytest.mark.parametrize("name", ["no-such-user", "root"])
def test_a_user_that_cannot_be_is_refused(name):
    with pytest.raises(HostError, match=name):
        ServerUser.choose(name)


@as_root
def test_the_named_user_is_taken():
    assert ServerUser.choose("nobody") == ServerUser("nobody", *pwd.getpwnam("nobody")[2:4])


@as_root
def test_without_useradd_the_operator_is_told_to_create_the_user(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HostError, match="Could not create the user no-such-user"):
        ServerUser._create("no-such-user")


@pytest.mark.skipif(os.geteuid() == 0, reason="root chooses")
def test_others_run_servers_as_themselves(user):
    assert user.uid == os.geteuid()
    assert user.identity() == {}


def test_a_closed_folder_on_the_way_is_named(folder, user):
    closed = folder / "closed"
    closed.mkdir()
    closed.chmod(0o600)

    assert user.blocked_at(closed / "in" / "side") == closed
    with pytest.raises(HostError, match=f"{closed} is 0600"):
        user.require_reach(closed / "in" / "side")
    closed.chmod(0o711)
    assert user.blocked_at(closed / "in" / "side") is None


def test_written_files_are_the_users_and_whole(folder, user):
    path = folder / "file"
    path.write_text("old")

    user.write(path, "new")

    found = path.stat()
    assert (path.read_text(), stat.S_IMODE(found.st_mode), found.st_uid) == ("new", 0o600, user.uid)
    assert [entry.name for entry in folder.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file(folder, user):
    path = folder / "file"
    path.write_text("old")

    with pytest.raises(UnicodeEncodeError):
        user.write(path, "\ud800")

    assert path.read_text() == "old"
    assert [entry.name for entry in folder.iterdir()] == ["file"]


def test_what_somebody_was_writing_when_he_was_killed_is_removed(folder, user, monkeypatch):
    home = folder / "home"
    home.mkdir()
    (home / "file").write_text("old")
    (home / ".kept").write_text("")
    if (pid := os.fork()) == 0:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", lambda *_: os._exit(1))
            user.write(home / "file", "new")
    assert os.waitpid(pid, 0)[1]
    assert len(list(home.iterdir())) == 3

    folders.remove_drafts(folder)

    assert {entry.name for entry in home.iterdir()} == {"file", ".kept"}
    assert (home / "file").read_text() == "old"


def test_the_root_of_the_system_is_reached(user):
    assert user.blocked_at(Path("/")) is None
