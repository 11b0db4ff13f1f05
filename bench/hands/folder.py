"""Where the same is done by hand: a folder of ours for the records of processes, and in it one of the user's."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openrds.hosts.folders import make_home
from openrds.hosts.user import ServerUser


@contextmanager
def folder_of(user: ServerUser) -> Iterator[Path]:
    """The user's; its parent is ours."""
    root = Path(tempfile.mkdtemp(prefix="ords-", dir="/tmp"))
    try:
        make_home(root)
        user.make_folder(root / "own")
        yield root / "own"
    finally:
        shutil.rmtree(root)
