"""Limits by control groups of Linux, version 1 and version 2.

The groups of a host's servers are `openrds/ID/NAME`, with an id of the data directory, so that several openrds on a
machine do not meet. Where they begin differs: see `find_cgroups`.
"""

import contextlib
import errno
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from openrds.hosts.errors import HostError
from openrds.hosts.limits import Limit
from openrds.hosts.mounts import Mount, mounts

_MB = 2**20
#: Microseconds: a group's processes run for at most `vcpus` of these in each.
_PERIOD = 100_000
_EMPTY_SECONDS = 5.0
_MAKING_ATTEMPTS = 5
_CONTROLLERS = ("cpu", "memory")
_TRIAL = ".trial-"
_OWN_GROUPS = Path("/proc/self/cgroup")


def _files_v1(limit: Limit) -> dict[str, dict[str, str]]:
    return {
        "cpu": {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": str(int(limit.vcpus * _PERIOD))},
        "memory": {"memory.limit_in_bytes": str(limit.memory_mb * _MB)},
    }


def _files_v2(limit: Limit) -> dict[str, dict[str, str]]:
    """Both controllers are of the same group."""
    return {
        "": {"cpu.max": f"{int(limit.vcpus * _PERIOD)} {_PERIOD}", "memory.max": str(limit.memory_mb * _MB)}
    }


@dataclass(frozen=True)
class ControlGroups:
    """`parents` are the folders that hold the groups: one for each controller in version 1, one in all in version 2.

    `files` are what a limit writes into a group of each, by their names. `hierarchies` are all that are mounted: a
    service that was started elsewhere, as in another session, has left groups elsewhere.
    """

    parents: Mapping[str, Path]
    files: Callable[[Limit], Mapping[str, Mapping[str, str]]]
    hierarchies: tuple[Path, ...]

    def admit(self, name: str, limit: Limit, pid: int) -> None:
        try:
            for controller, settings in self.files(limit).items():
                group = self._make_group(controller, name)
                for file, value in settings.items():
                    (group / file).write_text(value)
                (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise HostError(f"The limits of {name} cannot be set: {error}.") from error

    def _make_group(self, controller: str, name: str) -> Path:
        """Again where somebody removed the last group, and the folders of all with it, between two of our steps."""
        parent = self.parents[controller]
        for attempt in range(_MAKING_ATTEMPTS):
            try:
                for folder in (parent.parent, parent):
                    folder.mkdir(mode=0o755, exist_ok=True)
                    if not controller:
                        _hand_down(folder)
                (parent / name).mkdir(mode=0o755, exist_ok=True)
                break
            except FileNotFoundError:
                if attempt == _MAKING_ATTEMPTS - 1:
                    raise
        return parent / name

    def remove(self, name: str) -> None:
        for parent in self._places():
            _remove_group(parent / name)
            _remove_if_empty(parent)

    def names(self) -> list[str]:
        """Whoever has a group now."""
        return sorted({group.name for parent in self._places() for group in _folders_in(parent)})

    def _places(self) -> list[Path]:
        folder = next(iter(self.parents.values())).name
        return [place for hierarchy in self.hierarchies for place in _places_of(hierarchy, folder)]


def find_cgroups(data_dir: Path, table: Iterable[Mount] | None = None) -> ControlGroups:
    """
    The means of this machine, tried once.

    In version 1 groups begin below the one that we are in, for each controller: a limit on openrds holds for its
    servers too. In version 2 a group with processes in it can have none below that are limited, so they begin in the
    nearest group upward that can.

    Raises:
        HostError: there are none that we may use; the message says why.
    """
    found = list(mounts() if table is None else table)
    own = _own_groups()
    problems = []
    for version in (_version_1, _version_2):
        try:
            groups = version(found, own, data_dir)
            _try(groups)
        except HostError as error:
            problems.append(str(error))
        else:
            return groups
    raise HostError(" ".join(problems))


def _version_1(table: list[Mount], own: Mapping[str, str], data_dir: Path) -> ControlGroups:
    parents = {}
    for controller in _CONTROLLERS:
        mount = next((one for one in table if one.kind == "cgroup" and controller in one.options), None)
        if mount is None:
            raise HostError(f"No control groups of version 1 have the controller {controller}.")
        parents[controller] = _below(_place(mount, own.get(controller, "/")), data_dir)
    return ControlGroups(parents, _files_v1, _hierarchies(table))


def _version_2(table: list[Mount], own: Mapping[str, str], data_dir: Path) -> ControlGroups:
    mount = next((one for one in table if one.kind == "cgroup2"), None)
    if mount is None:
        raise HostError("No control groups of version 2 are mounted.")
    place = _place(mount, own.get("", "/"))
    while not _hand_down(place):
        if place == mount.point:
            raise HostError(f"No group of {mount.point} hands the controllers {_both()} down to us.")
        place = place.parent
    parent = _below(place, data_dir)
    return ControlGroups({"": parent}, _files_v2, _hierarchies(table))


def _hand_down(group: Path) -> bool:
    """Let the groups below have both controllers, which one with processes in it cannot, unless it is the root."""
    try:
        if not set(_CONTROLLERS) <= set((group / "cgroup.controllers").read_text().split()):
            return False
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in _CONTROLLERS))
    except OSError:
        return False
    return True


