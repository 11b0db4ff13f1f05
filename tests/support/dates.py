"""Other dates for the tests: processes, servers among them, that take it to be another moment in another place."""

import datetime as dt
import os
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_CLOCK = Path(__file__).parent / "clock"


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
            # Nobody asks for times of files, and with each other question about one a semaphore would be taken.
            "NO_FAKE_STAT": "1",
            # The offset never changes: to look for another would only take time.
            "FAKETIME_CACHE_DURATION": "100000000",
            "TZ": self.zone,
        }
