"""Archived log into the backup repository: whatever the engine, it is files that appear in an instance's archive."""

import datetime as dt
import time

from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser
from openrds.operations.steps.resources import Resources
from openrds.repository import place
from openrds.repository.errors import RepositoryError
from openrds.repository.logs import LogCopy, files_in
from openrds.repository.repository import Repository
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("repository")

#: Seconds. Log that is not in the archive any more stays so much longer than what needs it.
_SPARED = 3600.0
#: How often it is at least noted that all is there, though nothing was new.
_NOTED_EVERY = 30.0


class LogSending:
    """What the repository has of the archives of one host, round after round."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._copies: dict[str, tuple[str, LogCopy]] = {}
        self._noted: dict[str, float] = {}

    def send(self, repository: Repository) -> None:
        """One round.

        Raises:
            RepositoryError: it cannot be used; or one log cannot be copied, once the others were tried.
        """
        for removal in self._resources.store.rows(_sql.removals, {"of_logs": True}):
            repository.remove_below(place.logs(removal["instance_id"]))
            self._resources.store.rows(_sql.forget_removal, removal)
        rows = self._resources.store.rows(_sql.logs_to_send, [self._resources.host.name])
        known = {row["id"] for row in rows}
        self._copies = {id_: copy for id_, copy in self._copies.items() if id_ in known}
        failed: list[str] = []
        for row in rows:
            try:
                self._send(repository, row)
            except (HostError, OSError) as error:
                failed.append(f"the log of instance {row['id']} cannot be copied: {error}")
        if failed:
            raise RepositoryError("; ".join(failed[:3]))

    def _send(self, repository: Repository, row: Row) -> None:
        folders, instance_id = self._resources.host.backups, row["id"]
        generation, began = folders.generation(instance_id), time.time()
        if generation is None:
            return
        archive = folders.archive(instance_id)
        owner = ServerUser.owning(archive)
        copy = self._copy(repository, instance_id, generation)
        found = files_in(archive, owner)
        has_new = copy.send(archive, owner, found)
        oldest = row["oldest"].timestamp() if row["oldest"] else began
        if folders.generation(instance_id) != generation:
            return  # another archive has taken its place while we looked
        copy.remove_passed(found, oldest - _SPARED)
        if has_new or row["generation"] != generation or self._is_to_be_noted(instance_id):
            reached = dt.datetime.fromtimestamp(began, dt.UTC)
            noted = {"instance_id": instance_id, "generation": generation, "reached": reached}
            self._resources.store.rows(_sql.note_log_sent, noted)
            self._noted[instance_id] = time.monotonic()
        if row["renewed"] and not row["held"]:
            self._remove_former(repository, instance_id, generation)

    def _copy(self, repository: Repository, instance_id: str, generation: str) -> LogCopy:
        known = self._copies.get(instance_id)
        if known is not None and known[0] == generation:
            return known[1]
        copy = LogCopy(repository, place.log(instance_id, generation))
        self._copies[instance_id] = generation, copy
        return copy

    def _is_to_be_noted(self, instance_id: str) -> bool:
        return time.monotonic() - self._noted.get(instance_id, float("-inf")) >= _NOTED_EVERY

    def _remove_former(self, repository: Repository, instance_id: str, generation: str) -> None:
        """The log of a former life leads to nothing, once there is a backup that log of this one goes on from."""
        copy = self._copies[instance_id][1]
        if copy.is_alone:
            return
        below = place.logs(instance_id)
        former = [
            name
            for name, _ in repository.sizes(below)
            if not name.startswith(f"{place.log(instance_id, generation)}/")
        ]
        repository.remove(former)
        copy.is_alone = True
