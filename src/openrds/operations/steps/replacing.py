"""Other data in the place of an instance's, which is kept until the other serves: so there is a way back.

Its standby and its read replicas are at rest meanwhile, and keep theirs too; then they copy the new.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.protocol import EngineError, NodeSpec, Server
from openrds.hosts.folders import clear, make_home
from openrds.operations.steps.replication import build_standby, end_confirmation
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.servers import start_servers, stop_servers
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("backups")

#: Folders of a node: its data as it was before, and the same when it is being removed.
_BEFORE = "before"
_REMOVED = "removed"


def _nothing_more() -> None:
    pass


@dataclass(frozen=True)
class Replacement:
    """Of the data of `members`, the instance and those of its read replicas that get the new. `mark` is of the task."""

    resources: Resources
    members: Sequence[str]
    mark: str

    @property
    def is_begun(self) -> bool:
        """Whether the old data has been set aside: what is to come in its place is whole then."""
        return self._old_data.exists()

    def stop_all(self) -> None:
        """The primary first: who follows has then heard of the last change."""
        for id_ in self.members:
            stop_servers(self.resources, id_)

    def put(self, made: Path) -> None:
        """Put the data in its place, while all are at rest.

        The archive begins anew too: the log to come has nothing to do with the log that was. Who follows is at rest
        meanwhile: with the data of before it might take the new log for the old one's.
        """
        resources, node = self.resources, self._primary.node
        end_confirmation(resources, self.members[0])
        if made.exists():
            if not self.is_begun:
                _set_aside(node, self._old_data)
            made.rename(node.data_dir)
        resources.host.backups.set_archive_aside(self.members[0], self.mark)

    def put_back(self, note: Callable[[], None] = _nothing_more) -> None:
        """The way back, where `put` went it. `note` is called while all are at rest.

        One that was broken before may be broken still.
        """
        resources, old = self.resources, self._old_data
        if old.parent.exists():
            self.stop_all()
            if old.exists():
                data = self._primary.node.data_dir
                clear(data)
                old.rename(data)
            resources.host.backups.bring_archive_back(self.members[0], self.mark)
            note()
            old.parent.rmdir()
        try:
            self.start_all()
        except EngineError:
            logger.warning("not all of instance %s serves as before", self.members[0], exc_info=True)

    def settle(self) -> None:
        """There is no way back from here on. While the primary's old data is there, nobody has copied its new yet.

        Raises:
            EngineError: not each of them serves.
        """
        resources, before = self.resources, self._old_data.parent
        # No log leads from the backups of before to what is to come.
        resources.store.rows(_sql.break_continuity, [self.members[0]])
        if before.exists():
            for follower in self._followers():
                _remove(follower.node.data_dir)
        _remove(before)
        resources.host.backups.forget_aside(self.members[0])
        self.start_all()

    def start_all(self) -> None:
        """
        Raises:
            EngineError: not each of them serves. A standby that is missing is the monitor's to bring back.
        """
        resources, failures = self.resources, []
        start_servers(resources, self.members[0])
        for id_ in self.members[1:]:
            try:
                build_standby(resources, id_, resources.primary_server(id_))
            except EngineError as error:
                failures.append(f"read replica {id_} cannot follow: {error}")
        if failures:
            raise EngineError("; ".join(failures))

    def _followers(self) -> Iterator[Server]:
        resources = self.resources
        pairs = [
            (resources.view.instance(id_), node) for id_ in self.members for node in resources.view.nodes(id_)
        ]
        return (resources.server(instance, node) for instance, node in pairs[1:])

    @property
    def _primary(self) -> Server:
        return self.resources.primary_server(self.members[0])

    @property
    def _old_data(self) -> Path:
        node = self._primary.node
        return node.folder / _BEFORE / node.data_dir.name


def _set_aside(node: NodeSpec, old: Path) -> None:
    """An instance that is broken may have no data."""
    make_home(old.parent)
    if node.data_dir.exists():
        node.data_dir.rename(old)
    else:
        node.user.make_folder(old)


def _remove(place: Path) -> None:
    """Hidden before it is removed: data that is only half there is not swapped back, and not started."""
    hidden = place.with_name(_REMOVED)
    if hidden.exists():
        shutil.rmtree(hidden)
    if place.exists():
        place.rename(hidden)
        shutil.rmtree(hidden)
