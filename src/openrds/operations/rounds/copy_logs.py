"""Archived log from the backup repository to the second place, and what nobody needs any more out of that again."""

import datetime as dt

from openrds.operations.rounds.copy_access import now
from openrds.operations.steps.resources import Resources
from openrds.repository import place
from openrds.repository.copying import Pace, copy_objects
from openrds.repository.errors import RepositoryError
from openrds.repository.logs import files_of
from openrds.repository.repository import Repository
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("copies")


class LogCopying:
    """Round after round, instance by instance: what is there of one is all that is kept in mind."""

    def __init__(self, resources: Resources, pace: Pace) -> None:
        self._resources = resources
        self._pace = pace

    def copy(self, source: Repository, target: Repository) -> dt.datetime:
        """One round.

        Raises:
            RepositoryError: one of the two cannot be used; or something is damaged, once all the rest was copied.
        """
        began, damaged = now(), []
        for row in self._resources.store.rows(_sql.logs_to_copy, [self._resources.host.name]):
            damaged += self._copy_one(source, target, row)
        if damaged:
            raise RepositoryError("; ".join(damaged[:3]))
        return began

    def _copy_one(self, source: Repository, target: Repository, row: Row) -> list[str]:
        """What is wrong with what is damaged. The oldest comes first: what is there has no gaps."""
        prefix = place.log(row["id"], row["generation"])
        found = {one.name: one.size for one in source.objects.listed(prefix)}
        there = dict(target.sizes(prefix))
        names = [name for file in sorted(files_of(prefix, found)) for name in file.names(prefix)]
        missing = [name for name in names if name in found and there.get(name) != found[name]]
        _, damaged = copy_objects(source, target, missing, self._pace)
        noted = {"instance_id": row["id"], "generation": row["generation"]}
        self._resources.store.rows(_sql.note_log_copied, noted)
        self._remove_passed(target, prefix, there.keys() - found.keys(), row)
        return damaged

    def _remove_passed(self, target: Repository, prefix: str, former: set[str], row: Row) -> None:
        """What is gone from the repository, and is from long before any backup that is here or in the copy.

        A repository that was emptied takes no log away that a backup needs.
        """
        if not row["is_based"]:
            return
        before = row["oldest"].timestamp() - self._resources.settings.backup_copies_delay
        passed = files_of(prefix, former).items()
        target.remove([name for file, names in passed if file.written < before * 1e9 for name in names])
