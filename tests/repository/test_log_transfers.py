"""Copies of log archives: each file once, the latest content of it, and nothing goes that somebody may need."""

import os
import secrets
from pathlib import Path

import pytest

from openrds.hosts.user import ServerUser
from openrds.repository import logs
from openrds.repository.logs import LogCopy, files_in
from openrds.repository.repository import Repository
from openrds.repository.sealing import MOST_BYTES

pytestmark = pytest.mark.xdist_group("s3")

PREFIX = "instances/one/log/1"


@pytest.fixture
def archive(folder: Path, user: ServerUser) -> Path:
    path = folder / "wal"
    user.make_folder(path)
    return path


def put(archive: Path, user: ServerUser, name: str, content: bytes, written: float) -> None:
    with user.acting():
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_bytes(content)
        os.utime(archive / name, (written, written))


def send(repository: Repository, archive: Path, user: ServerUser) -> LogCopy:
    copy = LogCopy(repository, PREFIX)
    copy.send(archive, user, files_in(archive, user))
    return copy


def fetched(repository: Repository, folder: Path, user: ServerUser) -> dict[str, bytes]:
    target = folder / "target"
    user.make_folder(target)
    logs.fetch(repository, PREFIX, target, user, lambda: None)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_an_archive_comes_back(repository: Repository, archive: Path, user: ServerUser, folder: Path) -> None:
    content = {
        "000000010000000000000001": secrets.token_bytes(2 * MOST_BYTES),
        "00000002.history": b"1 0/3000000 reason",
        "node/abc/0000000001-binlog.000001": secrets.token_bytes(MOST_BYTES + 1),
        ".imports/12/t0.ibd": b"table",
        "reached": b"",
    }
    for name, text in content.items():
        put(archive, user, name, text, 1000)
    for name in (".half.draft", "000000010000000000000002.tmp"):
        put(archive, user, name, b"half", 1000)

    send(repository, archive, user)

    assert fetched(repository, folder, user) == content
    assert {path.lstat().st_uid for path in (folder / "target").rglob("*")} == {user.uid}


def test_what_is_there_is_not_sent_again(
    repository: Repository, archive: Path, user: ServerUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(archive, user, "one", b"1", 1000)
    send(repository, archive, user)
    names = []
    write = Repository.write

    def note(self: Repository, name: str, content: bytes) -> int:
        names.append(name)
        return write(self, name, content)

    monkeypatch.setattr(Repository, "write", note)
    put(archive, user, "two", b"2", 1001)

    send(repository, archive, user)

    assert [name.split("/")[-2] for name in names] == ["two"]


def test_the_latest_content_counts(
    repository: Repository, archive: Path, user: ServerUser, folder: Path
) -> None:
    put(archive, user, "reached", b"1", 1000)
    send(repository, archive, user)
    put(archive, user, "reached", b"22", 2000)
    copy = send(repository, archive, user)

    assert fetched(repository, folder, user) == {"reached": b"22"}
    copy.remove_passed(files_in(archive, user), before=0)
    assert len(list(repository.sizes(PREFIX))) == 1


def test_only_what_nobody_needs_is_removed(
    repository: Repository, archive: Path, user: ServerUser, folder: Path
) -> None:
    for name, written in (("old", 1000), ("new", 3000), ("kept", 1000)):
        put(archive, user, name, name.encode(), written)
    copy = send(repository, archive, user)
    with user.acting():
        for name in ("old", "new"):
            (archive / name).unlink()

    copy.remove_passed(files_in(archive, user), before=2000)

    assert fetched(repository, folder, user) == {"new": b"new", "kept": b"kept"}


def test_a_file_of_which_a_part_is_missing_is_none(
    repository: Repository, archive: Path, user: ServerUser, folder: Path
) -> None:
    put(archive, user, "one", secrets.token_bytes(MOST_BYTES + 1), 1000)
    send(repository, archive, user)
    repository.remove([name for name, _ in repository.sizes(PREFIX) if name.endswith("-1")])

    assert fetched(repository, folder, user) == {}


@pytest.mark.parametrize("name", ["../out", "a/../../out", "..", "a b", ".", "a//b"])
def test_no_name_leads_out(name: str) -> None:
    assert logs.files_of(PREFIX, [f"{PREFIX}/{name}/1-1-0"]) == {}


@pytest.mark.parametrize("part", ["1-1", "1-1-x", "1-1-0-0", "-1-1-0", "1-99999999999999999-0"])
def test_what_is_no_part_is_nobodys(part: str) -> None:
    assert logs.files_of(PREFIX, [f"{PREFIX}/one/{part}"]) == {}
