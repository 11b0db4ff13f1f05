"""Which database servers this host has: those of distributions, of `PATH`, of configured folders, and those that
`openrds engine install` fetched.
"""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from openrds.domain.engine import EngineName
from openrds.engines.protocol import Installation
from openrds.hosts import trees
from openrds.hosts.users import ServerUsers

_LOG = logging.getLogger(__name__)
_MACHINE = Path("/")
#: Where a folder may hold programs that is named itself, as a setting does, or by `PATH`.
_OWN_PLACES = (".", "bin", "sbin")


def fetched_dir(data_dir: Path) -> Path:
    """Where `openrds engine install` puts what a service shall have."""
    return data_dir / "engines"


@dataclass(frozen=True)
class Kind:
    """What the servers of an engine look like.

    `programs` are the names that the server itself may have, `companions` what must be beside it. `places` are where
    distributions have it, as patterns below `/` or below any folder that holds a tree of such a form. `release` finds
    the numbers of a version in what the server says to `ask`; a request names the first `named_by` of them. Versions
    before `oldest` are not offered. `speaks_tls` tells of a server whether it was built with that. `last_resorts` are
    folders that any other of the same version is better than.
    """

    engine: EngineName
    programs: tuple[str, ...]
    places: tuple[str, ...]
    release: re.Pattern[str]
    named_by: int
    oldest: tuple[int, ...]
    companions: tuple[str, ...] = ()
    ask: tuple[str, ...] = ("--version",)
    speaks_tls: Callable[[Path], bool] = lambda _program: True
    last_resorts: Callable[[], Iterable[Path]] = tuple

    def program(self, folder: Path) -> Path | None:
        """False also for a folder that we may not look into, as `PATH` may hold some of another user's."""
        if not all(_has(folder, name) for name in self.companions):
            return None
        return next((folder / name for name in self.programs if _has(folder, name)), None)

    def named(self, numbers: Iterable[int]) -> str:
        """The version as a request names it."""
        return ".".join(map(str, tuple(numbers)[: self.named_by]))


@dataclass(frozen=True)
class _Found:
    numbers: tuple[int, ...]
    is_last_resort: bool
    bin_dir: Path

    @property
    def rank(self) -> tuple[tuple[int, ...], bool]:
        """The newest is the best."""
        return self.numbers, not self.is_last_resort


class Installations:
    """The installations of one engine on this host. They are looked for once, and again when one was fetched."""

    def __init__(self, kind: Kind, data_dir: Path, engine_dirs: Iterable[Path], users: ServerUsers) -> None:
        self._kind = kind
        self._fetched = fetched_dir(data_dir)
        self._engine_dirs = tuple(engine_dirs)
        self._copies = data_dir / "binaries"
        self._users = users
        self._seen: tuple[frozenset[str], tuple[Installation, ...], tuple[Installation, ...]] | None = None
        self._older: dict[str, Installation] = {}

    def __call__(self) -> tuple[Installation, ...]:
        """
        One for each version that a request may name, oldest first.

        Raises:
            HostError: the server user can reach neither the binaries nor a copy of them.
        """
        return self._look()[0]

    def find(self, version: str, complete_version: str) -> Installation | None:
        """The very one, or where there is none any more, the newest of the version.

        Raises:
            HostError: as above.
        """
        newest, all_there_are = self._look()
        found = next((one for one in newest if one.version == version), None)
        if found is None or found.complete_version == complete_version:
            return found
        exact = [one for one in all_there_are if one.complete_version == complete_version]
        if not exact:
            return found
        if complete_version not in self._older:
            self._older[complete_version] = _reachable(self._kind, exact[0], self._copies, self._users)
        return self._older[complete_version]

    def _look(self) -> tuple[tuple[Installation, ...], tuple[Installation, ...]]:
        names = _names_in(self._fetched)
        if self._seen is None or self._seen[0] != names:
            everything = find_all(self._kind, (*self._engine_dirs, self._fetched))
            newest = tuple(
                _reachable(self._kind, found, self._copies, self._users) for found in _newest(everything)
            )
            self._seen, self._older = (names, newest, everything), {}
        return self._seen[1:]


def find_installations(
    kind: Kind, folders: Iterable[Path], copies: Path, users: ServerUsers
) -> tuple[Installation, ...]:
    """
    One installation for each version that a request may name, oldest first.

    `folders` are looked into beside the machine's own. What the server user cannot reach is copied to a folder in
    `copies`, once.

    Raises:
        HostError: the server user cannot reach the copies either.
    """
    return tuple(_reachable(kind, found, copies, users) for found in find(kind, folders))


