"""Processes as the service's children are: they end when nobody holds the other end of what they are given.

They are forked from one process that has imported all of it, which takes most of the time that one needs to start.
"""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

from openrds.service import api_process, worker_process

_PRELOADED = [
    worker_process.__name__,
    api_process.__name__,
    "openrds.service.serve",
    "openrds.service.down",
    "support.mortal_worker",
]


@cache
def context() -> ForkServerContext:
    """Their server finds modules where we do: it fails to import the others, and says nothing."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(_PRELOADED)
    with _environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path))):
        forkserver.ensure_running()
    return forking


@contextlib.contextmanager
def _environment(**changes: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def forked(body: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """`body` in a process of its own for as long as the block takes; it is called with one end of a pipe first."""
    theirs, ours = context().Pipe(duplex=False)
    process = context().Process(target=body, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        yield process
    finally:
        ours.close()
        process.kill()
        process.join()
        process.close()
