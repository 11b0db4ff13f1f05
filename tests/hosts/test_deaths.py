"""Being told of deaths, and of what servers have written."""

import os
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openrds.hosts.deaths import Deathwatch
from openrds.hosts.processes import RECORD, Process, spawn, wait_until, written_by

SECONDS = 10


@pytest.fixture
def deaths() -> Iterator[Deathwatch]:
    watch = Deathwatch()
    yield watch
    watch.close()


@pytest.fixture
def start() -> Iterator[Callable[[], Process]]:
    children = []

    def run() -> Process:
        children.append(subprocess.Popen(["sleep", "600"]))
        process = Process.of(children[-1].pid)
        assert process is not None
        return process

    yield run
    for child in children:
        child.kill()
        child.wait()


def told(deaths: Deathwatch, seconds: float = SECONDS) -> set[str]:
    return deaths.take() if select.select([deaths], [], [], seconds)[0] else set()


def test_a_death_is_told_once(deaths, start):
    first, second = start(), start()
    deaths.watch("one", [first])
    deaths.watch("two", [second])
    assert told(deaths, 0) == set()

    first.stop()

    assert told(deaths) == {"one"}
    assert told(deaths, 0) == set()
    second.stop()
    assert told(deaths) == {"two"}


def test_one_of_several_under_a_name(deaths, start):
    first, second = start(), start()
    deaths.watch("pair", [first, second])
    second.stop()
    assert told(deaths) == {"pair"}
    first.stop()
    assert told(deaths) == {"pair"}


def test_of_one_that_is_dead_already_it_is_told_too(deaths, start):
    process = start()
    process.stop()
    deaths.watch("late", [process])
    assert told(deaths) == {"late"}
    assert told(deaths, 0) == set()


def test_a_pid_that_is_anothers_now_is_a_death(deaths, start):
    process = start()
    deaths.watch("former", [Process(process.pid, process.started - 1)])
    assert told(deaths) == {"former"}


def test_only_those_named_last_are_watched(deaths, start):
    first, second = start(), start()
    deaths.watch("one", [first])
    deaths.watch("one", [second])
    first.stop()
    assert told(deaths, 0) == set()
    deaths.watch("one", ())
    assert deaths.names() == set()
    second.stop()
    assert told(deaths, 0) == set()


def test_to_watch_again_opens_nothing(deaths, start):
    process = start()
    deaths.watch("one", [process])

    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_descriptors()
    for _ in range(5):
        deaths.watch("one", [process])
    assert open_descriptors() == before


def test_what_a_server_and_its_children_write_is_noticed(folder, user):
    """Also what is not on a disk yet, and what those wrote who have ended."""
    node = folder / "node"
    user.make_folder(node)
    code = (
        "while read -r word; do case $word in "
        "self) echo x >> self;; child) (echo x >> child; read -r _ < go) & ;; esac; done < orders; sleep 600"
    )
    for name in ("orders", "go"):
        os.mkfifo(node / name)
        (node / name).chmod(0o666)
    record = folder / RECORD
    spawn(["sh", "-c", f"cd {node}; {code}"], record, node / "log", user=user, env={"PATH": "/usr/bin:/bin"})
    with (node / "orders").open("w") as orders:
        seen = [written_by(record)]
        for word in ("self", "child"):
            orders.write(f"{word}\n")
            orders.flush()
            assert wait_until((node / word).exists, SECONDS)
            assert wait_until(lambda: written_by(record) != seen[-1], SECONDS)
            seen.append(written_by(record))
        # It ends, and what it has written still counts.
        (node / "go").write_text("go\n")
    assert None not in seen
    assert sorted(seen, key=lambda written: written or 0) == seen
    assert (written_by(record) or 0) >= (seen[-1] or 0)


def test_what_is_written_by_a_server_that_does_not_run_is_not_known(folder):
    assert written_by(folder / RECORD) is None
