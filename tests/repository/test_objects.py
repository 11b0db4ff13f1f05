"""What is in a repository is sealed, bound to its name, and read back; what cannot be used is said in words."""

import asyncio
import datetime as dt
import os
import secrets
import subprocess
import urllib.request
from pathlib import Path

import obstore
import pytest

from openrds.repository import keys
from openrds.repository.errors import NotInRepositoryError, RepositoryError, StrangeObjectError
from openrds.repository.objects import check_url
from openrds.repository.repository import Repository, open_repository
from openrds.repository.sealing import MOST_BYTES, seal, unseal
from support.s3 import S3, relay

pytestmark = pytest.mark.xdist_group("s3")


def test_what_is_written_is_read_again(repository: Repository) -> None:
    contents = {"one": b"", "some/where/two": b"words " * 1000, "three": secrets.token_bytes(MOST_BYTES)}
    for name, content in contents.items():
        repository.write(name, content)

    assert {name: repository.read(name) for name in contents} == contents
    assert {name for name, _ in repository.sizes("some")} == {"some/where/two"}


def test_nothing_of_it_is_there_in_clear(repository: Repository) -> None:
    repository.write("name", b"a tenant's words " * 100)

    stored = repository.objects.get("name")
    assert b"tenant" not in stored
    assert len(stored) < 1000, "it is compressed before it is sealed"


def test_the_same_content_is_never_the_same_there(repository: Repository) -> None:
    repository.write("name", b"content")
    before = repository.objects.get("name")
    repository.write("name", b"content")

    assert repository.objects.get("name") != before


def test_an_object_opens_in_its_own_place_only(repository: Repository) -> None:
    repository.write("backups/1", b"old")
    repository.objects.put("backups/2", repository.objects.get("backups/1"))

    with pytest.raises(StrangeObjectError, match="was replaced"):
        repository.read("backups/2")


@pytest.mark.parametrize("byte", [0, 8, 39, 40, -1])
def test_a_changed_byte_is_found(repository: Repository, byte: int) -> None:
    repository.write("name", b"content")
    stored = bytearray(repository.objects.get("name"))
    stored[byte] ^= 1
    repository.objects.put("name", bytes(stored))

    with pytest.raises(StrangeObjectError):
        repository.read("name")


@pytest.mark.parametrize("left", [0, 8, 40, 41, 60])
def test_what_was_cut_is_found(left: int) -> None:
    key = secrets.token_bytes(32)
    sealed = seal("name", b"content" * 10, key)

    with pytest.raises(StrangeObjectError):
        unseal("name", sealed[:left], key)


def test_what_is_large_is_there_as_a_whole_or_not(repository: Repository) -> None:
    content = secrets.token_bytes(MOST_BYTES + 17)
    repository.write_large("large", content)

    assert repository.read_large("large", len(content)) == content
    with pytest.raises(RepositoryError, match="more than"):
        repository.read_large("large", MOST_BYTES)
    repository.write("large.1", b"x" * 17)
    with pytest.raises(StrangeObjectError, match="different times"):
        repository.read_large("large", len(content))


