"""Acting as another user of the operating system, where we are root: with files one may do what that user may, no more.

A link that the user has planted leads us nowhere that it could not go itself, and what is made is the user's. It is
the calling thread alone that acts, by Linux' `setfsuid(2)`; a program that is run meanwhile must be given its user.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from openrds.hosts.errors import HostError

_NOBODY = 2**32 - 1  # is no id: asked to become it, the kernel only says who we are

_libc = ctypes.CDLL(None)
for _call in (_libc.setfsuid, _libc.setfsgid):
    _call.argtypes, _call.restype = [ctypes.c_uint32], ctypes.c_uint32


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """
    Keep it to calls of the operating system: a module that is first imported in here may be out of the user's reach.

    Raises:
        HostError: the kernel does not let us.
    """
    if os.geteuid() != 0:
        yield
        return
    if os.getgroups():
        os.setgroups([])  # they are the process's, and root needs none
    before = _libc.setfsuid(_NOBODY), _libc.setfsgid(_NOBODY)
    _become(uid, gid)
    try:
        yield
    finally:
        _become(*before)


def _become(uid: int, gid: int) -> None:
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    if (_libc.setfsuid(_NOBODY), _libc.setfsgid(_NOBODY)) != (uid, gid):
        raise HostError(f"This thread cannot act as the user {uid}.")
