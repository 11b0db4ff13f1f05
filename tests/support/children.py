"""The children of a process, found by what they say of themselves."""

import contextlib

import psutil


def child_named(pid: int, text: str) -> psutil.Process:
    """The child with this in its command line. One that is just ending has none."""
    found = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie too
            if text in " ".join(child.cmdline()):
                found.append(child)
    (one,) = found
    return one
