"""What a restore needs and this host has not, out of the backup repository."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openrds.domain.deadline import check_deadline, ended_with_step
from openrds.hosts.folders import make_home
from openrds.operations.steps.resources import Resources
from openrds.repository import copies, logs, place
from openrds.repository.errors import NotInRepositoryError, RepositoryError, StrangeObjectError
from openrds.repository.place import Place
from openrds.repository.repository import Repository
from openrds.tasks.operation import StepFailed

logger = logging.getLogger(__name__)

#: Seconds after which a repository that is away is tried again, for as long as the step may take.
_RETRY = 10.0


def fetch_backup(resources: Resources, instance_id: str, backup_id: str) -> None:
    """Have a base backup where those of this host are, once: one after another, for each takes the whole line.

    Raises:
        StepFailed: it is not in the repository, or not as it was put there; or there is no repository.
    """
    folders, owner = resources.host.backups, resources.host.owners.of(instance_id, list)
    found = _place(resources)
    with _in_turn(found):
        if folders.backup(instance_id, backup_id).exists():
            return

        def fetch(repository: Repository, got_on: Callable[[], None]) -> None:
            prefix = place.backup(instance_id, backup_id)
            manifest = copies.read_manifest(repository, prefix)
            unfinished = folders.begin(instance_id, backup_id)
            try:
                copies.fetch(repository, prefix, unfinished, owner, got_on, manifest)
                folders.finish(instance_id, backup_id, unfinished)
            except BaseException:
                folders.remove(instance_id, backup_id)
                raise

        _patiently(found, fetch)


def fetch_log(resources: Resources, instance_id: str, generation: str) -> None:
    """Have all archived log of an instance, of one generation of its archive, where its archive is.

    Raises:
        StepFailed: it is not as it was put there; or there is no repository.
    """
    owner = resources.host.owners.of(instance_id, list)
    archive = resources.host.backups.archive(instance_id)
    resources.host.backups.make_root()
    make_home(archive.parent)
    owner.make_folder(archive)
    # What is there is not sent there again.
    resources.host.backups.note_generation(instance_id, generation)

    def fetch(repository: Repository, got_on: Callable[[], None]) -> None:
        logs.fetch(repository, place.log(instance_id, generation), archive, owner, got_on)

    _patiently(_place(resources), fetch)


def _place(resources: Resources) -> Place:
    if resources.host.repository is None:
        raise StepFailed("the backup is in a repository, and the setting backup_repository names none")
    return resources.host.repository


def _patiently(found: Place, fetch: Callable[[Repository, Callable[[], None]], None]) -> None:
    """A repository that is away is waited for: what restores everything shall not fail for it."""
    with _telling() as got_on:
        while True:
            try:
                fetch(found.open(), got_on)
            except (NotInRepositoryError, StrangeObjectError) as error:
                raise StepFailed(str(error)) from None
            except RepositoryError as error:
                logger.warning("nothing can be fetched, and is tried again: %s", error)
                got_on()
                time.sleep(_RETRY)
            else:
                return


@contextmanager
def _in_turn(found: Place) -> Iterator[None]:
    """However long others take: to wait for them is to get on."""
    with _telling() as got_on:
        while not found.fetching.acquire(timeout=1.0):
            got_on()
    try:
        yield
    finally:
        found.fetching.release()


@contextmanager
def _telling() -> Iterator[Callable[[], None]]:
    """What says that a step gets on, and notices that it has been given up."""
    moved = 0

    def got_on() -> None:
        nonlocal moved
        check_deadline()
        moved += 1

    with ended_with_step(lambda: None, lambda: moved):
        yield got_on
