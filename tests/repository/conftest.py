import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openrds.hosts.folders import make_home
from openrds.hosts.user import ServerUser
from openrds.repository.repository import Repository, open_repository
from support.s3 import S3, running_s3


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """One for all modules, which have buckets of their own."""
    with running_s3() as server:
        yield server


@pytest.fixture
def user() -> ServerUser:
    return ServerUser.choose()


@pytest.fixture
def home(folder: Path, user: ServerUser) -> Path:
    """A folder of ours as that of a base backup: what is in `data` is the user's."""
    path = folder / "home"
    make_home(path)
    user.make_folder(path / "data")
    return path


Opener = Callable[..., Repository]


@pytest.fixture
def open_s3(s3: S3, folder: Path) -> Opener:
    """A repository of its own in the S3 server; through another endpoint, or with other options, if they are given."""
    url = f"s3://first/{secrets.token_hex(6)}"

    def open_(endpoint: str = "", key: str = "key", url: str = url, **changed: str) -> Repository:
        options = folder / "options.toml"
        options.write_text(s3.options(endpoint, **changed))
        options.chmod(0o600)
        return open_repository(url, options, folder / key, may_make_key=True)

    return open_


@pytest.fixture(params=["folder", "s3"])
def repository(request: pytest.FixtureRequest, folder: Path) -> Repository:
    if request.param == "s3":
        opened: Repository = request.getfixturevalue("open_s3")()
        return opened
    place = folder / "repository"
    place.mkdir(mode=0o700)
    return open_repository(f"file://{place}", None, folder / "key", may_make_key=True)
