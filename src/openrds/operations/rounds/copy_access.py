"""The backup repository and the place of its copies as the rounds have them, or what is wrong is noted.

The repository never waits for the copies: what is slow or away there holds up these rounds alone.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from openrds.operations.rounds.repository_access import RETRY, Problems, RepositoryAccess
from openrds.operations.steps.resources import Resources
from openrds.repository.errors import RepositoryError
from openrds.repository.place import Place
from openrds.repository.repository import Mark, Repository
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("copies")

#: Seconds after which it is looked again whether the place is still ours.
_CHECKED_EVERY = 60.0
#: A round comes again after so many times what it took, or later: what it lists is large where there is much.
_PAUSES = 10.0

Kind = Literal["records", "backups", "log"]
#: Copies from the first repository to the second; up to when all is there then.
Work = Callable[[Repository, Repository], dt.datetime]


class CopyAccess:
    """Whoever copies asks each time: the copy may have become the repository of another service."""

    def __init__(
        self,
        resources: Resources,
        repository: RepositoryAccess,
        place: Place,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resources = resources
        self._repository = repository
        self._place = place
        self._clock = clock
        self._opening = threading.Lock()
        self._checked: float | None = None
        self._problems = Problems(
            resources.store,
            _sql.note_problem,
            (
                "%s of the backup repository are not copied: %s",
                "%s of the backup repository are copied again",
            ),
        )

    def guarded(self, kind: Kind, work: Work, *, every: float) -> Callable[[], float | None]:
        """A round that comes again in so many seconds, or later where there is much to look at."""

        def one_round() -> float | None:
            began = self._clock()
            try:
                source, target = self._open()
                reached = work(source, target)
                self._resources.store.rows(_sql.note_reached, {"kind": kind, "reached": reached})
            except RepositoryError as error:
                self._problems.note(kind, str(error))
                return RETRY
            self._problems.note(kind, "")
            return max(every, _PAUSES * (self._clock() - began))

        return one_round

    def _open(self) -> tuple[Repository, Repository]:
        source = self._repository.open()
        with self._opening:
            target = self._place.open()
            if self._checked is None or self._clock() - self._checked >= _CHECKED_EVERY:
                self._checked = None
                self._check(source, target)
                self._checked = self._clock()
            return source, target

    def _check(self, source: Repository, target: Repository) -> None:
        """
        Raises:
            RepositoryError: it is another service's, or the repository itself.
        """
        ours, there = source.mark(), target.mark()
        known = next(iter(self._resources.store.rows(_sql.known)), None)
        if ours is None:
            raise RepositoryError(f"The backup repository {source.address} is not claimed yet.")
        if there is not None and there.service == ours.service and not there.copy:
            raise RepositoryError(
                f"{target.address} is the backup repository itself, and no place for copies."
            )
        is_known = known is not None and known["address"] == target.address
        # The repository may have been claimed anew, because somebody had emptied it.
        former = {ours.service, *ours.former} | ({known["service"]} if known and is_known else set())
        if there is not None and there.service not in former:
            raise RepositoryError(
                f"The copies at {target.address} are another service's. If this one is to replace it: "
                "openrds restore-service, on an empty data directory; else choose another place."
            )
        wanted = Mark(ours.format, ours.service, ours.former, copy=True)
        if there != wanted:
            target.write_mark(wanted)
        self._note_ours(target.address, ours.service, is_new=not is_known or there is None)

    def _note_ours(self, address: str, service: str, *, is_new: bool) -> None:
        """Where there was no mark is nothing of what was copied, or somebody takes the place for an empty one."""
        with self._resources.store.transaction() as connection:
            if is_new:
                connection.execute(_sql.adopt)
                connection.execute(_sql.insert, {"address": address, "service": service})
                logger.info("backups are copied to %s", address)
            connection.execute(_sql.note_service, {"service": service})


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
