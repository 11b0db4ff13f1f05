"""The archive of an instance's binlogs: `NODE/LOG/BEGUN-binlog.000001`, and in short what each file has beside it.

`LOG` tells the logs apart that a node had: when its data is made anew, numbers begin anew too. `BEGUN` is the second
the file was begun in. Folders and files are the server's user's, and so we act as that user.
"""

import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

from openrds.domain.deadline import check_deadline
from openrds.engines.binlog import history, logs
from openrds.engines.binlog.gtids import GtidSet, parse, writers
from openrds.engines.binlog.history import Chain, Stretch
from openrds.engines.binlog.logs import Log
from openrds.engines.protocol import EngineError
from openrds.hosts.folders import DRAFT, read
from openrds.hosts.user import ServerUser

_LOCAL = re.compile(r"binlog\.(\d{6,10})", re.ASCII)
_ARCHIVED = re.compile(r"(\d{10})-binlog\.(\d{6,10})", re.ASCII)
#: What the data had before the log of its server began; where that was pruned up to; and up to when, in microseconds,
#: all that was committed is in the archive.
_BEFORE, _PRUNED, _REACHED = "before", "pruned", "reached"
#: Whose log it was that was shipped, one after another: of those who shipped as primaries.
_PRIMARIES = "primaries"
_PIECE = 2**20
#: Where nothing has to be reached again, only what was just archived is spared.
_SPARED_SECONDS = 3600.0
_MOST_SET_BYTES = 2**26


@dataclass(frozen=True)
class LocalLog:
    """The files of a server in its data directory, oldest first. `identity` names its log among those of the node."""

    identity: str
    files: tuple[Path, ...]

    @classmethod
    def of(cls, data_dir: Path, user: ServerUser, identity: str) -> "LocalLog":
        with user.acting():
            found = [path for path in data_dir.iterdir() if _LOCAL.fullmatch(path.name)]
        return cls(identity, tuple(sorted(found, key=lambda path: _number(path.name))))

    def chain(self, user: ServerUser, before: GtidSet) -> Chain | None:
        """As far as it can be read: the last file may be one that is written to, or was when its server died."""
        found = [logs.summed_up(path, user, torn=path == self.files[-1]) for path in self.files]
        return Chain(tuple(found), before) if found else None


