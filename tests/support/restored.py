"""What tests of backups and copies of an engine have in common: a backup, a server beside, a moment between."""

import datetime as dt
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openrds.engines.binlog.sessions import session
from openrds.engines.protocol import BaseBackup, NodeSpec, RestorePoint, Server
from openrds.hosts.folders import make_home


def backed_up(trial: Any, server: Server, name: str = "backup") -> tuple[Path, BaseBackup]:
    folder = trial.folder / name
    make_home(folder)
    return folder, trial.engine.backups.back_up(server.node, folder)


def scratch_of(trial: Any, server: Server, name: str = "scratch") -> NodeSpec:
    """A node beside all, as a restore uses one."""
    folder = trial.folder / name
    node_id = f"{name[:1]}{server.node.node_id}"
    return replace(
        server.node,
        node_id=node_id,
        folder=folder,
        socket_dir=trial.folder / "s" / node_id,
        archive=folder / "archive",
        address="",
        upstream=None,
        confirmed_by=(),
    )


def needs_lasting_imports(server: Any) -> None:
    """Where a server of MariaDB has no such thing, the rows of single tables are logged."""
    with session(server.node) as connection:
        if not server.flavour.imports_can_last(connection):
            pytest.skip("this server cannot make imported tables survive a crash")


def restored(
    trial: Any, server: Server, folder: Path, moment: dt.datetime | None, name: str = "scratch"
) -> NodeSpec:
    node = scratch_of(trial, server, name)
    trial.engine.backups.restore(node, RestorePoint(folder, server.node.archive, moment))
    return node


def moment(trial: Any, server: Server) -> dt.datetime:
    """A time between the commits before and those after."""
    time.sleep(trial.dialect.resolution)
    with trial.client(server) as client:
        now = trial.dialect.now(client)
    time.sleep(trial.dialect.resolution)
    assert isinstance(now, dt.datetime)
    return now
