"""A child process of `openrds serve`: standard input tells it its settings, and by ending that its parent is gone."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
import uvloop

from openrds.domain.settings import Settings
from openrds.service import configuration
from openrds.service.logs import set_up_logging

READY = "ready"

#: Seconds that a child may take to end in order; then it ends at once.
_GRACE = 3.0


@dataclass(frozen=True)
class Brief:
    """What a child is told. `dsn` may hold a password, so it comes on standard input and nowhere else."""

    dsn: str
    socket_root: Path
    settings: Settings

    def encode(self) -> bytes:
        return msgspec.json.encode(self, enc_hook=str) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Brief":
        return msgspec.json.decode(line, type=cls, dec_hook=configuration.decode_path)


def announce_ready() -> None:
    """Tell the parent that this child does its work."""
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()


def run(body: Callable[[Brief], Coroutine[Any, Any, None]]) -> None:
    """Run a child until it is told to stop or its parent is gone. It never returns."""
    brief = Brief.decode(sys.stdin.buffer.readline())
    set_up_logging(brief.settings.log_level)
    code = 0
    try:
        uvloop.new_event_loop().run_until_complete(_until_stopped(body(brief)))
    except Exception:
        logging.getLogger(__name__).exception("the process failed")
        code = 1
    _end_helpers()
    logging.shutdown()
    # Nothing is waited for: a thread that still runs a step must not keep the process, its successor takes it up.
    os._exit(code)


def _end_helpers() -> None:
    """End what was run to help with a step, such as initdb. Servers have sessions of their own, and stay."""
    for helper in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(helper.pid) == os.getsid(0):
                helper.terminate()


async def _until_stopped(body: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    threading.Thread(target=_watch_parent, args=(loop, stop), daemon=True).start()
    work = asyncio.ensure_future(body)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=_GRACE)
    if work.done() and not work.cancelled():
        work.result()


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(stop.set)
