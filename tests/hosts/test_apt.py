"""The machine's archives, and an archive of the tests' own in a folder: real packages, signed with a real key."""

import os
import subprocess
from dataclasses import replace

import pytest

from openrds.hosts import apt
from openrds.hosts.apt import Apt, AptError
from openrds.hosts.apt_sources import Source, sources_of_machine
from support.archives import local_archive, needs_apt


@pytest.fixture(scope="module")
def archive():
    with local_archive() as archive:
        archive.add(
            "server", "1:9.7.4-2", {"usr/sbin/serverd": "#!/bin/sh\n"}, source="db", depends="library"
        )
        archive.add("library", "1.0", {"usr/lib/x/libx.so.1": "x", "usr/bin/tool": "x"}, mode=0o4755)
        archive.publish()
        yield archive


@needs_apt
def test_a_package_comes_with_what_it_needs(archive, tmp_path):
    known = Apt(tmp_path / "apt", [archive.source])
    known.update()
    assert known.names("ser") == ["server"]
    assert [(one.name, one.version) for one in known.newest(["server", "none"])] == [("server", "1:9.7.4-2")]
    assert {one.name for one in known.needed(["server"])} == {"server", "library"}
    files = known.fetch(["server"])
    assert [(file.name, file.source) for file in files] == [("library", "library"), ("server", "db")]


@needs_apt
def test_of_what_is_needed_only_libraries_are_unpacked_and_nothing_acts_as_root(archive, tmp_path):
    known = Apt(tmp_path / "apt", [archive.source])
    known.update()
    root = tmp_path / "root"
    for file in known.fetch(["server"]):
        apt.unpack(file, root, tmp_path / "draft", whole=file.name == "server")
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == {
        "usr/sbin/serverd",
        "usr/lib/x/libx.so.1",
    }
    assert not (tmp_path / "draft").exists()


@needs_apt
def test_what_is_not_signed_is_not_taken(tmp_path):
    with local_archive() as unsigned:
        unsigned.add("server", "1.0", {"usr/sbin/serverd": "x"})
        unsigned.publish(signed=False)
        with pytest.raises(AptError, match="not signed"):
            Apt(tmp_path / "apt", [unsigned.source]).update()
        unsigned.publish()
        stranger = replace(unsigned.source, signed_by="/nowhere/key.gpg")
        with pytest.raises(AptError):
            Apt(tmp_path / "apt2", [stranger]).update()


@needs_apt
def test_a_package_that_was_changed_behind_the_signature_is_not_taken(tmp_path):
    with local_archive() as archive:
        archive.add("server", "1.0", {"usr/sbin/serverd": "x"})
        archive.publish()
        known = Apt(tmp_path / "apt", [archive.source])
        known.update()
        with (archive.folder / "server.deb").open("ab") as file:
            file.write(b"more")
        with pytest.raises(AptError):
            known.fetch(["server"])


@needs_apt
def test_an_archive_that_cannot_be_reached_is_told(tmp_path):
    with pytest.raises(AptError, match="nowhere"):
        Apt(tmp_path / "apt", [Source("file:/nowhere", ("here",), ("main",))]).update()


def test_a_machine_without_apt_is_told_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AptError, match="engine_dirs"):
        apt.require_apt()


def test_sources_are_read_in_both_forms(tmp_path):
    (tmp_path / "sources.list").write_text(
        "deb [signed-by=/k.gpg arch=amd64 trusted=yes] http://a/debian bookworm main contrib # ours\n"
        "# deb http://off/debian bookworm main\n"
        "deb-src http://a/debian bookworm main\n"
        "deb http://s/security bookworm-security main\n"
        "deb http://flat ./\n"
    )
    more = tmp_path / "sources.list.d"
    more.mkdir()
    (more / "u.sources").write_text(
        "# of Ubuntu\nTypes: deb deb-src\nURIs: http://u/ubuntu http://v/ubuntu\nSuites: noble noble-updates\n"
        "Components: main universe\nTrusted: yes\nSigned-By:\n -----BEGIN\n .\n abc\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off/\nSuites: x\nComponents: main\n"
    )
    (more / "old.list.disabled").write_text("deb http://off/debian bookworm main\n")
    keys = "\n -----BEGIN\n .\n abc"
    ubuntu = (("noble", "noble-updates"), ("main", "universe"), keys)

    found = sources_of_machine(tmp_path)

    assert found == (
        Source("http://a/debian", ("bookworm",), ("main", "contrib"), "/k.gpg"),
        Source("http://s/security", ("bookworm-security",), ("main",)),
        Source("http://u/ubuntu", *ubuntu),
        Source("http://v/ubuntu", *ubuntu),
    )
    assert "rusted" not in "".join(source.stanza() for source in found)
    assert found[2].stanza().endswith(f"Signed-By: {keys}\n\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be told to look away")
@needs_apt
def test_apt_is_told_nothing_of_the_machine(archive, tmp_path):
    """What is installed is not looked at, so that it is all fetched, and nothing of it is written."""
    known = Apt(tmp_path / "apt", [archive.source])
    said = subprocess.run(
        ["apt-config", "dump"],
        env={"APT_CONFIG": str(tmp_path / "apt" / "apt.conf"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert known.complaints == ""
    assert f'Dir::State::status "{tmp_path}' in said
    assert "Post-Invoke" not in said
