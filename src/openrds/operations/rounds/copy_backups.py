"""Base backups from the backup repository to the second place, and out of that again, long after they are unwanted.

What is wanted there the store says, and never what a repository lists: one that was emptied empties no other. What is
not wanted any more stays for `backup_copies_delay`: so long whoever deletes all there is has deleted nothing there.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable, Container, Iterable, Iterator

from openrds.operations.rounds.copy_access import now
from openrds.operations.steps import inventories
from openrds.operations.steps.resources import Resources
from openrds.repository import copies, place
from openrds.repository.copying import Pace, copy_objects
from openrds.repository.errors import NotInRepositoryError, RepositoryError, StrangeObjectError
from openrds.repository.repository import Repository
from openrds.store.database import Row
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("copies")
_repository = Queries("repository")

#: Seconds between looks whether what was copied is still there, and what else is.
_SWEEP_INTERVAL = dt.timedelta(hours=1).total_seconds()
#: Instances that the store is asked about in one go.
_AT_ONCE = 200


class _Unwanted(Exception):  # noqa: N818 - it is no failure
    """The backup was deleted while it was copied."""


class BackupCopying:
    """Round after round: what is to go makes room first, then the newest backups are copied before older ones."""

    def __init__(self, resources: Resources, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._resources = resources
        self._pace = pace
        self._clock = clock
        self._swept: float | None = None

    def copy(self, source: Repository, target: Repository) -> dt.datetime:
        """One round.

        Raises:
            RepositoryError: one of the two cannot be used; or a backup cannot be copied, once the others were tried.
        """
        began, store, host = now(), self._resources.store, self._resources.host.name
        if self._swept is None or self._clock() - self._swept >= _SWEEP_INTERVAL:
            self._look_whether_all_is_there(target)
            self._note_unwanted(target)
            self._swept = self._clock()
        self._remove_due(target)
        failed, tried = [], set[str]()
        # Asked anew each time: the next may be newer than those that were there.
        while row := self._next(tried):
            tried.add(row["id"])
            try:
                failed += self._copy_one(source, target, row)
            except _Unwanted:
                logger.info("backup %s was deleted before it was copied", row["id"])
        left: list[dt.datetime] = [row["end_time"] for row in store.rows(_sql.backups_to_copy, [host])]
        if failed:
            raise RepositoryError("; ".join(failed[:3]))
        return min([began, *left])

    def _next(self, tried: Container[str]) -> Row | None:
        rows = self._resources.store.rows(_sql.backups_to_copy, [self._resources.host.name])
        return next((row for row in rows if row["id"] not in tried), None)

    def _copy_one(self, source: Repository, target: Repository, row: Row) -> list[str]:
        """Why it is not whole there; nothing where it is. What makes it whole comes last."""
        prefix = place.backup(row["instance_id"], row["id"])
        try:
            wanted = copies.objects_of(source, prefix)
        except NotInRepositoryError as error:
            return [] if self._is_unwanted(row) else [str(error)]
        there = dict(target.sizes(prefix))
        *parts, manifest = [name for name, size in wanted.items() if size is None or there.get(name) != size]
        parts += _inventory(source, prefix)
        gone, damaged = copy_objects(source, target, self._while_wanted(row, parts), self._pace)
        if not gone and not damaged:
            gone, damaged = copy_objects(source, target, [manifest], self._pace)
        if not gone and not damaged:
            self._resources.store.rows(_sql.note_copied, [row["id"]])
        if gone and self._is_unwanted(row):
            raise _Unwanted
        return [*damaged, *(f"{name} is gone from {source.address}" for name in gone)]

    def _while_wanted(self, row: Row, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if self._is_unwanted(row):
                raise _Unwanted
            yield name

    def _is_unwanted(self, row: Row) -> bool:
        return not self._resources.store.rows(_repository.is_wanted, [row["id"]])

    def _look_whether_all_is_there(self, target: Repository) -> None:
        """What somebody has taken away there is copied again."""
        store, missing = self._resources.store, []
        names: dict[str, set[str]] = {}
        for row in store.rows(_sql.copied_backups, [self._resources.host.name]):
            instance_id, prefix = row["instance_id"], place.backup(row["instance_id"], row["id"])
            if instance_id not in names:
                below = target.sizes(place.backups(instance_id))
                names = {instance_id: {name for name, _ in below}}
            try:
                is_whole = names[instance_id].issuperset(copies.objects_of(target, prefix))
            except NotInRepositoryError:
                is_whole = False
            missing += [] if is_whole else [row["id"]]
        if missing:
            logger.warning("%d copies of backups are not there any more, and are made again", len(missing))
            store.rows(_sql.forget_copied, [missing])

    def _note_unwanted(self, target: Repository) -> None:
        """What is there and unknown here, or of no use any more, is to go when its time has come."""
        instance_ids = target.objects.below(place.INSTANCES)
        for begin in range(0, len(instance_ids), _AT_ONCE):
            rows = self._resources.store.rows(_sql.wanted, [instance_ids[begin : begin + _AT_ONCE]])
            for row in rows:
                self._note_unwanted_of(target, row)

    def _note_unwanted_of(self, target: Repository, row: Row) -> None:
        id_, wanted = row["id"], set(row["backups"])
        backups = (
            place.backup(id_, one) for one in target.objects.below(place.backups(id_)) if one not in wanted
        )
        logs = (
            place.log(id_, generation)
            for generation in target.objects.below(place.logs(id_))
            if not row["exists"] or row["generation"] not in (None, generation)
        )
        if prefixes := [*backups, *logs]:
            self._resources.store.rows(_sql.note_unwanted, {"instance_id": id_, "prefixes": prefixes})

    def _remove_due(self, target: Repository) -> None:
        """A backup stops to be whole first of all."""
        store, delay = self._resources.store, self._resources.settings.backup_copies_delay
        store.rows(_sql.spare_wanted)
        for row in store.rows(_sql.removals_due, [delay]):
            target.remove([copies.manifest_name(row["prefix"])])
            target.remove_below(row["prefix"])
            store.rows(_sql.forget_removals, [[row["prefix"]]])
            logger.info("%s was removed from the copies", row["prefix"])


def _inventory(source: Repository, prefix: str) -> list[str]:
    """The objects that list what is in a backup, which is one without them too."""
    name = f"{prefix}/{inventories.NAME}"
    try:
        return [*source.pieces(name), name]
    except (NotInRepositoryError, StrangeObjectError):
        return []