@dataclass(frozen=True)
class Archive:
    """`folder` is that of an instance, `user` whose it is."""

    folder: Path
    user: ServerUser

    @classmethod
    def at(cls, folder: Path) -> "Archive | None":
        """That of whoever owns the folder; None where there is none."""
        with suppress(OSError):
            return cls(folder, ServerUser.owning(folder))
        return None

    def history(self, latest: Chain | None = None) -> tuple[Stretch, ...]:
        turns = self._primaries()
        chains = [chain for place in self._places() for chain in self._chains(place, turns)]
        return history.stretches(chains, latest)

    def note_primary(self, node_id: str, identity: str) -> None:
        """It is its log that is shipped now."""
        known, place = self._primaries(), f"{node_id}/{identity}"
        if not known or known[-1] != place:
            with _put(self.folder):
                logs.write(self.folder / _PRIMARIES, "\n".join((*known, place)).encode(), self.user)

    def _primaries(self) -> list[str]:
        with suppress(OSError), self.user.acting():
            return read(self.folder / _PRIMARIES).decode(errors="replace").split("\n")
        return []

    def reached(self) -> int:
        """Up to when, in microseconds, all that was committed is here; 0 where that was never noted."""
        with suppress(OSError, ValueError), self.user.acting():
            return int(read(self.folder / _REACHED))
        return 0

    def note_reached(self, moment: int) -> None:
        with _put(self.folder):
            logs.write(self.folder / _REACHED, str(moment).encode(), self.user)

    def before(self, identity: str) -> GtidSet | None:
        """What is noted of the log of this name."""
        found = (self._read_set(place) for place in self._places() if place.name == identity)
        return next((before for before in found if before is not None), None)

    def note_before(self, node_id: str, identity: str, before: GtidSet) -> None:
        place = self.folder / node_id / identity
        with _put(place):
            self._make(place)
            logs.write(place / _BEFORE, str(before).encode(), self.user)

    def ship(self, node_id: str, local: LocalLog, files: Sequence[Path], *, torn: bool = False) -> None:
        """Put files in that are not here, but for what was pruned. With `torn`, the last may end anywhere.

        Raises:
            EngineError: one cannot be put here.
        """
        place = self.folder / node_id / local.identity
        with _put(place):
            self._make(place)
            known = self._names(place)
            pruned = self._pruned(place)
            targets = [(path, place / self._archived_name(path)) for path in files]
            new = [(path, to) for path, to in targets if to.name not in known and to.name > pruned]
            for path, to in new if known else self._from_where_it_is_new(place, new):
                check_deadline()
                self._ship(path, to, torn=torn and path == files[-1])

    def has(self, node_id: str, local: LocalLog, path: Path) -> bool:
        """Whether what a file has is here, under its own name or since before."""
        place = self.folder / node_id / local.identity
        first = min(self._names(place), default="")
        name = self._archived_name(path)
        return name in self._names(place) or name <= self._pruned(place) or name < first

    def prune(self, position: str | None) -> None:
        """Remove what comes before a position. Without one all may go, but for what was archived just now.

        So is spared for a while what another primary's log tells, but has not told here: it may die before it does.
        """
        start = None if position is None else parse(position)
        told = start or GtidSet()
        for stretch in reversed(self.history()):
            for log in stretch.chain.logs:
                if not self._may_go(stretch, log, start, told):
                    break
                logs.write(log.path.parent / _PRUNED, log.path.name.encode(), self.user)
                logs.remove(log.path, self.user)
            told |= stretch.told
        self._remove_drafts()

    def _may_go(self, stretch: Stretch, log: Log, start: GtidSet | None, told: GtidSet) -> bool:
        """`told` is what need not be told any more, or is by later primaries."""
        if start is not None and not stretch.counted(log) <= start:
            return False
        return (start is not None and log.holds <= told) or self._is_old(log.path)

    def _remove_drafts(self) -> None:
        """Of those who were killed while they wrote."""
        for place in (self.folder, *self._places()):
            with self.user.acting():
                drafts = list(place.glob(f".*{DRAFT}"))
            for draft in drafts:
                with suppress(FileNotFoundError):
                    if self._is_old(draft):
                        logs.remove(draft, self.user)

    def _places(self) -> Iterator[Path]:
        with self.user.acting():
            return iter([place for node in _folders(self.folder) for place in _folders(node)])

    def _chains(self, place: Path, primaries: Sequence[str]) -> Iterator[Chain]:
        """Of files whose numbers follow each other. The last was a primary's when the place was that last."""
        found = [logs.noted(place / name, self.user) for name in sorted(self._names(place))]
        before = self._read_set(place) or GtidSet()
        holes = [at for at, (one, next_) in enumerate(pairwise(found), 1) if not _follows(one, next_)]
        parts = [tuple(found[begin:end]) for begin, end in pairwise((0, *holes, len(found))) if begin < end]
        name = str(place.relative_to(self.folder))
        turns = [number for number, one in enumerate(primaries) if one == name]
        pairs = zip_longest(reversed(parts), reversed(turns[-len(parts) :] if parts else ()), fillvalue=-1)
        return (Chain(part, before, turn) for part, turn in pairs if isinstance(part, tuple))

    def _names(self, place: Path) -> set[str]:
        with suppress(FileNotFoundError), self.user.acting():
            return {path.name for path in place.iterdir() if _ARCHIVED.fullmatch(path.name)}
        return set()

    def _from_where_it_is_new(
        self, place: Path, new: Sequence[tuple[Path, Path]]
    ) -> Sequence[tuple[Path, Path]]:
        """A server that became the primary has logged for long what others have put here."""
        told = history.covered(self.history())
        before = self._read_set(place) or GtidSet()
        for at in range(len(new) - 1, 0, -1):
            if told and before | logs.head_of(new[at][0], self.user).needs <= told:
                return new[at:]
        return new

    def _ship(self, path: Path, to: Path, *, torn: bool) -> None:
        draft = to.with_name(f".{to.name}.{secrets.token_hex(4)}{DRAFT}")
        try:
            self._copy(path, draft)
            logs.write_note(logs.summed_up(draft, self.user, torn=torn), to, self.user)
            with self.user.acting():
                draft.replace(to)
        finally:
            with self.user.acting():
                draft.unlink(missing_ok=True)

    def _copy(self, path: Path, draft: Path) -> None:
        with logs.open_log(path, self.user) as source, self.user.acting(), draft.open("xb") as target:
            while piece := source.read(_PIECE):
                check_deadline()
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())

    def _archived_name(self, path: Path) -> str:
        return f"{logs.head_of(path, self.user).begun:010d}-{path.name}"

    def _make(self, place: Path) -> None:
        with self.user.acting():
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _pruned(self, place: Path) -> str:
        with suppress(OSError), self.user.acting():
            return read(place / _PRUNED).decode(errors="replace")
        return ""

    def _read_set(self, place: Path) -> GtidSet | None:
        with suppress(OSError, ValueError), self.user.acting():
            return parse(read(place / _BEFORE, _MOST_SET_BYTES).decode())
        return None

    def _is_old(self, path: Path) -> bool:
        with self.user.acting():
            return time.time() - path.lstat().st_mtime > _SPARED_SECONDS


def goes_on_from(archive: Path, position: str, latest: Chain | None = None) -> bool:
    """Whether the archive has all from a position on, with what the present primary's own log has."""
    found = Archive.at(archive)
    told = found.history(latest) if found else history.stretches([], latest)
    return history.goes_on_from(told, parse(position), writers(position), to_present=latest is not None)


@contextmanager
def _put(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(f"the log cannot be put into {place}: {error.strerror or error}") from error


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    return []


def _number(name: str) -> int:
    return int(name.rpartition(".")[2])


def _follows(one: Log, next_: Log) -> bool:
    return _number(one.path.name) + 1 == _number(next_.path.name)


def finished(files: Iterable[Path]) -> tuple[Path, ...]:
    """A server writes to the last."""
    return tuple(files)[:-1]
