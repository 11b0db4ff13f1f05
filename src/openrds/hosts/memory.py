"""How much memory of this machine there is to use."""

from pathlib import Path

import psutil

from openrds.hosts.mounts import mounts

_OWN_GROUPS = Path("/proc/self/cgroup")
_FILES = {"cgroup2": "memory.max", "cgroup": "memory.limit_in_bytes"}
_MB = 2**20


def usable_mb() -> int:
    """The machine's memory, or less where this process is in a control group with a limit, as in a container."""
    total: int = psutil.virtual_memory().total
    return min([total, *_limits()]) // _MB


def _limits() -> list[int]:
    """In bytes, of this process's group and those above it, as far as they can be seen."""
    found = []
    for mount in mounts():
        file = _FILES.get(mount.kind)
        if file is None:
            continue
        for group in _own_groups():
            for folder in (group, *group.parents):
                found += _limit(mount.point / folder.relative_to("/") / file)
    return found


def _own_groups() -> list[Path]:
    """As they are called in their hierarchy; a container may see itself as the root of it."""
    lines = _OWN_GROUPS.read_text().splitlines()
    groups = {line.split(":", 2)[2] for line in lines if line.startswith("0::") or ":memory" in line}
    return [Path(group) for group in groups if group.startswith("/") and "/.." not in group]


def _limit(file: Path) -> list[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isascii() and text.isdigit() else []
