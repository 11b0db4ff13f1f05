"""Acting as whoever runs a server, as somebody would who has broken into it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from openrds.hosts import processes
from openrds.hosts.processes import Process
from support.workbench import Workbench

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as others")


def uid_of(process: Process) -> int:
    return Path(f"/proc/{process.pid}").stat().st_uid


def process_in(folder: Path) -> Process:
    process = processes.find(folder / processes.RECORD)
    assert process is not None
    return process


def run_as(uid: int, script: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A shell script by the user with this id; `words` are its `$1` and so on."""
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", *map(str, words)],
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=30,
        check=False,
    )


class Place:
    """Where an instance of a workbench is: of its primary."""

    def __init__(self, bench: Workbench, instance_id: str) -> None:
        self._bench = bench
        self.instance_id = instance_id
        resources = bench.resources
        self.node = resources.view.primary(instance_id)
        self.folder = resources.host.volumes.path(self.node.id)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.backups = resources.settings.backups_dir / instance_id
        self.sockets = resources.host.socket_root / self.node.id

    @property
    def process(self) -> Process:
        return process_in(self.folder)

    @property
    def uid(self) -> int:
        return uid_of(self.process)

    @property
    def server(self) -> Any:
        return self._bench.resources.primary_server(self.instance_id)
