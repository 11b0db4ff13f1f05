"""`openrds engine`: what there is, and how to get the rest."""

import re
from pathlib import Path

import pytest
from cli_support import fake_api, run, write_credentials

from openrds.domain.engine import EngineName
from openrds.engines import discovery, fetching, registry
from openrds.engines.discovery import Kind
from openrds.engines.fetching import Recipe
from support.archives import local_archive, needs_apt


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch, tmp_path):
    for name in ("OPENRDS_CREDENTIALS", "OPENRDS_DATA_DIR", "OPENRDS_ENGINE_DIRS"):
        monkeypatch.delenv(name, raising=False)


def test_list_says_how_to_get_what_is_not_there(tmp_path):
    with fake_api() as api:
        for engine in EngineName:
            versions = ["15", "17"] if engine is EngineName.POSTGRESQL else []
            api.answer(
                f"datastores/{engine}", {"dataStores": [{"id": "1", "name": name} for name in versions]}
            )
        credentials = str(write_credentials(tmp_path, api.endpoint))
        lines = run("engine", "list", "--credentials", credentials).out.splitlines()
        listed = run("engine", "list", "--credentials", credentials, "-o", "json").json
    assert lines[1:] == [
        "MySQL       none here  openrds engine install mysql",
        "PostgreSQL  15, 17     openrds engine install postgresql",
        "SQLServer   none here  -",
        "MariaDB     none here  openrds engine install mariadb",
    ]
    assert [one["name"] for one in listed["PostgreSQL"]] == ["15", "17"]


@pytest.mark.parametrize(
    "wanted", ["oracle", "sqlserver", "mysql=", "mysql=latest", "mysql 8.0", "mysql=8.0.1.2"]
)
def test_what_cannot_be_wanted_is_a_usage_problem(tmp_path, wanted):
    result = run("engine", "install", wanted, "--into", str(tmp_path / "servers"))
    assert result.code == 2
    assert "ENGINE one of mysql, postgresql, mariadb" in result.err
    assert not (tmp_path / "servers").exists()


def test_without_a_place_both_ways_to_name_one_are_told():
    result = run("engine", "install", "mysql")
    assert result.code == 2
    assert "--data-dir" in result.err
    assert "--into" in result.err


def test_a_machine_without_apt_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    result = run("engine", "install", "mysql", "--into", str(tmp_path))
    assert (result.code, result.out) == (1, "")
    assert "this machine has no apt-get" in result.err


@pytest.fixture
def mysql_in_archive(monkeypatch):
    """The machine's archive has MySQL 9.7.4, of a kind."""
    kind = Kind(EngineName.MYSQL, ("oddd",), ("usr/sbin",), re.compile(r"odd (\d+)\.(\d+)\.(\d+)"), 2, (8, 0))
    recipe = Recipe(kind, prefix="odd-server", server=re.compile("odd-server()"))
    with local_archive() as archive:
        archive.add(
            "odd-server", "9.7.4-2", {"usr/sbin/oddd": "#!/bin/sh\necho odd 9.7.4\n"}, depends="odd-libc"
        )
        archive.add("odd-libc", "1", {"usr/lib/some-gnu/ld-linux-x.so.2": "x"})
        archive.publish()
        monkeypatch.setitem(registry._RECIPES, EngineName.MYSQL, recipe)
        monkeypatch.setattr(discovery, "_MACHINE", Path("/nowhere"))
        monkeypatch.setattr(fetching, "sources_of_machine", lambda: (archive.source,))
        monkeypatch.setattr(fetching, "distribution", lambda: "none")
        yield


@needs_apt
@pytest.mark.usefixtures("mysql_in_archive")
def test_what_is_installed_is_listed_and_in_the_data_directory(tmp_path, monkeypatch):
    """A data directory that no service has used yet is made, and may be served from later."""
    data_dir = tmp_path / "data"
    missing = run("engine", "install", "mysql=8.0", "--data-dir", str(data_dir))
    done = run("engine", "install", "MySQL=9.7", "--data-dir", str(data_dir))
    monkeypatch.setenv("OPENRDS_DATA_DIR", str(data_dir))
    listed = run("engine", "list", "--here", "-o", "json")

    folder = data_dir / "engines" / "mysql-9.7.4" / "usr" / "sbin"
    assert missing.code == 1
    assert "has 9.7.4" in missing.err
    assert (done.code, done.out) == (0, f"MySQL 9.7.4: {folder}\n")
    assert "Fetching MySQL 9.7.4: 2 packages" in done.err
    expected = {"engine": "MySQL", "version": "9.7", "complete_version": "9.7.4", "folder": str(folder)}
    assert expected in listed.json


@needs_apt
@pytest.mark.usefixtures("mysql_in_archive")
def test_a_service_that_runs_knows_what_is_installed_when_the_command_ends(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with fake_api() as api:
        write_credentials(data_dir, api.endpoint)
        api.answer("datastores/MySQL", {"dataStores": []}, {"dataStores": [{"id": "1", "name": "9.7"}]})
        done = run("engine", "install", "mysql", "--data-dir", str(data_dir))
    assert done.code == 0
    assert "does not know it yet" not in done.err
    assert len(api.requests) == 2
