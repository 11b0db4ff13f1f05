"""Copies of the data of a running MySQL server, over TCP, by its clone plugin.

The plugin writes from within a server. That is one of a fresh data directory, on a socket alone, which serves for
nothing else and is thrown away.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from openrds.domain.deadline import ended_with_step
from openrds.engines.binlog import sessions
from openrds.engines.binlog.server import BinlogServer
from openrds.engines.family import password_of
from openrds.engines.protocol import NodeSpec, Upstream
from openrds.hosts import commands
from openrds.hosts.folders import clear, make_home

_HELPER = "copier"
#: Within the folder that is to have the data, as the server makes the folder itself.
_CLONE = "clone"
_COPY_SECONDS = 86400.0


def helper_node(node: NodeSpec) -> NodeSpec:
    """Of the server that writes the copy. It has the node's own socket, which is not in use meanwhile."""
    return replace(node, folder=node.folder / _HELPER, address="", upstream=None, confirmed_by=())


def clone(helper: BinlogServer, source: Upstream, folder: Path) -> None:
    """
    Copy the data of a running server into an empty folder of the node's user.

    Raises:
        EngineError: it cannot be copied; the message says what the server reported.
    """
    with _running(helper), sessions.session(helper.node, statement_seconds=_COPY_SECONDS) as connection:
        donor = f"{source.address}:{source.port}"
        ssl = "SSL" if source.tls else "NO SSL"
        sessions.execute(connection, "SET GLOBAL clone_valid_donor_list = %s", donor)
        with ended_with_step(lambda: None, lambda: commands.bytes_moved(helper.pid())):
            sessions.execute(
                connection,
                f"CLONE INSTANCE FROM %s@%s:{source.port} IDENTIFIED BY %s DATA DIRECTORY = %s REQUIRE {ssl}",
                sessions.FOLLOWER,
                source.address,
                password_of(source.secret, sessions.FOLLOWER),
                str(folder / _CLONE),
            )
        _unwrap(helper, folder)


def end_helper(helper: BinlogServer) -> None:
    """End one that somebody left who was killed.

    Raises:
        EngineError: it does not die.
    """
    if helper.node.folder.exists():
        helper.kill()
        clear(helper.node.folder)


@contextlib.contextmanager
def _running(helper: BinlogServer) -> Iterator[None]:
    end_helper(helper)
    make_home(helper.node.folder)
    try:
        helper.means.directories.make(helper.node)
        helper.configure()
        helper.start()
        yield
    finally:
        end_helper(helper)


def _unwrap(helper: BinlogServer, folder: Path) -> None:
    """The data has the helper's keys for passwords that come without TLS: to make others takes long."""
    node = helper.node
    with node.user.acting():
        for path in (*(folder / _CLONE).iterdir(), *node.data_dir.glob("*.pem")):
            path.replace(folder / path.name)
        (folder / _CLONE).rmdir()