def test_what_is_large_and_written_anew_is_the_old_until_it_is_the_new(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = secrets.token_bytes(MOST_BYTES + 17), b"new"
    repository.write_large("large", old)
    put = type(repository.objects).put

    def cut_off(objects, name: str, content: bytes) -> None:
        if name == "large":
            raise RepositoryError("cut off")
        put(objects, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(type(repository.objects), "put", cut_off)
        with pytest.raises(RepositoryError, match="cut off"):
            repository.write_large("large", new)
    assert repository.read_large("large", len(old)) == old
    for content in (new, old):
        written = repository.write_large("large", content)
        assert repository.read_large("large", len(content)) == content
        assert {"large", *repository.pieces("large")} == set(written)
    repository.write_large("other", old)
    repository.remove_large("large")
    assert not [name for name, _ in repository.sizes("") if name.startswith("large")]


def test_what_is_removed_is_gone(repository: Repository) -> None:
    for name in ("a/1", "a/2", "ab/1"):
        repository.write(name, b"content")

    repository.remove_below("a")
    repository.remove(["a/1", "never/there"])

    with pytest.raises(NotInRepositoryError):
        repository.read("a/1")
    assert {name for name, _ in repository.sizes("ab")} == {"ab/1"}
    assert list(repository.sizes("a")) == []


def test_another_key_opens_nothing(repository: Repository, folder: Path) -> None:
    repository.claim()
    other = Repository(repository.objects, keys.make_key(folder / "other"))

    with pytest.raises(RepositoryError, match="The key is not that of the backup repository"):
        other.service()


def test_no_key_is_made_beside_a_repository_that_has_one(folder: Path) -> None:
    place = folder / "place"
    place.mkdir(mode=0o700)
    url = f"file://{place}"
    open_repository(url, None, folder / "key", may_make_key=True).claim()

    with pytest.raises(RepositoryError, match="their key is missing"):
        open_repository(url, None, folder / "other", may_make_key=True)
    assert not (folder / "other").exists()


def test_who_takes_it_over_is_known(repository: Repository) -> None:
    assert repository.service() is None
    first = repository.claim()
    assert repository.service() == first
    assert repository.claim() != first
    assert repository.service() != first


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    keys.make_key(folder / "key")
    (folder / "key").chmod(0o640)

    with pytest.raises(RepositoryError, match="chmod 600"):
        keys.read_key(folder / "key")


@pytest.mark.parametrize("text", ["", "words", "openrds-repository-key-1:AAAA", "A" * 44])
def test_what_is_no_key_is_refused(folder: Path, text: str) -> None:
    (folder / "key").write_text(text)
    (folder / "key").chmod(0o600)

    with pytest.raises(RepositoryError, match="holds no key"):
        keys.read_key(folder / "key")


@pytest.mark.parametrize(
    "url",
    ["", "backups", "/srv/backups", "file://srv/backups", "file:///", "ftp://host/place", "s3:///prefix",
     "s3://key:secret@bucket/prefix", "s3://bucket/prefix?x=1", "http://host/bucket"],
)  # fmt: skip
def test_what_is_no_repository_is_refused(url: str) -> None:
    with pytest.raises(RepositoryError) as refused:
        check_url(url)
    assert "secret" not in str(refused.value)


def test_a_folder_that_others_may_write_to_is_refused(folder: Path) -> None:
    place = folder / "place"
    place.mkdir()
    place.chmod(0o777)

    with pytest.raises(RepositoryError, match="Others may write"):
        open_repository(f"file://{place}", None, folder / "key", may_make_key=True)


def test_a_folder_that_is_missing_is_refused(folder: Path) -> None:
    with pytest.raises(RepositoryError, match="No such file"):
        open_repository(f"file://{folder}/none", None, folder / "key", may_make_key=True)


def test_keys_that_are_refused_are_said(open_s3) -> None:
    repository = open_s3()
    repository.claim()

    with pytest.raises(RepositoryError, match="the secret key is wrong") as refused:
        open_s3(aws_secret_access_key="another-secret")
    assert "another-secret" not in str(refused.value)
    with pytest.raises(RepositoryError, match="the access key is not known"):
        open_s3(aws_access_key_id="nobody")


def test_a_bucket_that_is_missing_is_said(open_s3) -> None:
    with pytest.raises(RepositoryError, match="the bucket does not exist"):
        open_s3(url="s3://nowhere/prefix")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_place_that_is_full_is_said_and_is_used_again(folder: Path) -> None:
    place = folder / "place"
    place.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "none", str(place))
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        repository = open_repository(f"file://{place}", None, folder / "key", may_make_key=True)
        repository.write("small", b"content")
        with pytest.raises(RepositoryError, match="No space left"):
            repository.write("large", secrets.token_bytes(MOST_BYTES))

        with pytest.raises(NotInRepositoryError):
            repository.read("large")
        assert repository.read("small") == b"content"
        repository.write("other", b"content")
    finally:
        subprocess.run(("umount", str(place)), check=True)


def test_an_unknown_option_is_said(open_s3) -> None:
    with pytest.raises(RepositoryError, match="bogus"):
        open_s3(bogus="1")


def test_a_server_that_cuts_connections_is_said(s3: S3, open_s3) -> None:
    with relay(s3.port) as line:
        repository = open_s3(line.endpoint)
        repository.write("name", b"content")
        line.budget = line.sent + 2**20

        with pytest.raises(RepositoryError, match="cannot be used"):
            repository.write("large", secrets.token_bytes(MOST_BYTES))

    assert "large" not in {name for name, _ in open_s3().sizes("")}, "an object is there as a whole or not"


def test_a_storage_that_loses_what_it_was_given_is_noticed(s3: S3, open_s3, monkeypatch) -> None:
    repository = open_s3()
    put = type(repository.objects).put

    def forget_the_end(objects, name: str, content: bytes) -> None:
        put(objects, name, content[:-1])

    monkeypatch.setattr(type(repository.objects), "put", forget_the_end)
    with pytest.raises(RepositoryError, match="is not what was written"):
        repository.write("name", b"content")


def test_a_link_gives_the_object_to_whoever_has_it(s3: S3, open_s3) -> None:
    repository = open_s3()
    repository.write("name", b"content")

    (link,) = asyncio.run(repository.objects.links(["name"], dt.timedelta(minutes=5)))

    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == repository.objects.get("name")
    assert obstore.head(s3.store("first"), f"{repository.address.removeprefix('s3://first/')}/name")
