"""Processes as the service's children are: they end when nobody holds the other end of what they are given.

They are forked from one process that has imported all of it, which takes most of the time that one needs to start.
"""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

from openrds.service import api_process, worker_process

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload([worker_process.__name__, api_process.__name__])


@contextlib.contextmanager
def forked(body: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """`body` in a process of its own for as long as the block takes; it is called with one end of a pipe first."""
    theirs, ours = _forking.Pipe(duplex=False)
    process = _forking.Process(target=body, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        yield process
    finally:
        ours.close()
        process.kill()
        process.join()
        process.close()