def find(kind: Kind, folders: Iterable[Path] = ()) -> tuple[Installation, ...]:
    """The same, wherever they are."""
    return _newest(find_all(kind, folders))


def find_all(kind: Kind, folders: Iterable[Path] = ()) -> tuple[Installation, ...]:
    """One for each complete version, oldest first, wherever they are."""
    best: dict[tuple[int, ...], _Found] = {}
    for found in _found(kind, folders):
        if found.numbers not in best or found.rank > best[found.numbers].rank:
            best[found.numbers] = found
    return tuple(_installation(kind, best[numbers]) for numbers in sorted(best))


def _newest(in_order: Iterable[Installation]) -> tuple[Installation, ...]:
    """Of each version that a request may name."""
    return tuple({one.version: one for one in in_order}.values())


def _installation(kind: Kind, found: _Found) -> Installation:
    complete = ".".join(map(str, found.numbers))
    program = kind.program(found.bin_dir)
    speaks_tls = program is not None and _speaks_tls(kind.speaks_tls, program, _identity(program))
    return Installation(kind.engine, kind.named(found.numbers), complete, found.bin_dir, speaks_tls)


def _found(kind: Kind, folders: Iterable[Path]) -> Iterator[_Found]:
    seen: set[Path] = set()
    for folder, is_last_resort in _candidates(kind, folders):
        program = kind.program(folder)
        if program is None or (resolved := folder.resolve()) in seen:
            continue
        seen.add(resolved)
        numbers = release_of(kind, resolved / program.name)
        if numbers is not None and numbers >= kind.oldest:
            yield _Found(numbers, is_last_resort, resolved)


def _candidates(kind: Kind, folders: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """The folders that may hold servers, and whether they are a last resort."""
    for folder in folders:
        yield from ((place, False) for root in (folder, *_children(folder)) for place in _within(kind, root))
    yield from ((place, False) for place in _places(kind, _MACHINE))
    for entry in filter(None, os.get_exec_path()):
        if (program := kind.program(Path(entry))) is not None:
            yield program.resolve().parent, False
    yield from ((place, True) for place in kind.last_resorts())


def _within(kind: Kind, root: Path) -> Iterator[Path]:
    yield from (root / place for place in _OWN_PLACES)
    yield from _places(kind, root)


def _places(kind: Kind, root: Path) -> Iterator[Path]:
    for pattern in kind.places:
        yield from sorted(root.glob(pattern))


def _children(folder: Path) -> list[Path]:
    """Those with a manifest are trees of their own; whatever else is in a configured folder is not searched."""
    return sorted(folder / name for name in _names_in(folder) if trees.is_tree(folder / name))


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:
        return frozenset()


def _has(folder: Path, program: str) -> bool:
    return shutil.which(program, path=str(folder)) is not None


def release_of(kind: Kind, program: Path) -> tuple[int, ...] | None:
    """The numbers of the version that a server says it is; None if it does not run here, or is another kind's."""
    try:
        said = _said(program, kind.ask, _identity(program))
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("%s does not run: %s", program, error)
        return None
    match = kind.release.search(said)
    return tuple(map(int, match.groups())) if match else None


# A server takes 50 ms to say its version. What the same file has said once is remembered, so that a worker need not ask
# again that is forked when its parent knows.

_FileIdentity = tuple[int, int, int, int]


def _identity(program: Path) -> _FileIdentity:
    found = program.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns


@cache
def _said(program: Path, ask: tuple[str, ...], _identity: _FileIdentity) -> str:
    asked = subprocess.run(
        [program, *ask], capture_output=True, text=True, timeout=30, check=True, errors="replace"
    )
    return asked.stdout


@cache
def _speaks_tls(judge: Callable[[Path], bool], program: Path, _identity: _FileIdentity) -> bool:
    return judge(program)


def _reachable(kind: Kind, found: Installation, copies: Path, users: ServerUsers) -> Installation:
    program = kind.program(found.bin_dir)
    assert program is not None
    if not any(user.blocked_at(program) for user in users.kinds()):
        return found
    home = copies / f"{kind.engine.lower()}-{found.complete_version}"
    copied = trees.copy(found.bin_dir, home)
    users.require_reach(copied / program.name)
    return replace(found, bin_dir=copied)
