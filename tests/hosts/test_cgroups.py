"""Control groups: really set up where this machine lets us, and a likeness of version 2 for what it does not have."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from openrds.hosts import cgroups, processes
from openrds.hosts.cgroups import ControlGroups, find_cgroups, remove_groups
from openrds.hosts.errors import HostError
from openrds.hosts.limits import Limit
from openrds.hosts.mounts import Mount, mounts
from support.means import needs_cgroups

BUSY = "i=0; while :; do i=$((i+1)); done"
HUNGRY = "head -c 300m /dev/zero | tail > /dev/null"


@pytest.fixture
def groups(folder) -> Iterator[ControlGroups]:
    found = find_cgroups(folder)
    yield found
    assert found.names() == []


def start(groups: ControlGroups, folder, user, script: str, limit: Limit) -> processes.Process:
    return processes.spawn(
        ["/bin/sh", "-c", script],
        folder / "process",
        folder / "own" / "log",
        user=user,
        env={"PATH": "/usr/bin:/bin"},
        admit=lambda pid: groups.admit("one", limit, pid),
    )


@needs_cgroups
def test_a_server_gets_no_more_cpu_than_its_cores(groups, folder, user, tmp_path):
    """Four that are busy share a tenth of a core, which is less than others on the machine would leave them."""
    user.make_folder(folder / "own")
    process = start(groups, folder, user, f"for n in 1 2 3 4; do ({BUSY}) & done; wait", Limit(0.1, 512))
    limited = groups.parents.get("cpu", groups.parents.get(""))
    stat = limited / "one" / "cpu.stat"
    try:
        assert processes.wait_until(lambda: throttled(stat) > 2, 60)
    finally:
        end_tree(process)
        groups.remove("one")


@needs_cgroups
def test_a_server_that_takes_more_memory_than_its_own_is_ended(groups, folder, user):
    user.make_folder(folder / "own")
    process = start(groups, folder, user, HUNGRY, Limit(1, 100))
    try:
        assert process.wait(60)
        log = (folder / "own" / "log").read_text()
        assert "Killed" in log
    finally:
        end_tree(process)
        groups.remove("one")


@needs_cgroups
def test_children_are_under_the_limit_too(groups, folder, user):
    user.make_folder(folder / "own")
    process = start(groups, folder, user, "sleep 60 & sleep 60", Limit(1, 100))
    try:
        assert processes.wait_until(lambda: len(psutil.Process(process.pid).children()) == 2, 30)
        for child in psutil.Process(process.pid).children():
            assert "/one" in Path(f"/proc/{child.pid}/cgroup").read_text()
    finally:
        end_tree(process)
        groups.remove("one")


@needs_cgroups
def test_limits_are_set_anew_when_it_is_admitted_again(groups):
    with subprocess.Popen(["sleep", "60"]) as process:
        groups.admit("one", Limit(1, 1024), process.pid)
        groups.admit("one", Limit(2, 512), process.pid)
        for controller, settings in groups.files(Limit(2, 512)).items():
            for file, value in settings.items():
                assert (groups.parents[controller] / "one" / file).read_text().strip() == value
        process.kill()
    groups.remove("one")
    groups.remove("one")


@needs_cgroups
def test_a_group_with_a_process_is_not_removed(groups, monkeypatch):
    monkeypatch.setattr(cgroups, "_EMPTY_SECONDS", 0.1)
    with subprocess.Popen(["sleep", "60"]) as process:
        groups.admit("one", Limit(1, 1024), process.pid)
        with pytest.raises(HostError, match="cannot be removed"):
            groups.remove("one")
        process.kill()
    groups.remove("one")


@needs_cgroups
def test_all_groups_of_a_data_directory_go_and_no_others(folder):
    ours, others = find_cgroups(folder), find_cgroups(folder / "other")
    for found in (ours, others):
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
            for name in ("one", "two"):
                found.admit(name, Limit(1, 1024), process.pid)

    remove_groups(folder)

    assert (ours.names(), others.names()) == ([], ["one", "two"])
    remove_groups(folder / "other")
    assert others.names() == []


@needs_cgroups
def test_what_a_trial_that_was_killed_left_goes_with_the_next(groups, folder):
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    for parent in groups.parents.values():
        (parent / f".trial-{ended.pid}").mkdir(parents=True)
    find_cgroups(folder)
    assert groups.names() == []


def test_a_server_that_is_not_admitted_does_not_begin(folder, user):
    user.make_folder(folder / "own")

    def refuse(_pid: int) -> None:
        raise HostError("no room")

    with pytest.raises(HostError, match="no room"):
        processes.spawn(
            ["/bin/sh", "-c", f"echo ran > {folder}/own/ran"],
            folder / "process",
            folder / "own" / "log",
            user=user,
            env={"PATH": "/usr/bin:/bin"},
            admit=refuse,
        )

    assert processes.find(folder / "process") is None
    assert not (folder / "own" / "ran").exists()


def test_a_machine_without_control_groups_says_so(folder):
    with pytest.raises(HostError, match=r"version 1 .* version 2"):
        find_cgroups(folder, table=[])


def test_version_2_as_its_documentation_has_it(folder, monkeypatch):
    """A likeness, as no kernel with cpu and memory in version 2 was at hand: it cannot show that they limit."""
    root = folder / "cgroup"
    unit = root / "system.slice" / "openrds.service"
    unit.mkdir(parents=True)
    for place in (root, root / "system.slice"):
        (place / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (unit / "cgroup.controllers").write_text("memory pids\n")
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"": "/system.slice/openrds.service"})
    monkeypatch.setattr(cgroups, "_try", lambda groups: None)

    groups = find_cgroups(folder, table=[Mount(root, "/", "cgroup2", "cgroup2", ())])
    parent = groups.parents[""]
    for place in (parent.parent, parent):
        place.mkdir()
        (place / "cgroup.controllers").write_text("cpu memory\n")
    groups.admit("one", Limit(2, 4096), 4711)

    assert parent.parent.parent == root / "system.slice"
    read = {path.name: path.read_text() for path in (parent / "one").iterdir()}
    assert read == {"cpu.max": "200000 100000", "memory.max": str(4096 * 2**20), "cgroup.procs": "4711"}
    for place in (parent.parent.parent, parent.parent, parent):
        assert (place / "cgroup.subtree_control").read_text() == "+cpu +memory"


@pytest.mark.skipif(
    not any(mount.kind == "cgroup2" for mount in mounts()) or not Path("/proc/self/cgroup").exists(),
    reason="no control groups of version 2 here",
)
@needs_cgroups
def test_a_real_hierarchy_of_version_2_takes_and_gives_up_processes(folder):
    """Without controllers, which this may not have: making, entering and leaving groups is the same with them."""
    (mount, *_) = (one for one in mounts() if one.kind == "cgroup2")
    parent = mount.point / "openrds" / "trial"
    groups = ControlGroups({"": parent}, lambda _: {"": {}}, (mount.point,))
    with subprocess.Popen(["sleep", "60"]) as process:
        groups.admit("one", Limit(1, 100), process.pid)
        assert "0::/openrds/trial/one" in Path(f"/proc/{process.pid}/cgroup").read_text()
        process.kill()
    groups.remove("one")
    assert not parent.exists()


def throttled(stat: Path) -> int:
    lines = dict(line.split() for line in stat.read_text().splitlines())
    return int(lines["nr_throttled"])


def end_tree(process: processes.Process) -> None:
    for number in range(50):
        living = [one for one in psutil.process_iter() if in_group(one.pid)]
        if not living:
            return
        for one in living:
            one.kill()
        time.sleep(0.01 * number)


def in_group(pid: int) -> bool:
    try:
        return "/one\n" in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
