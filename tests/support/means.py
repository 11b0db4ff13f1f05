"""What this machine lets us do; tests of the rest are skipped, and say why."""

import os
import tempfile
from pathlib import Path

import pytest

from openrds.hosts.cgroups import find_cgroups
from openrds.hosts.errors import HostError
from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.images import try_images
from openrds.hosts.mounts import mounts
from openrds.hosts.user import ServerUser


def _why_no_images() -> str:
    try:
        with tempfile.TemporaryDirectory(prefix="ords-") as folder:
            Path(folder).chmod(0o711)
            try_images(Path(folder))
    except HostError as error:
        return str(error)
    return ""


def _why_no_cgroups() -> str:
    try:
        find_cgroups(Path("/nowhere"))
    except HostError as error:
        return str(error)
    return ""


WHY_NO_IMAGES = _why_no_images()
WHY_NO_CGROUPS = _why_no_cgroups()
WHY_NO_FORWARDING = choose_forwarder("auto", Path("/tmp/x"), ServerUser.choose()).refusal


def limits_of(node_id: str) -> list[str]:
    """The microseconds of CPU in a tenth of a second, and the bytes of memory, to which the machine holds a node.

    Groups of the services of other tests come and go meanwhile, which ends `Path.glob` and not `os.walk`.
    """
    return [
        (Path(folder) / name).read_text().split()[0]
        for mount in mounts()
        if mount.kind in ("cgroup", "cgroup2")
        for folder, _, files in os.walk(mount.point)
        if Path(folder).name == node_id and Path(folder).parent.parent.name == "openrds"
        for name in ("cpu.cfs_quota_us", "memory.limit_in_bytes", "cpu.max", "memory.max")
        if name in files
    ]


needs_images = pytest.mark.skipif(bool(WHY_NO_IMAGES), reason=f"no volumes as images here: {WHY_NO_IMAGES}")
needs_forwarding = pytest.mark.skipif(bool(WHY_NO_FORWARDING), reason=WHY_NO_FORWARDING)
needs_cgroups = pytest.mark.skipif(bool(WHY_NO_CGROUPS), reason=f"no control groups here: {WHY_NO_CGROUPS}")
