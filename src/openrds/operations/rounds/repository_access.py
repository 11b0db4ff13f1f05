"""The backup repository as the rounds have it: it is ours to write to, or what is wrong is noted where people look."""

import logging
import threading
import time
from collections.abc import Callable

from openrds.operations.steps.resources import Resources
from openrds.repository.errors import RepositoryError
from openrds.repository.place import Place
from openrds.repository.repository import Repository
from openrds.store.database import Store, Writer
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
        self._problems = Problems(
            resources.store,
            _sql.note_problem,
            ("%s do not get out of this machine: %s", "%s get out of this machine again"),
        )

    def guarded(self, name: str, work: Callable[[Repository], None]) -> Callable[[], float | None]:
        """A round that has the repository; without one it comes again in a while, and the service goes on as ever."""

        def one_round() -> float | None:
            try:
                work(self.open())
            except RepositoryError as error:
                self._problems.note(name, str(error))
                return RETRY
            self._problems.note(name, "")
            return None

        return one_round

    def open(self) -> Repository:
        """
        Raises:
            RepositoryError: it cannot be used, or is another service's.
        """
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


class Problems:
    """What is wrong for several rounds is so for one reason: it is said once, and noted until all are well again.

    `words` are those of the log, for what goes wrong and for what is well again, with the name of the round in them.
    """

    def __init__(self, store: Store, statement: bytes, words: tuple[str, str]) -> None:
        self._store = store
        self._statement = statement
        self._words = words
        self._known: dict[str, str] = {}

    def note(self, name: str, problem: str) -> None:
        """Also the first time: what a process of before has noted is not known to be so any more."""
        before = self._known.get(name)
        if problem == before:
            return
        if problem:
            logger.warning(self._words[0], name, problem)
        elif before:
            logger.info(self._words[1], name)
        self._known[name] = problem
        noted = next(filter(None, self._known.values()), "")
        self._store.rows(self._statement, {"problem": noted})


def adopt(connection: Writer, address: str, service: str) -> None:
    """Write down that a repository was claimed, and that nothing is known to be in it."""
    connection.execute(_sql.adopt_repository)
    connection.execute(_sql.insert_repository, {"address": address, "service": service})
