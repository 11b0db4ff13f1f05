"""A child process of `openrds serve`: forked, so that it is there at once, and gone when its parent is.

Parent and child share the memory of what was imported before.
"""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import psutil
import uvloop
from setproctitle import setproctitle

from openrds.domain.settings import Settings

#: Seconds that a child may take to end in order; then it ends at once.
_GRACE = 3.0

_forking = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Brief:
    """What the children of a service are told. `dsn` may hold a password."""

    dsn: str
    socket_root: Path
    settings: Settings


#: What a child does, until it is cancelled. What it is given is to be called when it does its work.
Body = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]


@dataclass
class Forked:
    """A child, as its parent has it."""

    _process: BaseProcess
    #: What the child writes to when it does its work, and what it ends with.
    _ready: int
    _life: int

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exitcode(self) -> int | None:
        """None while it runs; a signal is negative."""
        return self._process.exitcode

    def has_ended(self) -> bool:
        return self.exitcode is not None

    def await_ready(self) -> bool:
        """Until the child does its work, or has ended; whether it does."""
        return os.read(self._ready, 1) != b""

    def terminate(self) -> None:
        self._process.terminate()

    def end(self, timeout: float) -> None:
        """Wait for it to end; after so many seconds it is killed."""
        self._process.join(timeout)
        if not self.has_ended():
            self._process.kill()
            self._process.join()

    def clean_up(self) -> None:
        """After its end: end what it had running too, such as initdb. Servers have sessions of their own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.let_go()

    def let_go(self) -> None:
        """Close what only it and its parent share."""
        os.close(self._ready)
        os.close(self._life)


def fork(title: str, body: Body, let_go: Callable[[], None]) -> Forked:
    """A child of this process, which must not have other threads.

    `let_go` is called in the child: it closes what the parent alone holds, such as locks.
    """
    until, life = os.pipe()
    ready, announcing = os.pipe()

    def main() -> None:
        os.close(life)
        os.close(ready)
        _leave(title)
        let_go()
        live(lambda: body(lambda: _announce(announcing)), until)

    # What is there now stays in place: a collector that went through it would make copies of the pages.
    gc.freeze()
    process = _forking.Process(target=main, name=title)
    process.start()
    os.close(until)
    os.close(announcing)
    return Forked(process, ready, life)


def _announce(announcing: int) -> None:
    os.write(announcing, b"r")
    os.close(announcing)


def _leave(title: str) -> None:
    """Share neither signals, nor a terminal's, nor the name with the parent, nor what it says to whoever started it."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.dup2(2, 1)
    setproctitle(title)


def live(body: Callable[[], Coroutine[Any, Any, None]], until: int) -> NoReturn:
    """Run a child until it is told to stop or its parent is gone, which is when nothing can be read from `until`."""
    code = 0
    try:
        uvloop.new_event_loop().run_until_complete(_until_stopped(body(), until))
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


async def _until_stopped(body: Coroutine[Any, Any, None], until: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    threading.Thread(target=_watch_parent, args=(loop, stop, until), daemon=True).start()
    work = asyncio.ensure_future(body)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=_GRACE)
    if work.done() and not work.cancelled():
        work.result()


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, until: int) -> None:
    os.read(until, 1)
    loop.call_soon_threadsafe(stop.set)
