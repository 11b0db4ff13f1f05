"""Who runs what: the users of the operating system that the servers of a host have."""

import grp
import hashlib
import os
import pwd
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser

#: Where nobody says which ids the users of instances have, they are of a block of one of these, the first that this
#: machine has. Systemd's list of ids knows of no use of the first; a container without root's rights has the second.
_UNUSED = ((range(1879048192, 2147352576), 65536), (range(20000, 60000), 1000))

_chance = random.SystemRandom()
#: Where as many are taken, the ids are all but used up.
_MOST_CANDIDATES = 1000


@dataclass(frozen=True)
class ServerUsers:
    """Whom servers run as: the private store as `service`, an instance and what passes connections on as one of `ids`.

    Where we are not root there are no ids: all run as `service`, which is ourselves.
    """

    service: ServerUser
    ids: range = range(0)

    @classmethod
    def choose(cls, data_dir: Path, name: str = "", ids: str = "") -> "ServerUsers":
        """
        `name` and `ids` are the settings `os_user` and `os_uids`.

        Raises:
            HostError: there is no such user, or the ids are not to be had; the message says why.
        """
        service = ServerUser.choose(name)
        if os.geteuid() != 0:
            return cls(service)
        chosen = _parse_ids(ids) if ids else _unused_ids(data_dir)
        for what, taken in (
            ("user", (entry.pw_uid for entry in pwd.getpwall())),
            ("group", (entry.gr_gid for entry in grp.getgrall())),
        ):
            if found := next((id_ for id_ in taken if id_ in chosen), None):
                raise HostError(
                    f"The {what} {found} of this machine is among the ids that openrds would give to instances, "
                    f"{chosen.start}-{chosen.stop - 1}: name others in the setting os_uids."
                )
        return cls(service, chosen)

    def user(self, uid: int) -> ServerUser:
        """The user that has one of the ids, or had it when `ids` were others."""
        return ServerUser(str(uid), uid, uid)

    @property
    def forwarder(self) -> ServerUser:
        """Of what passes connections on."""
        return self.user(self.ids[0]) if self.ids else self.service

    def any(self) -> ServerUser:
        """One that an instance may get."""
        return self.user(_chance.choice(self.ids[1:])) if self.ids else self.service

    def candidates(self) -> Iterator[int]:
        """Ids for an instance, in no order: so that one that was given back is not somebody else's at once."""
        free = self.ids[1:]
        yield from _chance.sample(free, min(len(free), _MOST_CANDIDATES))

    def kinds(self) -> tuple[ServerUser, ...]:
        """One of each: what these reach, all do."""
        return self.service, self.forwarder

    def require_reach(self, path: Path) -> None:
        """
        Raises:
            HostError: one of them cannot enter the path.
        """
        for user in self.kinds():
            user.require_reach(path)


def _parse_ids(text: str) -> range:
    first, _, last = text.partition("-")
    ids = range(int(first), int(last) + 1)
    if not _has_ids(ids):
        raise HostError(f"The ids {text} of the setting os_uids are not to be had in this user namespace.")
    return ids


def _unused_ids(data_dir: Path) -> range:
    """Of each data directory others, so that two openrds on a machine do not share users."""
    mark = int(hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest(), 16)
    for unused, size in _UNUSED:
        first = unused.start + size * (mark % (len(unused) // size))
        if _has_ids(ids := range(first, first + size)):
            return ids
    raise HostError(
        "This user namespace has no ids for the users of instances: name some in the setting os_uids."
    )


def _has_ids(ids: range) -> bool:
    """Whether each is one of a user and of a group here: a container may have few."""
    return all(_is_mapped(ids, Path(f"/proc/self/{kind}_map")) for kind in ("uid", "gid"))


def _is_mapped(ids: range, table: Path) -> bool:
    rows = [tuple(map(int, line.split())) for line in table.read_text().splitlines()]
    return any(inside <= ids.start and ids.stop <= inside + count for inside, _, count in rows)
