"""Which user of the operating system an instance has: its servers run as that user, and its files are that user's.

An instance and its read replicas, which have the same data, are a *family* and have the same user.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain

from openrds.domain.instance_values import Instance
from openrds.hosts.user import ServerUser
from openrds.hosts.users import ServerUsers
from openrds.store.database import Row, Store
from openrds.store.queries import Queries
from openrds.tasks.operation import StepFailed

_sql = Queries("instances")

_NONE_FREE = "no user id is free for the instance: let the setting os_uids have more"


def family_of(instance: Instance) -> str:
    """The id of the instance, or of the primary that it is a read replica of."""
    return instance.replica_of or instance.id


@dataclass(frozen=True)
class Owners:
    """Of the instances of one host. An id that was handed over stays the family's as long as it has any file."""

    store: Store
    host: str
    users: ServerUsers
    _known: dict[str, int] = field(default_factory=dict)

    def of(self, family: str, preferred: Callable[[], Iterable[int]]) -> ServerUser:
        """The user of a family, one of the preferred ids if it has none yet.

        Raises:
            StepFailed: it has none, and no id is free.
        """
        if not self.users.ids:
            return self.users.service
        if family not in self._known:
            row = self._row(family) or self._take(family, preferred())
            if not row["handed_over"]:
                return self.users.service
            self._known[family] = row["uid"]
        return self.users.user(self._known[family])

    def assign(self, family: str) -> bool:
        """Choose the user that a family from before shall have; False where it has its own already.

        Raises:
            StepFailed: no id is free.
        """
        if not self.users.ids:
            return False
        row = self._row(family)
        if row is None or row["handed_over"]:
            return False
        for uid in self.users.candidates() if row["uid"] is None else ():
            self.store.rows(_sql.assign_os_user, {"instance_id": family, "uid": uid})
            if (row := self._row(family)) is None or row["uid"] is not None:
                return row is not None
        if row["uid"] is None:
            raise StepFailed(_NONE_FREE)
        return True

    def _take(self, family: str, preferred: Iterable[int]) -> Row:
        for uid in chain((uid for uid in preferred if uid in self.users.ids), self.users.candidates()):
            self.store.rows(_sql.take_os_user, {"instance_id": family, "host": self.host, "uid": uid})
            if row := self._row(family):
                return row
        raise StepFailed(_NONE_FREE)

    def _row(self, family: str) -> Row | None:
        return next(iter(self.store.rows(_sql.os_user, [family])), None)
