import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openrds.hosts import processes
from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home
from openrds.hosts.processes import RECORD, Process, find, records_below, spawn, stop_recorded, wait_until

ENV = {"PATH": "/usr/bin:/bin"}
DEAF = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as others")


@pytest.fixture
def node(folder, user):
    path = folder / "node"
    make_home(path)
    user.make_folder(path / "log")
    return path


@pytest.fixture
def start(node, user):
    def run(*argv, **options):
        return spawn(
            argv or ("sleep", "600"), node / RECORD, node / "log" / "out", user=user, env=ENV, **options
        )

    return run


def test_a_spawned_server_is_found_by_its_record(start, node, user):
    process = start()

    assert process.is_alive()
    assert find(node / RECORD) == process
    assert Path(f"/proc/{process.pid}").stat().st_uid == user.uid
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert Path(f"/proc/{process.pid}/cwd").readlink() == Path("/")


def test_a_server_outlives_who_started_it(node, user):
    code = (
        "import sys; from pathlib import Path; from openrds.hosts.processes import spawn, RECORD\n"
        "from openrds.hosts.user import ServerUser; node = Path(sys.argv[1])\n"
        "spawn(['sleep', '9'], node / RECORD, node / 'log' / 'out', user=ServerUser.choose(), env={'PATH': '/bin'})\n"
    )
    source = Path(processes.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, node],
        env=os.environ | {"PYTHONPATH": f"{source}:{os.environ.get('PYTHONPATH', '')}"},
        check=True,
        capture_output=True,
    )

    assert done.stderr == b""
    found = find(node / RECORD)
    assert found is not None and found.is_alive()
    assert stop_recorded(node / RECORD)
    assert find(node / RECORD) is None


