"""`openrds down`: stop the service if it runs, then every instance and the store. Data stays."""

import contextlib
import os
import signal
import sys
from pathlib import Path

from openrds.hosts import images, processes
from openrds.hosts.cgroups import remove_groups
from openrds.hosts.errors import HostError, in_words
from openrds.hosts.forwarders import stop_filtering, stop_forwarding
from openrds.hosts.processes import wait_until
from openrds.service.places import DataDirectoryError, Lock, require

_SERVE_TIMEOUT = 10.0


def down(data_dir: Path) -> int:
    """Stop everything of a data directory; the exit code."""
    try:
        require(data_dir)
        _stop_serve(data_dir)
        stop_forwarding(data_dir)
        # The store goes last: it is the one thing the others may still want to write to.
        folders = [data_dir / name for name in ("nodes", "scratch", "store")]
        records = [record for folder in folders for record in processes.records_below(folder)]
        stopped = sum(processes.stop_recorded(record) for record in records)
        # Not before: whoever was kept out would come in for a moment.
        stop_filtering(data_dir)
        # So that the folder can be copied as a whole, or removed; the next `serve` mounts its volumes again.
        images.detach(data_dir / "images", data_dir / "nodes")
        remove_groups(data_dir)
    except (HostError, DataDirectoryError, OSError) as error:
        print(f"openrds: {in_words(error)}", file=sys.stderr)
        return 1
    print(f"openrds is down: {stopped} servers stopped.")
    return 0


def _stop_serve(data_dir: Path) -> None:
    """
    Raises:
        HostError: it does not end.
    """
    lock = Lock(data_dir)
    holder = lock.holder()
    if not holder:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder, signal.SIGTERM)
    if not wait_until(lambda: lock.holder() is None, _SERVE_TIMEOUT, every=0.02):
        raise HostError(f"The service, process {holder}, does not end.")
