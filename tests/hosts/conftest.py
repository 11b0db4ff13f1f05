import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from openrds.hosts.processes import records_below, stop_recorded
from openrds.hosts.user import ServerUser
from support.folders import short_folder


@pytest.fixture
def user() -> ServerUser:
    return ServerUser.choose()


@pytest.fixture
def own(folder: Path, user: ServerUser) -> Path:
    """A folder of the user's, in one of ours."""
    path = folder / "own"
    user.make_folder(path)
    return path


@pytest.fixture
def folder(user: ServerUser) -> Iterator[Path]:
    """A folder that the server user can pass through; servers recorded in it are stopped."""
    path = short_folder()
    yield path
    for record in records_below(path):
        stop_recorded(record, 5)
    shutil.rmtree(path)