def test_a_process_lives_as_long_as_any_of_its_threads():
    """The first to end may be the main thread, while another still listens."""
    code = (
        "import ctypes, socket, threading\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "threading.Thread(target=server.accept).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        stat = Path(f"/proc/{child.pid}/stat")
        assert wait_until(lambda: stat.read_text().rpartition(") ")[2][0] == "Z", 30)
        process = Process.of(child.pid)
        assert process is not None
        assert process.is_alive()
        process.stop()
        assert not process.is_alive()


def test_another_process_with_the_same_pid_is_not_it(start, node):
    process = start()
    record = node / RECORD
    text = record.read_text()
    record.write_text(text.replace(str(process.started), str(process.started - 1)))
    assert find(record) is None
    assert not stop_recorded(record)
    record.write_text(text.replace(processes._boot_id(), "another-boot"))
    assert find(record) is None
    record.write_text(text)
    assert find(record) == process


@pytest.fixture
def claim(start, node, user):
    """What a server would have us believe: that the process of its record is one of ours, which is to be killed."""
    start()
    _, _, boot, _ = (node / RECORD).read_text().split()
    ours = Process.of(os.getpid())
    assert ours is not None
    return f"{ours.pid} {ours.started} {boot} 9\n"


@as_root
def test_a_record_of_a_user_cannot_point_us_at_the_process_of_another(claim, node, user):
    """As a server of an earlier openrds could write it."""
    record = node / "log" / RECORD
    with user.acting():
        record.write_text(claim)
    assert find(record) is None
    assert not stop_recorded(record)


@as_root
def test_a_record_is_no_other_name_of_another(claim, start, node, folder):
    """Neither a link nor, where the machine lets users make them, a second name of a record that is ours."""
    other = folder / "other"
    (folder / "record").write_text(claim)
    other.symlink_to(folder / "record")
    (node / "log" / RECORD).hardlink_to(folder / "record")

    assert find(folder / "record") is not None
    assert find(other) is None
    assert find(node / "log" / RECORD) is None


@as_root
def test_a_record_that_is_a_fifo_does_not_keep_us(node):
    (node / RECORD).unlink(missing_ok=True)
    os.mkfifo(node / RECORD)
    assert find(node / RECORD) is None


@as_root
@pytest.mark.parametrize("plant", ["link", "name", "fifo"])
def test_the_log_of_a_server_leads_nowhere_else(start, node, folder, plant):
    """`link` and `name` are of a file of ours; the server's output must not get there, nor the file be the server's."""
    ours = folder / "ours"
    ours.write_text("secret")
    ours.chmod(0o600)
    log = node / "log" / "out"
    {"link": log.symlink_to, "name": log.hardlink_to, "fifo": lambda _: os.mkfifo(log)}[plant](ours)

    with pytest.raises(HostError, match="Could not start sleep"):
        start()

    assert (ours.read_text(), ours.stat().st_uid) == ("secret", 0)


@as_root
def test_a_server_cannot_change_its_record(start, node, user):
    start()
    with user.acting():
        for change in ((node / RECORD).unlink, (node / "x").touch, lambda: (node / RECORD).write_text("")):
            with pytest.raises(PermissionError):
                change()


@pytest.mark.parametrize("text", ["", "nonsense", "1 2 3", "x y z 15"])
def test_a_record_that_is_none_finds_nothing(folder, text):
    assert find(folder / "missing") is None
    (folder / "broken").write_text(text)
    assert find(folder / "broken") is None


def test_a_zombie_is_dead():
    with subprocess.Popen(["true"]) as child:
        stat = Path(f"/proc/{child.pid}/stat")
        assert wait_until(lambda: ") Z " in stat.read_text(), 10)
        assert Process.of(child.pid) is None


def test_a_zombie_keeps_its_pid_until_it_is_reaped():
    with subprocess.Popen(["true"]) as child:
        assert processes.wait_until(lambda: processes.Process.of(child.pid) is None, 10)
        assert not processes.pid_is_free(child.pid, 0.01)
        child.wait()
        assert processes.pid_is_free(child.pid, 10)


def test_ended_servers_are_reaped(start):
    process = start("true")

    assert process.wait(10)
    assert not Path(f"/proc/{process.pid}").exists()


def test_a_program_that_is_not_there_dies_with_a_word_in_the_log(start, node):
    process = start("/no/such/program")

    assert process.wait(10)
    assert "/no/such/program" in (node / "log" / "out").read_text()


def test_a_folder_that_is_not_there_is_an_error(folder, user):
    missing = folder / "missing"
    with pytest.raises(HostError, match="sleep"):
        spawn(["sleep", "1"], missing / RECORD, missing / "log", user=user, env=ENV)


def test_output_is_appended_and_the_environment_is_only_what_is_given(start, node):
    for word in ("one", "two"):
        assert start("sh", "-c", f"echo {word} $HOME").wait(10)

    assert (node / "log" / "out").read_text() == "one\ntwo\n"


def test_stop_sends_the_recorded_signal(start, node):
    # Not SIGINT: a shell cannot trap what is ignored when it begins, as in the background of another one.
    start(
        "sh",
        "-c",
        "trap 'echo bye; exit' USR1; echo ready; while :; do sleep 0.01; done",
        stop_signals=[signal.SIGUSR1],
    )
    assert wait_until(lambda: "ready" in (node / "log" / "out").read_text(), 10)

    assert stop_recorded(node / RECORD)

    assert (node / "log" / "out").read_text() == "ready\nbye\n"


def test_what_does_not_listen_is_killed(start, node):
    process = start(*DEAF)
    assert wait_until(lambda: "ready" in (node / "log" / "out").read_text(), 10)

    assert stop_recorded(node / RECORD, seconds=0.05)

    assert not process.is_alive()


def test_all_servers_below_a_folder_are_found(start, folder, node):
    start()
    hidden = node / "data" / RECORD
    hidden.parent.mkdir()
    hidden.write_text("a table that happens to have this name")

    assert list(records_below(folder)) == [node / RECORD]


def test_a_record_written_for_a_found_process_is_as_good(start, node):
    process = start()
    before = (node / RECORD).read_text()
    (node / RECORD).unlink()

    processes.write_record(node / RECORD, process)

    assert (node / RECORD).read_text() == before


def test_processes_are_found_by_program_and_folder(user, folder):
    with subprocess.Popen(["sleep", "600"], cwd=folder) as child:
        try:
            assert wait_until(
                lambda: [p.pid for p in processes.working_in(folder, "sleep")] == [child.pid], 10
            )
            assert processes.working_in(folder, "postgres") == []
            assert processes.working_in(folder / "missing", "sleep") == []
        finally:
            child.kill()
