"""What every engine promises, asked of real servers."""

import concurrent.futures
import multiprocessing
import os
import signal
import socket
import sys
import time
from dataclasses import replace

import pytest

from openrds.domain.logs import LogKind
from openrds.engines.protocol import EngineError
from openrds.hosts import processes
from openrds.hosts.consumption import consumption_of
from openrds.hosts.images import ImageVolumes, detach
from openrds.hosts.processes import wait_until
from openrds.hosts.volumes import FolderVolumes
from support.engines import initialise
from support.means import needs_images

pytestmark = pytest.mark.grouped_by("installed")


@pytest.mark.every_engine
def test_two_data_directories_are_no_copies_of_each_other(trial):
    trial = replace(trial, copies=False)
    first, second = trial.started(), trial.started()

    assert trial.query(first, trial.dialect.identity) != trial.query(second, trial.dialect.identity)


@pytest.mark.every_engine
def test_initialise_again_keeps_what_is_there(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE kept (x int)")
    server.stop()

    trial.engine.initialise(server.node)
    server.start()

    assert trial.query(server, "SELECT count(*) FROM kept") == 0


def test_initialise_refuses_a_folder_with_something_else(trial):
    node = trial.node()
    node.data_dir.mkdir()
    (node.data_dir / "diary").write_text("mine")

    with pytest.raises(EngineError, match="not empty"):
        trial.engine.initialise(node)

    assert (node.data_dir / "diary").read_text() == "mine"


@pytest.mark.every_engine
def test_interrupted_initialise_leaves_nothing_that_looks_finished(trial, eventually):
    node = trial.node()
    # Who signs certificates stays in this process.
    arguments = (trial.dialect.engine, trial.folder, replace(node, tls=None))
    child = multiprocessing.get_context("spawn").Process(target=initialise, args=arguments)
    child.start()
    eventually(lambda: any(node.folder.iterdir()))
    child.kill()
    child.join()
    child.close()
    assert not node.data_dir.exists()

    trial.engine.initialise(node)
    server = trial.engine.server(node)
    server.configure()
    server.start()

    assert server.answers()


@pytest.mark.every_engine
def test_data_is_checksummed(shared):
    trial, server = shared

    assert trial.query(server, trial.dialect.checksums)


@pytest.mark.every_engine
def test_start_twice_is_one_server(trial):
    server = trial.started()
    record = (server.node.folder / "process").read_text()

    server.start()
    trial.engine.server(server.node).start()

    assert (server.node.folder / "process").read_text() == record
    assert trial.query(server, "SELECT 1") == 1


def test_two_starts_at_once_are_one_server(trial):
    server = trial.initialised()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for start in [pool.submit(trial.engine.server(server.node).start) for _ in range(2)]:
            start.result()

    assert server.answers()
    server.stop()
    assert not server.is_running()


def test_stop_twice(trial):
    server = trial.started()

    server.stop()
    server.stop()

    assert not server.is_running()


@pytest.mark.every_engine
def test_stop_cuts_clients_and_keeps_what_they_committed(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE kept AS SELECT 7 AS x")
    with trial.client(server) as client:
        client.execute("SELECT 1")
        server.stop()
        with pytest.raises(trial.dialect.Refused):
            client.execute("SELECT 1")

    server.start()

    assert trial.query(server, "SELECT x FROM kept") == 7


@pytest.mark.every_engine
def test_is_running_and_answers_tell_the_truth(trial):
    server = trial.initialised()
    assert (server.is_running(), server.answers()) == (False, False)
    server.start()
    assert (server.is_running(), server.answers()) == (True, True)
    trial.kill(server)
    assert (server.is_running(), server.answers()) == (False, False)
    server.start()
    server.stop()
    assert (server.is_running(), server.answers()) == (False, False)


@pytest.mark.every_engine
def test_a_stopped_process_hangs_until_it_is_killed(trial):
    server = trial.initialised()
    assert not server.hangs()
    server.start()
    assert not server.hangs()
    process = processes.find(server.node.folder / processes.RECORD)
    assert process is not None
    process.send(signal.SIGSTOP)
    assert server.hangs()
    assert server.is_running()
    server.kill()
    assert not server.is_running()
    assert not server.hangs()
    server.start()
    assert server.answers()


@pytest.mark.every_engine
def test_a_server_that_does_not_end_is_killed_in_time(trial, monkeypatch):
    """It may have minutes of work to do, or hang: whoever stops it is not held for ever, and nothing is lost."""
    server = trial.started()
    trial.query(server, trial.dialect.rows("kept", 1000))
    for module in {sys.modules[kind.__module__] for kind in type(server).__mro__}:
        if hasattr(module, "_STOP_SECONDS"):
            monkeypatch.setattr(module, "_STOP_SECONDS", 0.2)
    monkeypatch.setattr(processes, "_KILL_SECONDS", 2.0)
    process = processes.find(server.node.folder / processes.RECORD)
    assert process is not None
    process.send(signal.SIGSTOP)

    server.stop()

    assert not server.is_running()
    server.start()
    assert trial.query(server, "SELECT count(*) FROM kept") == 1000


@pytest.mark.every_engine
def test_committed_data_survives_a_kill(trial):
    server = trial.started()
    trial.query(server, trial.dialect.rows("kept", 1000))
    trial.kill(server)

    server.start()

    assert trial.query(server, "SELECT count(*) FROM kept") == 1000


def test_a_server_killed_at_work_is_cleared_away_before_the_next(trial):
    server = trial.started()
    with concurrent.futures.ThreadPoolExecutor(1) as pool, trial.client(server) as client:
        busy = pool.submit(client.execute, trial.dialect.busy)
        trial.kill(server)
        server.start()
        with pytest.raises(trial.dialect.Refused):
            busy.result(timeout=30)

    assert trial.query(server, "SELECT 1") == 1


@pytest.mark.every_engine
def test_administrator_can_do_its_work(shared):
    trial, server = shared

    assert not trial.query(server, trial.dialect.is_privileged)
    trial.query(server, "CREATE TABLE things (x int)")
    trial.query(server, "CREATE DATABASE shop")
    trial.query(server, "CREATE TABLE things (x int)", database="shop")


@pytest.mark.of_engines("PostgreSQL", "MySQL")
def test_administrator_makes_users(shared):
    """With MariaDB it may not: there a user can be made only by who may remove any."""
    trial, server = shared
    trial.query(server, "CREATE TABLE seen_by_clerks (x int)")

    for statement in trial.dialect.make_user("clerk", "Other#Word_2", "seen_by_clerks"):
        trial.query(server, statement)

    clerk = {"user": "clerk", "password": "Other#Word_2"}
    assert trial.query(server, "SELECT count(*) FROM seen_by_clerks", **clerk) == 0


@pytest.mark.every_engine
def test_wrong_password_is_refused(shared):
    trial, server = shared

    with pytest.raises(trial.dialect.Refused, match=trial.dialect.wrong_password):
        trial.query(server, "SELECT 1", password="Wrong#Word_1")


@pytest.mark.every_engine
def test_openrds_own_user_is_refused_over_tcp(shared):
    trial, server = shared

    with pytest.raises(trial.dialect.Refused, match=trial.dialect.not_over_tcp):
        trial.query(server, "SELECT 1", user=trial.dialect.service_user)


@pytest.mark.every_engine
def test_set_administrator_again_changes_the_password(trial):
    server = trial.started()

    server.set_administrator("root", trial.engine.seal_password("Other#Word_2"))

    assert trial.query(server, "SELECT 1", password="Other#Word_2") == 1
    with pytest.raises(trial.dialect.Refused):
        trial.query(server, "SELECT 1")


@pytest.mark.every_engine
def test_administrator_may_have_any_name(shared):
    trial, server = shared

    server.set_administrator("""o'b"r 1""", trial.engine.seal_password("Other#Word_2"))

    assert trial.query(server, "SELECT 1", user="""o'b"r 1""", password="Other#Word_2") == 1


@pytest.mark.every_engine
def test_passwords_are_in_no_file(trial):
    server = trial.started()
    sealed = trial.engine.seal_password("Other#Word_2")
    server.set_administrator("root", sealed)
    server.stop()

    files = [path for path in server.node.folder.rglob("*") if path.is_file()]
    logs = [path for path in files if path.suffix in (".log", ".csv")]
    assert logs
    assert not any(
        b"Secret#Word_1" in path.read_bytes() or b"Other#Word_2" in path.read_bytes() for path in files
    )
    assert not any(sealed.encode() in path.read_bytes() for path in logs)


@pytest.mark.parametrize("memory_mb", [2048, 4096])
def test_memory_and_connections_follow_the_flavor(trial, memory_mb):
    server = trial.started(memory_mb=memory_mb)

    assert trial.query(server, trial.dialect.buffers_mb) == trial.dialect.buffers_of(memory_mb)
    assert trial.query(server, trial.dialect.connections) == trial.dialect.connections_of(memory_mb)


@pytest.mark.every_engine
def test_another_flavor_and_port_count_from_the_next_start(trial):
    server = trial.started()
    resized = trial.engine.server(replace(server.node, memory_mb=8192, port=server.node.port + 1))

    resized.configure()
    server.stop()
    resized.start()

    assert trial.query(resized, trial.dialect.buffers_mb) == trial.dialect.buffers_of(8192)
    assert resized.answers()
    assert not server.answers()


@pytest.mark.every_engine
def test_finished_log_segments_are_archived(trial, eventually):
    server = trial.started()

    segment = server.node.archive / trial.dialect.close_log(server.node)
    trial.engine.backups.ship_log(server.node)

    eventually(segment.exists)
    assert not list(segment.parent.glob("*.tmp"))


@pytest.mark.every_engine
def test_a_server_says_what_it_does_and_the_kernel_what_it_takes(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE counted (x int)")

    def has(active: int, idle: int, in_transaction: int) -> bool:
        """Servers take a moment to see that a client is gone. InnoDB does not look for transactions anew that it was
        asked about less than 100 ms ago.
        """
        found = server.figures()
        counted = found.connections_active, found.connections_idle, found.connections_idle_in_transaction
        return counted == (active, idle, in_transaction)

    assert wait_until(lambda: has(0, 0, 0), 30, every=0.2)
    before, taken = server.figures(), consumption_of(server.node.folder / processes.RECORD)
    with trial.dialect.connect(server.node.address, server.node.port) as client:
        for _ in range(10):
            client.execute("INSERT INTO counted VALUES (1)")
        assert wait_until(lambda: has(0, 1, 0), 30, every=0.2)
        assert wait_until(lambda: server.figures().transactions >= before.transactions + 10, 30)
        client.execute("BEGIN")
        client.execute("INSERT INTO counted VALUES (2)")
        assert wait_until(lambda: has(0, 0, 1), 30, every=0.2)
    after = server.figures()
    assert after.cache_hits > before.cache_hits and after.cache_reads > 0
    later = consumption_of(server.node.folder / processes.RECORD)
    assert taken is not None and later is not None
    assert 0.01 < taken.cpu_seconds <= later.cpu_seconds < 60
    assert 10 * 2**20 < taken.memory_bytes < 2**31

    server.stop()
    assert consumption_of(server.node.folder / processes.RECORD) is None
    with pytest.raises(EngineError):
        server.figures()


@pytest.mark.every_engine
def test_logs_that_are_older_than_a_month_or_too_much_are_removed(trial):
    server = trial.started()
    (newest,) = (file.path for file in trial.engine.logs.files(server.node, LogKind.ERROR))
    files = {
        newest.with_name(newest.name.replace(newest.stem, f"{newest.stem}-{age}")): (age, size)
        for age, size in {40: 10, 30: 10, 20: 20 * 2**20, 10: 15 * 2**20, 5: 10}.items()
    }
    for path, (age, size) in files.items():
        path.touch()
        os.truncate(path, size)
        os.utime(path, (time.time() - age * 86400,) * 2)

    server.tidy()

    assert [age for path, (age, _) in files.items() if path.exists()] == [10, 5]
    assert trial.engine.logs.files(server.node, LogKind.ERROR)
    assert server.answers()


@pytest.mark.every_engine
def test_taken_port_is_named_and_nothing_is_left_running(trial):
    server = trial.initialised()
    node = server.node
    with socket.create_server((node.address, node.port)):
        with pytest.raises(EngineError, match=f"{node.address}:{node.port} is in use"):
            server.start()
        assert not server.is_running()

    server.start()

    assert server.answers()


def test_address_of_another_host_is_an_error(trial):
    server = trial.initialised(address="192.0.2.1")

    with pytest.raises(EngineError, match=r"192\.0\.2\.1"):
        server.start()


def test_missing_data_is_an_error(trial):
    server = trial.engine.server(trial.node())

    with pytest.raises(EngineError, match="no data directory"):
        server.configure()
    with pytest.raises(EngineError, match="no data directory"):
        server.start()
    assert not server.is_running()


@pytest.mark.every_engine
def test_broken_data_is_an_error_that_quotes_the_log(trial):
    server = trial.initialised()
    trial.dialect.break_data(server.node)

    with pytest.raises(EngineError, match=trial.dialect.broken):
        server.start()

    assert not server.is_running()


@pytest.mark.every_engine
def test_reserve_is_taken_at_once_and_filled_again(trial):
    trial = trial.with_reserve(1)
    trial.engine.fill_pool()
    reserve = {path.stat().st_ino for path in trial.folder.rglob("*") if path.is_dir()}
    first = trial.initialised()
    trial.engine.fill_pool()
    second = trial.initialised()
    trial.engine.fill_pool()

    assert first.node.data_dir.stat().st_ino in reserve  # a rename, so that nobody waits for initdb
    for server in (first, second):
        server.start()
        server.set_administrator("root", trial.engine.seal_password("Secret#Word_1"))
    assert trial.query(first, trial.dialect.identity) != trial.query(second, trial.dialect.identity)


def test_two_takers_never_share_a_reserve(trial):
    trial = trial.with_reserve(2)
    trial.engine.fill_pool()
    nodes = [trial.node() for _ in range(4)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for node, done in [(node, pool.submit(trial.engine.initialise, node)) for node in nodes]:
            done.result()
            assert node.data_dir.is_dir()

    inodes = {node.data_dir.stat().st_ino for node in nodes}
    assert len(inodes) == 4


@needs_images
def test_a_spare_goes_onto_a_volume_that_is_another_file_system(trial):
    """By a copy, which is taken as far as the disk; what is left of the spare is not offered again."""
    trial = trial.with_reserve(1)
    trial.engine.fill_pool()
    volumes = ImageVolumes(trial.folder / "images", FolderVolumes(trial.folder / "nodes"))
    try:
        node = replace(trial.node(), folder=volumes.create("one", 1))
        trial.engine.initialise(node)

        assert not [path for path in trial.folder.glob("reserve/pool/*/[!.]*") if path.is_dir()]
        assert not list(trial.folder.glob("reserve/pool/*/.taken-*"))
        server = trial.engine.server(node)
        server.configure()
        server.start()
        assert server.answers()
        server.stop()
    finally:
        detach(volumes.images, volumes.folders.root)


@pytest.mark.every_engine
def test_read_only_keeps_clients_from_changing_anything(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE kept AS SELECT 7 AS x")

    server.set_read_only(True)

    with trial.refused_writing():
        trial.query(server, "CREATE TABLE more (x int)")
    assert trial.query(server, "SELECT x FROM kept") == 7
    server.set_administrator("root", trial.engine.seal_password("Secret#Word_1"))  # we still may
    server.set_read_only(False)
    server.set_read_only(False)
    trial.query(server, "CREATE TABLE more (x int)")


@pytest.mark.every_engine
def test_read_only_outlives_a_restart_and_may_be_set_on_a_stopped_server(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE kept (x int)")
    server.set_read_only(True)
    server.stop()
    same = trial.engine.server(replace(server.node, read_only=True))
    same.configure()
    same.start()
    with trial.refused_writing():
        trial.query(server, "CREATE TABLE more (x int)")
    same.stop()

    server.set_read_only(False)

    server.start()
    trial.query(server, "CREATE TABLE more (x int)")


@pytest.mark.every_engine
def test_read_only_ends_a_statement_that_writes_and_spares_idle_sessions(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE unfinished (x int)")
    with trial.client(server) as idle, trial.client(server) as writer:
        writer.execute("BEGIN")
        writer.execute("INSERT INTO unfinished VALUES (1)")

        server.set_read_only(True)

        with pytest.raises(trial.dialect.Refused):
            writer.execute("INSERT INTO unfinished VALUES (2)")
        assert idle.execute("SELECT 1") == [(1,)]
        with trial.refused_writing():
            idle.execute("CREATE TABLE more (x int)")
    assert trial.query(server, "SELECT count(*) FROM unfinished") == 0
