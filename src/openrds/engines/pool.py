"""Data directories: fresh ones, kept in reserve so that an instance need not wait for one.

An engine's program takes a core for seconds, so it runs once: from what it made, fresh ones are cut (`templates`). Not
each of these programs runs as a user without a name, as that of an instance is: the service's runs it, and what it made
is handed over before any server has run there. A spare belongs in advance to a user that an instance may get.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from openrds.engines.protocol import EngineError, Installation, NodeSpec
from openrds.engines.recipe import UNFINISHED, Recipe, run
from openrds.engines.templates import Template, clear_outdated
from openrds.engines.turns import Turns
from openrds.hosts.errors import HostError
from openrds.hosts.folders import clear, make_durable, make_home
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers

_COPY_SECONDS = 600
_TAKEN = ".taken-"


@dataclass(frozen=True)
class DataDirectories:
    """`pool` holds a folder of spare directories for each version; `spares` is how many of each."""

    recipe: Recipe
    pool: Path
    users: ServerUsers
    spares: int
    turns: Turns = field(default_factory=Turns)

    def make(self, node: NodeSpec) -> None:
        """
        Make a data directory: by renaming a spare one, which is instant, or by copying it, or a fresh one.

        Raises:
            EngineError: none can be made, or there is something else in the place.
        """
        data_dir = node.data_dir
        if self.recipe.is_made(data_dir):
            return
        if data_dir.exists() and any(data_dir.iterdir()):
            raise EngineError(f"{data_dir} is not empty, and not a data directory of {self.recipe.engine}.")
        for remains in data_dir.parent.glob(f".{data_dir.name}{UNFINISHED}*"):
            clear(remains)
        if self._take(node):
            return
        with self.turns.one():
            # Others may have left one meanwhile.
            if not self._take(node):
                unfinished = data_dir.parent / f".{data_dir.name}{UNFINISHED}{secrets.token_hex(4)}"
                self._make(node.installation, unfinished, data_dir, node.user, node.options)

    def fill(self, installations: Iterable[Installation]) -> None:
        """
        Bring the reserve of each version to its size; one filler works on a version at a time.

        Raises:
            EngineError: none can be made.
        """
        for installation in installations:
            with self._filling(installation) as lock:
                self._remove_remains(installation)
                while len(self.ready(installation)) < self.spares:
                    self.turns.await_quiet()
                    name = secrets.token_hex(8)
                    place = self._place(installation)
                    unfinished = place / (UNFINISHED + name)
                    self._make(installation, unfinished, place / name, self.users.any(), {}, lock)

    def ready(self, installation: Installation) -> list[Path]:
        """The spare directories that can be taken now."""
        place = self._place(installation)
        return [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []

    def owners(self, installation: Installation) -> list[int]:
        """Whose the spares are: an instance that gets such an id need not wait for one to be handed over."""
        owners = (_owner(spare) for spare in self.ready(installation))
        return [owner.uid for owner in owners if owner is not None]

    def _take(self, node: NodeSpec) -> bool:
        """Of several that want the same spare, one gets it: a rename succeeds once."""
        spares = self.ready(node.installation) if self.recipe.is_spare_fit(node) else []
        for spare in sorted(spares, key=lambda spare: not _belongs(spare, node.user)):
            if self._take_at_once(spare, node) or self._take_over(spare, node):
                make_durable(node.folder, tree=False)
                return True
        return False

    def _take_at_once(self, spare: Path, node: NodeSpec) -> bool:
        try:
            if _belongs(spare, node.user):
                spare.rename(node.data_dir)
                return True
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ENOENT):
                raise EngineError(f"{node.data_dir}: {error}") from error
        return False

    def _take_over(self, spare: Path, node: NodeSpec) -> bool:
        """One that was made for another user, or that is on another file system: copying takes a fraction of making.

        Raises:
            EngineError: it failed.
        """
        taken = spare.with_name(_TAKEN + spare.name)
        try:
            # Held while we are at it, so that a filler does not take it for what somebody left who died.
            with _held(spare):
                spare.rename(taken)
                node.user.take_over(taken, ServerUser.owning(taken).uid)
                _move(taken, node)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise EngineError(f"{node.data_dir}: {error}") from error
        return True

    def _place(self, installation: Installation) -> Path:
        return self.pool / f"{self.recipe.engine.lower()}-{installation.complete_version}"

    @contextmanager
    def _filling(self, installation: Installation) -> Iterator[int]:
        """Hold the lock of a version's reserve. It ends with its holder, and with the programs that the holder runs."""
        place = self._place(installation)
        try:
            make_home(self.pool)
            make_home(place)
        except HostError as error:
            raise EngineError(str(error)) from error
        descriptor = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _remove_remains(self, installation: Installation) -> None:
        """Called with the lock held, so that nobody is still making what is unfinished."""
        place = self._place(installation)
        clear_outdated(place)
        for remains in place.glob(f"{UNFINISHED}*"):
            clear(remains)
        for remains in place.glob(f"{_TAKEN}*"):
            with suppress(FileNotFoundError, BlockingIOError), _held(remains, fcntl.LOCK_EX | fcntl.LOCK_NB):
                clear(remains)

    def _make(
        self,
        installation: Installation,
        unfinished: Path,
        target: Path,
        owner: ServerUser,
        options: Mapping[str, str],
        lock: int | None = None,
    ) -> None:
        """Make the directory under another name first. The programs hold the lock, should we die meanwhile."""
        service = self.users.service
        fixed = {name: options.get(name, usual) for name, usual in self.recipe.fixed.items()}
        template = Template(self.recipe, installation, fixed, self._place(installation), service)
        try:
            template.cut(unfinished, () if lock is None else (lock,))
            owner.take_over(unfinished, service.uid)
            unfinished.rename(target)
        except (HostError, OSError) as error:
            raise EngineError(f"{target}: {error}") from error
        finally:
            clear(unfinished)
        make_durable(target.parent, tree=False)


def _owner(spare: Path) -> ServerUser | None:
    """None where somebody has taken it meanwhile."""
    try:
        return ServerUser.owning(spare)
    except FileNotFoundError:
        return None


def _belongs(spare: Path, user: ServerUser) -> bool:
    owner = _owner(spare)
    return owner is not None and owner.uid == user.uid


def _move(spare: Path, node: NodeSpec) -> None:
    try:
        spare.rename(node.data_dir)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(spare, node)
        clear(spare)


def _copy(spare: Path, node: NodeSpec) -> None:
    """It appears whole and on disk, or not at all."""
    what = f"{node.data_dir}: the copy"
    unfinished = node.folder / f".{node.data_dir.name}{UNFINISHED}{secrets.token_hex(4)}"
    try:
        node.user.make_folder(unfinished)
        copy = ("cp", "--archive", "--no-target-directory", str(spare), str(unfinished))
        run(copy, node.user, what, _COPY_SECONDS)
        run(("sync", "--file-system", str(unfinished)), node.user, what, _COPY_SECONDS)
        unfinished.rename(node.data_dir)
    finally:
        clear(unfinished)


@contextmanager
def _held(folder: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises:
        FileNotFoundError: there is none.
        BlockingIOError: another holds it, and we are not to wait.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
