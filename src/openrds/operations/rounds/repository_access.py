"""The backup repository as the rounds have it: it is ours to write to, or what is wrong is noted where people look."""

import logging
import threading
import time
from collections.abc import Callable

from openrds.operations.steps.resources import Resources
from openrds.repository.errors import RepositoryError
from openrds.repository.place import Place
from openrds.repository.repository import Repository
from openrds.store.database import Writer
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("repository")

#: Seconds after which one that cannot be used is tried again, and after which one that could is looked at again.
RETRY = 30.0
_CHECKED_EVERY = 60.0


class RepositoryAccess:
    """Whoever writes there asks each time: another service may have taken it over, as after a restore elsewhere."""

    def __init__(
        self, resources: Resources, place: Place, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resources = resources
        self._place = place
        self._clock = clock
        self._opening = threading.Lock()
        self._checked: float | None = None
        self._problems: dict[str, str] = {}

    def guarded(self, name: str, work: Callable[[Repository], None]) -> Callable[[], float | None]:
        """A round that has the repository; without one it comes again in a while, and the service goes on as ever."""

        def one_round() -> float | None:
            try:
                work(self._open())
            except RepositoryError as error:
                self._note(name, str(error))
                return RETRY
            self._note(name, "")
            return None

        return one_round

    def _open(self) -> Repository:
        with self._opening:
            repository = self._place.open(may_make_key=True)
            if self._checked is None or self._clock() - self._checked >= _CHECKED_EVERY:
                self._checked = None
                self._check(repository)
                self._resources.store.rows(_sql.note_checked)
                self._checked = self._clock()
            return repository

    def _check(self, repository: Repository) -> None:
        """
        Raises:
            RepositoryError: it is another service's.
        """
        there = repository.service()
        known = next(iter(self._resources.store.rows(_sql.repository)), None)
        if known is not None and known["address"] == repository.address and known["service"] == there:
            return
        if there is not None:
            raise RepositoryError(
                f"The backup repository {repository.address} is another service's. If this one is to replace it: "
                "openrds restore-service, on an empty data directory; else choose another place."
            )
        service = repository.claim()
        with self._resources.store.transaction() as connection:
            adopt(connection, repository.address, service)
        logger.info("backups go to %s", repository.address)

    def _note(self, name: str, problem: str) -> None:
        """Once, and not each time that it is still so. What is wrong for several rounds is so for one reason."""
        if problem == self._problems.get(name, ""):
            return
        if problem:
            logger.warning("%s do not get out of this machine: %s", name, problem)
        else:
            logger.info("%s get out of this machine again", name)
        self._problems[name] = problem
        noted = next(filter(None, self._problems.values()), "")
        self._resources.store.rows(_sql.note_problem, {"problem": noted})


def adopt(connection: Writer, address: str, service: str) -> None:
    """Write down that a repository was claimed, and that nothing is known to be in it."""
    connection.execute(_sql.adopt_repository)
    connection.execute(_sql.insert_repository, {"address": address, "service": service})
