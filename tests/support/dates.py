"""Other dates for the tests: processes, servers among them, that take it to be another moment in another place."""

import contextlib
import datetime as dt
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import psutil

_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_CLOCK = Path(__file__).parent / "clock"
_SHARED = Path("/dev/shm")


def find_library() -> str:
    """Debian's libfaketime, or nothing."""
    found = chain.from_iterable(
        Path(folder).glob(pattern)
        for folder in _FOLDERS
        for pattern in ("*/faketime/libfaketime.so.1", "faketime/libfaketime.so.1")
    )
    return str(next(found, ""))


@dataclass(frozen=True)
class Date:
    """A moment in UTC, `yyyy-mm-dd hh:mm:ss`, and the time zone of the machine, as `TZ` has it."""

    name: str
    moment: str
    zone: str = "UTC"

    def environment(self, library: str) -> dict[str, str]:
        """For a process that begins now, and takes it for this moment; from then on time goes by as it does.

        It is an offset to the true time, so that all processes agree. What measures time, the monotonic clock, is true.
        """
        begin = dt.datetime.fromisoformat(self.moment).replace(tzinfo=dt.UTC).timestamp()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "OPENRDS_"))
        }
        return {
            **inherited,
            "PYTHONPATH": str(_CLOCK),
            "LD_PRELOAD": library,
            "FAKETIME": f"{begin - time.time():+.0f}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # The offset never changes: to look for another would only take time.
            "FAKETIME_CACHE_DURATION": "100000000",
            "TZ": self.zone,
        }


def sweep() -> None:
    """Remove what the library left in shared memory, under the pids of processes that did not end by themselves.

    Those that they began may live, and what these begin opens it by its name, or ends: so at other dates beside.
    """
    used = " ".join(_told_of())
    for path in (*_SHARED.glob("faketime_shm_*"), *_SHARED.glob("sem.faketime_sem_*")):
        pid = int(path.name.rpartition("_")[2])
        if not psutil.pid_exists(pid) and not re.search(rf"faketime_shm_{pid}\b", used):
            with contextlib.suppress(OSError):
                path.unlink()


def _told_of() -> Iterator[str]:
    """The names that living processes were given."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            yield process.environ().get("FAKETIME_SHARED", "")
