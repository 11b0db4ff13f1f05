"""The process of a server, as far as it can be told without asking it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from openrds.engines.binlog.configuration import pid_path
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.protocol import EngineError, NodeSpec
from openrds.hosts import folders, processes
from openrds.hosts.processes import Process, wait_until

#: Of a start, so that there is one: two servers on the same data would wait for each other's files for minutes.
_LOCK = "starting"
_LOCK_SECONDS = 60.0
_LOG_INDEX = "binlog.index"
#: Where the flags of a log's first event end, and the one that is set as long as the log is written to.
_FLAGS_END, _IN_USE = 23, 1


def running_on(node: NodeSpec, flavour: Flavour) -> Process | None:
    """The server that works in the data directory, however it was started."""
    try:
        process = Process.of(int(node.user.read(pid_path(node))))
    except (OSError, ValueError):
        return None
    return process if process and process.works_in(node.data_dir, flavour.daemon) else None


def find(node: NodeSpec, flavour: Flavour) -> Process | None:
    """The server as recorded, or found by its own file where the record is gone."""
    record = node.folder / processes.RECORD
    process = processes.find(record)
    if process is None:
        process = running_on(node, flavour)
        if process is not None:
            processes.write_record(record, process)
    return process


def ended_well(node: NodeSpec) -> bool:
    """Whether the server that worked here last closed its log, and so had written all that was to be written."""
    with contextlib.suppress(OSError, IndexError), node.user.acting():
        last = folders.read(node.data_dir / _LOG_INDEX).decode().split()[-1]
        with folders.open_file(node.data_dir / Path(last).name) as log:
            flags = int.from_bytes(log.read(_FLAGS_END)[-2:], "little")
        return not flags & _IN_USE
    return False


@contextlib.contextmanager
def one_start(node: NodeSpec) -> Iterator[None]:
    """One at a time decides whether to start the server; it ends with its holder.

    Raises:
        EngineError: another does not come to an end.
    """
    descriptor = os.open(node.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not wait_until(lambda: _is_held(descriptor), _LOCK_SECONDS, every=0.01):
            raise EngineError(f"{node.node_id} is being started by somebody else, who does not get on.")
        yield
    finally:
        os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
