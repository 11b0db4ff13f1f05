"""Several objects on their way at once, and few of them in memory."""

import ctypes
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

#: For each of these some 16 MB are in memory at most: what it holds, sealed, and as it was read back.
AT_ONCE = 3

#: Of glibc's mallopt: what is at least so large is given back to the system when it is free.
_MMAP_THRESHOLD, _LARGE = -3, 2**18

T = TypeVar("T")
R = TypeVar("R")


def give_back_what_is_free() -> None:
    """Else glibc keeps some of it for each thread that ever sent something, which comes to hundreds of MB."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The results one after another; an item is taken when one of the few that are at work has ended.

    The first error is raised, once those that are at work have ended.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="repository") as threads:
        running: deque[Future[R]] = deque()
        for item in items:
            if len(running) >= AT_ONCE:
                yield running.popleft().result()
            running.append(threads.submit(work, item))
        while running:
            yield running.popleft().result()
