"""Copies of base backups: what comes back is what was sent, what is there is not sent again, nothing leads out."""

import os
import secrets
from pathlib import Path

import msgspec
import pytest

from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home
from openrds.hosts.user import ServerUser
from openrds.repository import copies
from openrds.repository.copies import Manifest, Part
from openrds.repository.errors import NotInRepositoryError, RepositoryError, StrangeObjectError
from openrds.repository.repository import Repository
from openrds.repository.sealing import MOST_BYTES
from openrds.repository.trees import Entry
from support.s3 import S3, relay

pytestmark = pytest.mark.xdist_group("s3")

PREFIX = "instances/one/backups/two"


def nothing() -> None:
    pass


def fill(home: Path, user: ServerUser) -> None:
    (home / "backup.json").write_bytes(b"{}")
    with user.acting():
        for name in ("base/5", "pg_wal", "my@002ddb", "empty"):
            (home / "data" / name).mkdir(parents=True)
        (home / "data/base/5/large").write_bytes(secrets.token_bytes(2 * MOST_BYTES + 5))
        (home / "data/base/5/zeros").write_bytes(bytes(MOST_BYTES))
        (home / "data/nothing").touch()
        (home / "data/#odd %41\n").write_bytes(b"odd")
        (home / "data" / os.fsdecode(b"no\xfftext")).write_bytes(b"no text")
        (home / "data/nothing").chmod(0o640)


def contents(home: Path) -> dict[str, tuple[int, int, bytes | None]]:
    return {
        str(path.relative_to(home)): (
            path.lstat().st_mode,
            path.lstat().st_uid,
            path.read_bytes() if path.is_file() else None,
        )
        for path in home.rglob("*")
    }


@pytest.fixture
def target(folder: Path) -> Path:
    path = folder / "target"
    make_home(path)
    return path


def written(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is put into it from now on."""
    names: list[str] = []
    put = type(repository.objects).put

    def note(objects, name: str, content: bytes) -> None:
        put(objects, name, content)
        names.append(name)

    monkeypatch.setattr(type(repository.objects), "put", note)
    return names


def test_a_folder_comes_back_as_it_was(
    repository: Repository, home: Path, target: Path, user: ServerUser
) -> None:
    fill(home, user)

    sent = copies.send(repository, PREFIX, home, user, nothing)
    copies.fetch(repository, PREFIX, target, user, nothing)

    assert contents(target) == contents(home)
    assert sent == dict(repository.sizes(PREFIX))
    assert sum(sent.values()) < 2.1 * MOST_BYTES, "zeros take next to nothing"


def test_what_is_there_is_not_sent_again(
    repository: Repository, home: Path, target: Path, user: ServerUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, user)
    sent = 0

    def cut_off() -> None:
        nonlocal sent
        sent += 1
        if sent > 3:
            raise RepositoryError("cut off")

    with pytest.raises(RepositoryError, match="cut off"):
        copies.send(repository, PREFIX, home, user, cut_off)
    there = {name for name, _ in repository.sizes(PREFIX)}
    with pytest.raises(NotInRepositoryError):
        copies.read_manifest(repository, PREFIX)

    names = written(repository, monkeypatch)
    sent_in_all = copies.send(repository, PREFIX, home, user, nothing)

    assert there and not there & set(names)
    assert set(names) == sent_in_all.keys() - there
    copies.fetch(repository, PREFIX, target, user, nothing)
    assert contents(target) == contents(home)


def test_a_cut_connection_is_gone_on_from(
    s3: S3, open_s3, home: Path, target: Path, user: ServerUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, user)
    with relay(s3.port) as line:
        through = open_s3(line.endpoint)
        line.budget = line.sent + int(1.5 * MOST_BYTES)
        with pytest.raises(RepositoryError, match="cannot be used"):
            copies.send(through, PREFIX, home, user, nothing)

    direct = open_s3()
    there = {name for name, _ in direct.sizes(PREFIX)}
    names = written(direct, monkeypatch)
    copies.send(direct, PREFIX, home, user, nothing)

    assert not there & set(names)
    copies.fetch(direct, PREFIX, target, user, nothing)
    assert contents(target) == contents(home)


def test_what_a_cut_off_transfer_left_of_something_else_is_replaced(
    repository: Repository, home: Path, target: Path, user: ServerUser
) -> None:
    fill(home, user)
    repository.write(copies.part_name(PREFIX, 0), b"of an earlier attempt")
    repository.objects.put(copies.part_name(PREFIX, 1), b"of somebody else")

    copies.send(repository, PREFIX, home, user, nothing)
    copies.fetch(repository, PREFIX, target, user, nothing)

    assert contents(target) == contents(home)


def test_parts_that_changed_places_are_refused(
    repository: Repository, home: Path, target: Path, user: ServerUser
) -> None:
    fill(home, user)
    copies.send(repository, PREFIX, home, user, nothing)
    first, second = (copies.part_name(PREFIX, number) for number in (0, 1))
    one, two = repository.objects.get(first), repository.objects.get(second)
    repository.objects.put(first, two)
    repository.objects.put(second, one)

    with pytest.raises(StrangeObjectError):
        copies.fetch(repository, PREFIX, target, user, nothing)


def test_a_missing_part_is_noticed(
    repository: Repository, home: Path, target: Path, user: ServerUser
) -> None:
    fill(home, user)
    copies.send(repository, PREFIX, home, user, nothing)
    repository.remove([copies.part_name(PREFIX, 1)])

    with pytest.raises(NotInRepositoryError):
        copies.fetch(repository, PREFIX, target, user, nothing)


def test_what_is_no_file_is_not_copied(repository: Repository, home: Path, user: ServerUser) -> None:
    with user.acting():
        (home / "data/link").symlink_to("/etc/shadow")

    with pytest.raises(HostError, match="neither a file nor a folder"):
        copies.send(repository, PREFIX, home, user, nothing)


@pytest.mark.parametrize(
    "path", ["../out", "/etc/out", "data/../../out", "data//out", "data/.", "", "data/a%00b"]
)
def test_no_name_leads_out(repository: Repository, target: Path, user: ServerUser, path: str) -> None:
    """Also one that was sealed with our key, should somebody else have that."""
    manifest = Manifest((Entry("data", 0o700), Entry(path, 0o600, 1)), (Part(1, 1, "x"),))
    repository.write_large(f"{PREFIX}/manifest", msgspec.json.encode(manifest))

    with pytest.raises(RepositoryError, match="is no name of a file"):
        copies.fetch(repository, PREFIX, target, user, nothing)
    assert not (target.parent / "out").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_planted_link_leads_nowhere(
    repository: Repository, home: Path, target: Path, user: ServerUser, folder: Path
) -> None:
    """Whoever runs as the user may put a link in a folder's place while we are at work."""
    (folder / "ours").mkdir(mode=0o700)
    manifest = Manifest(
        (Entry("data", 0o700), Entry("data/link/planted", 0o600, 1)),
        (Part(1, 1, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),),
    )
    repository.write(copies.part_name(PREFIX, 0), b"x")
    user.make_folder(target / "data")
    with user.acting():
        (target / "data/link").symlink_to(folder / "ours")

    with pytest.raises(PermissionError):
        copies.fetch(repository, PREFIX, target, user, nothing, manifest)
    assert not list((folder / "ours").iterdir())
