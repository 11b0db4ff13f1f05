"""A server is fetched from an archive of the tests' own; it does nothing but name its version."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from openrds.domain.engine import EngineName
from openrds.engines import fetching
from openrds.engines.discovery import Kind
from openrds.engines.fetching import NotOffered, Recipe, Suite, fetch, suites
from openrds.engines.mysql.discovery import RECIPE as MYSQL
from openrds.hosts import apt, trees
from openrds.hosts.apt_sources import Source
from openrds.hosts.errors import HostError
from support.archives import local_archive, needs_apt

pytestmark = needs_apt

KIND = Kind(
    engine=EngineName.MYSQL,
    programs=("oddd",),
    places=("usr/sbin",),
    release=re.compile(r"odd (\d+)\.(\d+)\.(\d+)"),
    named_by=2,
    oldest=(8, 0),
)
RECIPE = Recipe(
    KIND, prefix="odd-server", server=re.compile(r"odd-server(-\d+\.\d+)?"), beside=("odd-client{}",)
)


def silent(_told: str) -> None:
    pass


def add_server(archive, name: str, version: str, said: str = "") -> None:
    said = said or version.partition("-")[0].rpartition(":")[2]
    archive.add(
        name, version, {"usr/sbin/oddd": f"#!/bin/sh\necho odd {said}\n"}, source="odd", depends="odd-libc"
    )


@pytest.fixture(scope="module")
def archive():
    with local_archive() as archive:
        add_server(archive, "odd-server-8.0", "8.0.39-0ubuntu0.22.04.1")
        add_server(archive, "odd-server", "1:9.7.4-2")
        add_server(archive, "odd-server-5.7", "5.7.44-1")
        add_server(archive, "odd-server-9.9", "9.9.9-1", said="nothing of the kind")
        archive.add("odd-server-extra", "9.8.0-1", {"usr/sbin/oddd": "x"})
        archive.add("odd-client-8.0", "8.0.39-0ubuntu0.22.04.1", {"usr/bin/odd": "#!/bin/sh\n"}, source="odd")
        archive.add("odd-libc", "1", {"usr/lib/some-gnu/ld-linux-x.so.2": "x", "usr/bin/unwanted": "x"})
        archive.publish()
        yield archive


@pytest.fixture(autouse=True)
def only_the_local_archive(archive, monkeypatch):
    monkeypatch.setattr(fetching, "sources_of_machine", lambda: (archive.source,))
    monkeypatch.setattr(fetching, "distribution", lambda: "none")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(("version", "complete"), [("8.0", "8.0.39"), ("9.7.4", "9.7.4"), ("8", "8.0.39")])
def test_a_server_is_fetched_with_its_programs_and_libraries(tmp_path, version, complete):
    told: list[str] = []
    found = fetch(RECIPE, version, tmp_path, told.append)

    home = tmp_path / f"mysql-{complete}"
    assert (found.complete_version, found.bin_dir) == (complete, home / "usr" / "sbin")
    assert trees.is_tree(home)
    assert (home / "usr/bin/odd").exists() == (version != "9.7.4")
    assert not (home / "usr/bin/unwanted").exists()
    assert names_in(tmp_path) == {home.name, ".lock"}
    assert told[0] == f"Looking for MySQL {version} in this machine's own release ..."


def test_what_is_there_is_not_fetched_again_unless_it_does_not_run(tmp_path):
    found = fetch(RECIPE, "8.0", tmp_path, silent)
    program = found.bin_dir / "oddd"
    made = program.stat()
    assert fetch(RECIPE, "8.0", tmp_path, silent) == found
    assert program.stat().st_ino == made.st_ino

    program.write_text("#!/bin/sh\nexit 1\n")
    assert fetch(RECIPE, "8.0", tmp_path, silent) == found
    assert subprocess.run([program], capture_output=True, check=True).stdout == b"odd 8.0.39\n"


def test_who_asks_for_what_there_is_not_hears_what_there_is(tmp_path):
    with pytest.raises(NotOffered, match=r"MySQL 8\.4 cannot be fetched.* has 8\.0\.39, 9\.7\.4, 9\.9\.9\.$"):
        fetch(RECIPE, "8.4", tmp_path, silent)
    assert names_in(tmp_path) == {".lock"}


def test_a_server_that_does_not_run_is_not_left(tmp_path):
    with pytest.raises(HostError, match="does not run on this machine"):
        fetch(RECIPE, "9.9", tmp_path, silent)
    assert names_in(tmp_path) == {".lock"}


def test_too_little_room_is_told_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_SPARE_BYTES", 2**60)
    with pytest.raises(HostError, match=r"MB free, and \d+ MB are needed"):
        fetch(RECIPE, None, tmp_path, silent)
    assert names_in(tmp_path) == {".lock"}


def test_two_do_not_fetch_into_one_folder_and_what_a_dead_one_left_is_removed(tmp_path):
    (tmp_path / ".fetching-dead").mkdir()
    with fetching._alone(tmp_path), pytest.raises(HostError, match="another openrds fetches"):
        fetch(RECIPE, None, tmp_path, silent)
    fetch(RECIPE, "8.0", tmp_path, silent)
    assert names_in(tmp_path) == {"mysql-8.0.39", ".lock"}


def test_an_archive_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    nowhere = Source("file:/nowhere", ("here",), ("main",))
    monkeypatch.setattr(fetching, "sources_of_machine", lambda: (nowhere,))
    with pytest.raises(NotOffered, match=r"no archive can be read.*apt said: .*nowhere"):
        fetch(RECIPE, None, tmp_path, silent)


def test_a_machine_without_archives_is_told_where_they_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "sources_of_machine", tuple)
    with pytest.raises(NotOffered, match=r"sources\.list\.d"):
        fetch(RECIPE, None, tmp_path, silent)


def test_a_machine_without_apt_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(apt.AptError, match="engine_dirs"):
        fetch(RECIPE, None, tmp_path, silent)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_ours_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(HostError, match="Permission denied"):
        fetch(RECIPE, None, tmp_path / "sub", silent)


def test_on_debian_the_newer_suites_of_the_same_archive_come_next():
    main = Source("http://a/debian", ("bookworm", "bookworm-updates"), ("main",), "/k.gpg")
    security = Source("http://a/security", ("bookworm-security",), ("main",), "/k.gpg")
    strange = Source("http://b/tools", ("any-thing",), ("main",))

    found = list(suites((strange, security, main), "debian"))

    assert found[0] == Suite("this machine's own release", (strange, security, main))
    assert found[1] == Suite("stable", (main.of("stable"), security.of("stable-security")))
    assert [suite.name for suite in found[2:]] == ["testing", "sid", "oldstable", "oldoldstable"]
    assert found[3].sources == (main.of("sid"),)
    assert [suite.name for suite in suites((main,), "ubuntu")] == ["this machine's own release", "devel"]
    assert len(list(suites((main,), "mint"))) == 1


def test_names_of_packages_with_a_version_bring_those_beside_them():
    assert MYSQL.companions("mysql-server-core-8.0") == ["mysql-client-core-8.0"]
    assert MYSQL.companions("mysql-server-core") == ["mysql-client-core"]
    assert replace(RECIPE, beside=()).companions("odd-server") == []
