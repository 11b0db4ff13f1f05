"""Which servers are found on a host. The binaries here do nothing but name their version."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from openrds.engines import discovery
from openrds.engines.discovery import Installations, fetched_dir
from openrds.engines.mariadb.discovery import KIND as MARIADB
from openrds.engines.mysql.discovery import KIND as MYSQL
from openrds.engines.postgresql.discovery import KIND as POSTGRESQL
from openrds.hosts import trees
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers
from support.folders import short_folder

#: What real ones say.
WORDS = {
    "PostgreSQL": "postgres (PostgreSQL) {}",
    "MySQL": "mysqld  Ver {} for Linux on x86_64 (MySQL Community Server - GPL)",
    "MariaDB": "mysqld  Ver {} for debian-linux-gnu on x86_64 (Debian 12)",
}


def fake(folder: Path, kind: discovery.Kind, version: str, program: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (program or kind.programs[0], *kind.companions):
        (folder / name).write_text(f"#!/bin/sh\necho '{WORDS[kind.engine].format(version)}'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def open_folder():
    folder = short_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def only_configured(monkeypatch, open_folder):
    monkeypatch.setattr(discovery, "_MACHINE", open_folder / "no-machine")
    monkeypatch.setenv("PATH", "")


def found_in(kind, folders, copies):
    bare = replace(kind, last_resorts=tuple)
    found = discovery.find_installations(bare, folders, copies, ServerUsers.choose(copies))
    return [(one.version, one.complete_version, one.bin_dir) for one in found]


def test_newest_minor_of_each_major_is_offered(open_folder):
    old = fake(open_folder / "a" / "bin", POSTGRESQL, "17.9")
    new = fake(open_folder / "b" / "bin", POSTGRESQL, "17.10")
    other = fake(open_folder / "c" / "bin", POSTGRESQL, "12.1")
    for version in ("11.22", "19beta1", "nonsense"):
        fake(open_folder / version / "bin", POSTGRESQL, version)
    folders = [
        old.parent,
        new,
        *(open_folder / name for name in ("c", "11.22", "19beta1", "nonsense", "none")),
    ]

    assert found_in(POSTGRESQL, folders, open_folder / "copies") == [
        ("12", "12.1", other),
        ("17", "17.10", new),
    ]


@pytest.mark.parametrize(
    ("said", "version", "complete"),
    [
        ("8.0.39-0ubuntu0.22.04.1", "8.0", "8.0.39"),
        ("8.4.6", "8.4", "8.4.6"),
        ("9.7.4-2", "9.7", "9.7.4"),
        ("10.11.19-MariaDB-0+deb12u1", "10.11", "10.11.19"),
        ("11.8.6-MariaDB-0+deb13u1 from Debian", "11.8", "11.8.6"),
        ("5.7.44", None, None),
        ("10.5.23-MariaDB-0+deb11u1", None, None),
    ],
)
def test_a_program_called_mysqld_is_mysql_or_mariadb_by_what_it_says(open_folder, said, version, complete):
    folder = fake(open_folder / "tree" / "usr" / "sbin", MYSQL, said, "mysqld")
    is_mariadb = "MariaDB" in said
    expected = [(version, complete, folder)] if version else []

    trees_ = [open_folder / "tree"]
    assert found_in(MYSQL, trees_, open_folder / "copies") == ([] if is_mariadb else expected)
    assert found_in(MARIADB, trees_, open_folder / "copies") == (expected if is_mariadb else [])


def test_versions_are_in_the_order_of_their_numbers(open_folder):
    for version in ("11.4.2-MariaDB", "10.6.1-MariaDB", "10.11.3-MariaDB"):
        fake(open_folder / version / "sbin", MARIADB, version)
    folders = list(open_folder.iterdir())
    assert [version for version, _, _ in found_in(MARIADB, folders, open_folder / "copies")] == [
        "10.6",
        "10.11",
        "11.4",
    ]


def test_a_server_that_was_fetched_meanwhile_is_found(open_folder):
    users = ServerUsers.choose(open_folder)
    installations = Installations(MYSQL, open_folder, (), users)
    assert installations() == ()

    home = fetched_dir(open_folder) / "mysql-9.7.4"
    fake(home / "usr" / "sbin", MYSQL, "9.7.4")
    trees.write_manifest(home, {})
    assert [one.complete_version for one in installations()] == ["9.7.4"]

    newer = fetched_dir(open_folder) / "mysql-9.7.5"
    fake(newer / "usr" / "sbin", MYSQL, "9.7.5")
    trees.write_manifest(newer, {})
    assert [one.complete_version for one in installations()] == ["9.7.5"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into any folder")
def test_folders_that_are_closed_to_us_are_passed_over(open_folder, monkeypatch):
    closed = fake(open_folder / "closed" / "bin", POSTGRESQL, "17.1").parent
    monkeypatch.setenv("PATH", str(closed / "bin"))
    closed.chmod(0)
    try:
        assert found_in(POSTGRESQL, [closed], open_folder / "copies") == []
    finally:
        closed.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_binaries_that_the_server_user_cannot_reach_are_copied_once(open_folder):
    bin_dir = fake(open_folder / "private" / "package" / "tree" / "bin", POSTGRESQL, "17.1")
    libraries = open_folder / "private" / "package.libs"
    libraries.mkdir()
    (libraries / "libpq.so").write_text("")
    (bin_dir / "postgres").chmod(0o700)
    (open_folder / "private").chmod(0o700)
    copies = open_folder / "copies"

    expected = copies / "postgresql-17.1" / "package" / "tree" / "bin"
    assert found_in(POSTGRESQL, [bin_dir], copies) == [("17", "17.1", expected)]
    made = (expected / "postgres").stat()
    assert found_in(POSTGRESQL, [bin_dir], copies) == [("17", "17.1", expected)]

    assert (expected / "postgres").stat() == made
    assert (expected / "../../../package.libs/libpq.so").resolve().exists()
    assert [path.name for path in copies.iterdir()] == ["postgresql-17.1"]
    identity = ServerUser.choose().identity()
    asked = subprocess.run([expected / "postgres", "--version"], capture_output=True, check=True, **identity)
    assert b"17.1" in asked.stdout
