"""Makes the clock of a test run reach all that it starts; Python imports this where `PYTHONPATH` leads here.

Which clock, `support/dates.py` says.
"""

import contextlib
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

# Each program makes a semaphore of its own: one that is killed while it holds that of all would be waited for by all.
os.environ.pop("FAKETIME_SHARED", None)

_CLOCK = {
    name: value
    for name, value in os.environ.items()
    if name in ("LD_PRELOAD", "TZ") or name.startswith(("FAKETIME", "NO_FAKE"))
}
_SHARED = Path("/dev/shm")
_start: Any = subprocess.Popen.__init__


def _start_in_time(self: Any, *arguments: Any, env: Any = None, **options: Any) -> None:
    """Programs that get an environment of their own, as servers do, get the clock with it."""
    sweep()
    _start(self, *arguments, env=env if env is None else {**_CLOCK, **env}, **options)


def sweep() -> None:
    """Remove what libfaketime left in shared memory under the pids of processes that were killed.

    It lets nobody else begin that is of another user and gets the same pid, which happens on the same day.
    """
    for path in (*_SHARED.glob("faketime_shm_*"), *_SHARED.glob("sem.faketime_sem_*")):
        if not Path("/proc", path.name.rpartition("_")[2]).exists():
            with contextlib.suppress(OSError):
                path.unlink()


def _sleep(seconds: float) -> None:
    """Libfaketime 0.9.10 cannot wait for a moment of the monotonic clock, as Python does (its issue 426)."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select((), (), (), seconds)


if "FAKETIME" in _CLOCK:
    subprocess.Popen.__init__ = _start_in_time  # type: ignore[method-assign]
    time.sleep = _sleep  # type: ignore[assignment]
