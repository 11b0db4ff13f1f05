"""Finished base backups into the backup repository, and out of it again when they are gone here.

A backup is one as soon as it is finished on this host. That the repository is away does not fail it.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from openrds.hosts.errors import HostError
from openrds.operations.steps import inventories
from openrds.operations.steps.resources import Resources
from openrds.repository import copies, place
from openrds.repository.errors import RepositoryError
from openrds.repository.repository import Repository
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("repository")


class _Unwanted(Exception):  # noqa: N818 - it is no failure
    """The backup was deleted while it was on its way."""


def send_backups(resources: Resources, repository: Repository) -> None:
    """One round: copy what is not there yet, and remove what was deleted here.

    Raises:
        RepositoryError: it cannot be used; or one backup cannot be copied, once the others were tried.
    """
    _remove(resources, repository)
    _list_found(resources, repository)
    failed: list[str] = []
    for row in resources.store.rows(_sql.backups_to_send, [resources.host.name]):
        try:
            _send(resources, repository, row["instance_id"], row["id"])
        except _Unwanted:
            logger.info("backup %s was deleted before it was copied", row["id"])
        except (HostError, OSError) as error:
            failed.append(f"backup {row['id']} cannot be copied: {error}")
    _remove(resources, repository)
    if failed:
        raise RepositoryError("; ".join(failed[:3]))


def _send(resources: Resources, repository: Repository, instance_id: str, backup_id: str) -> None:
    """What is there of it is noted before it is: so it is removed with the backup, however far it came."""

    def check_wanted() -> None:
        if not resources.store.rows(_sql.is_wanted, [backup_id]):
            raise _Unwanted

    if not resources.store.rows(_sql.begin_sending, [backup_id]):
        raise _Unwanted
    folders = resources.host.backups
    home, owner = folders.backup(instance_id, backup_id), folders.owner(instance_id, backup_id)
    prefix = place.backup(instance_id, backup_id)
    sent = copies.send(repository, prefix, home, owner, check_wanted)
    _note(resources, backup_id, prefix, sent | _send_inventory(repository, prefix, home))


def _send_inventory(repository: Repository, prefix: str, home: Path) -> dict[str, int]:
    """Apart from the copy, which is all or nothing, for whoever asks for this alone."""
    content = inventories.beside(home)
    return {} if content is None else repository.write_large(f"{prefix}/{inventories.NAME}", content)


def _note(resources: Resources, backup_id: str, prefix: str, sizes: Mapping[str, int]) -> None:
    names = [name.removeprefix(f"{prefix}/") for name in sizes]
    kb = [-(-size // 1024) for size in sizes.values()]
    resources.store.rows(_sql.note_sent, {"id": backup_id, "names": names, "kb": kb})


def _list_found(resources: Resources, repository: Repository) -> None:
    for row in resources.store.rows(_sql.backups_to_list, [resources.host.name]):
        prefix = place.backup(row["instance_id"], row["id"])
        _note(resources, row["id"], prefix, dict(sorted(repository.sizes(prefix))))


def _remove(resources: Resources, repository: Repository) -> None:
    for row in resources.store.rows(_sql.removals, {"of_logs": False}):
        repository.remove_below(place.backup(row["instance_id"], row["backup_id"]))
        resources.store.rows(_sql.forget_removal, row)