def _try(groups: ControlGroups) -> None:
    """With a process that waits for its end, which is at once. One of us that was killed meanwhile left its own."""
    for left in groups.names():
        if left.startswith(_TRIAL) and not psutil.pid_exists(int(left.removeprefix(_TRIAL))):
            groups.remove(left)
    name = f"{_TRIAL}{os.getpid()}"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            groups.admit(name, Limit(1, 1024), process.pid)
        finally:
            process.kill()
            process.wait()
            groups.remove(name)


def remove_groups(data_dir: Path) -> None:
    """Remove all groups of a data directory, wherever they are.

    Raises:
        HostError: processes are left in one.
    """
    for hierarchy in _hierarchies(mounts()):
        for parent in _places_of(hierarchy, _folder_of(data_dir)):
            for group in _folders_in(parent):
                _remove_group(group)
            _remove_if_empty(parent)


def _hierarchies(table: Iterable[Mount]) -> tuple[Path, ...]:
    return tuple(mount.point for mount in table if mount.kind in ("cgroup", "cgroup2"))


def _places_of(hierarchy: Path, folder: str) -> list[Path]:
    """Every `openrds/ID` in a hierarchy."""
    found = []
    for place, below, _ in os.walk(hierarchy):
        if "openrds" in below:
            below.remove("openrds")
            found.append(Path(place) / "openrds" / folder)
    return [place for place in found if place.is_dir()]


def _remove_if_empty(parent: Path) -> None:
    with contextlib.suppress(OSError):
        parent.rmdir()
        parent.parent.rmdir()


def _remove_group(group: Path) -> None:
    """A process counts until whoever started it has taken note of its end."""
    deadline = time.monotonic() + _EMPTY_SECONDS
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise HostError(f"The group {group} cannot be removed: {error.strerror}.") from error
            time.sleep(0.01)


def _place(mount: Mount, own: str) -> Path:
    """Where our own group is seen; the mount may show only a part of the hierarchy."""
    below = own.removeprefix(mount.root.rstrip("/")) if own.startswith(mount.root) else ""
    place = mount.point / below.lstrip("/")
    return place if place.is_dir() else mount.point


def _below(place: Path, data_dir: Path) -> Path:
    return place / "openrds" / _folder_of(data_dir)


def _folder_of(data_dir: Path) -> str:
    return hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]


def _folders_in(parent: Path) -> list[Path]:
    """None where the folder is gone: whoever removes the last of its groups removes it too."""
    with contextlib.suppress(FileNotFoundError):
        return [path for path in parent.iterdir() if path.is_dir()]
    return []


def _own_groups() -> dict[str, str]:
    """The path of our group by controller; that of version 2 is under an empty name."""
    found = {}
    with contextlib.suppress(OSError):
        for line in _OWN_GROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _both() -> str:
    return " and ".join(_CONTROLLERS)
